/**
 * Floor (b), naive accounting: a publish is one object write and one queue send; a delivery is claimed by one call of its object and
 * finished by another. The least that knows of each message whether it was delivered. Never here: anything that groups calls.
 */
import { DurableObject } from 'cloudflare:workers'
import { type Mail, post, published, type Sink } from './post.ts'

interface AccountingEnv extends Sink {
  readonly MAIL: Queue<Mail>
  readonly LEDGERS: DurableObjectNamespace<Ledger>
}

/** The messages of one agent: one row each. */
export class Ledger extends DurableObject<AccountingEnv> {
  readonly #sql: SqlStorage

  constructor(ctx: DurableObjectState, env: AccountingEnv) {
    super(ctx, env)
    this.#sql = ctx.storage.sql
    this.#sql.exec('CREATE TABLE IF NOT EXISTS mail (id TEXT PRIMARY KEY, state INTEGER, body TEXT) WITHOUT ROWID')
  }

  accept(mail: readonly Mail[]): void {
    for (const { id, body } of mail)
      this.#sql.exec('INSERT INTO mail VALUES (?, 0, ?) ON CONFLICT DO NOTHING', id, body)
  }

  claim(id: string): boolean {
    return this.#sql.exec('UPDATE mail SET state = 1 WHERE id = ? AND state < 2 RETURNING id', id).toArray().length > 0
  }

  finish(id: string): void {
    this.#sql.exec('UPDATE mail SET state = 2 WHERE id = ?', id)
  }
}

export default {
  async fetch(request: Request, env: AccountingEnv): Promise<Response> {
    if (request.method === 'GET') return new Response('ok')
    const mail = await published(request)
    const ledgers = Map.groupBy(mail, ({ agent }) => agent)
    await Promise.all([...ledgers].map(([agent, own]) => env.LEDGERS.getByName(agent).accept(own)))
    const [first] = mail
    if (mail.length === 1 && first !== undefined) await env.MAIL.send(first)
    else await env.MAIL.sendBatch(mail.map((body) => ({ body })))
    return new Response(null, { status: 202 })
  },

  async queue(batch: MessageBatch<Mail>, env: AccountingEnv): Promise<void> {
    await Promise.all(
      batch.messages.map(async (message) => {
        const { id, agent } = message.body
        try {
          // To publish to nobody is to measure what a publish costs by itself.
          if (agent !== 'nobody' && (await env.LEDGERS.getByName(agent).claim(id))) {
            await post(env, message.body)
            await env.LEDGERS.getByName(agent).finish(id)
          }
          message.ack()
        } catch {
          message.retry()
        }
      }),
    )
  },
}

/**
 * Floor (e), accounting in groups: what naive accounting writes down, in as few calls as Switchboard makes. An agent's mail is taken
 * ten at once and finished together, and its queue message is a bell that rings when there is room. So what grouping wins is seen
 * by itself. Never here: anything else that a broker promises: a crash loses what was taken.
 */
import { DurableObject } from 'cloudflare:workers'
import { type Mail, post, published, type Sink } from './post.ts'

interface Bell {
  readonly agent: string
}

interface GroupedEnv extends Sink {
  readonly MAIL: Queue<Bell>
  readonly GROUPS: DurableObjectNamespace<Group>
}

const concurrency = 10
// As many as Switchboard lets one agent have in one invocation.
const connections = 4

/** The messages of one agent: one row each. */
export class Group extends DurableObject<GroupedEnv> {
  readonly #sql: SqlStorage
  readonly #waiting = new Map<string, string>()
  #inFlight = 0
  #isRung = false

  constructor(ctx: DurableObjectState, env: GroupedEnv) {
    super(ctx, env)
    this.#sql = ctx.storage.sql
    this.#sql.exec('CREATE TABLE IF NOT EXISTS mail (id TEXT PRIMARY KEY, state INTEGER, body TEXT) WITHOUT ROWID')
  }

  /** True: ring the bell. */
  accept(mail: readonly Mail[]): boolean {
    for (const { id, body } of mail) {
      this.#sql.exec('INSERT INTO mail VALUES (?, 0, ?) ON CONFLICT DO NOTHING', id, body)
      this.#waiting.set(id, body)
    }
    return this.#rings()
  }

  take(): readonly Omit<Mail, 'agent'>[] {
    this.#isRung = false
    const taken = [...this.#waiting].slice(0, concurrency - this.#inFlight).map(([id, body]) => ({ id, body }))
    for (const { id } of taken) this.#waiting.delete(id)
    this.#inFlight += taken.length
    return taken
  }

  finish(ids: readonly string[]): boolean {
    for (const id of ids) this.#sql.exec('UPDATE mail SET state = 2 WHERE id = ?', id)
    this.#inFlight -= ids.length
    return this.#rings()
  }

  #rings(): boolean {
    if (this.#isRung || this.#waiting.size === 0 || this.#inFlight >= concurrency) return false
    this.#isRung = true
    return true
  }
}

export default {
  async fetch(request: Request, env: GroupedEnv, ctx: ExecutionContext): Promise<Response> {
    if (request.method === 'GET') return new Response('ok')
    const groups = Map.groupBy(await published(request), ({ agent }) => agent)
    await Promise.all(
      [...groups].map(async ([agent, mail]) => {
        if (await env.GROUPS.getByName(agent).accept(mail)) ctx.waitUntil(env.MAIL.send({ agent }))
      }),
    )
    return new Response(null, { status: 202 })
  },

  async queue(batch: MessageBatch<Bell>, env: GroupedEnv, ctx: ExecutionContext): Promise<void> {
    await Promise.all(
      batch.messages.map(async (message) => {
        const { agent } = message.body
        const mail = await env.GROUPS.getByName(agent).take()
        message.ack()
        ctx.waitUntil(deliver(env, agent, mail))
      }),
    )
  },
}

async function deliver(env: GroupedEnv, agent: string, mail: readonly Omit<Mail, 'agent'>[]): Promise<void> {
  if (mail.length === 0) return
  const left = [...mail]
  const connection = async () => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await post(env, { ...one, agent })
  }
  await Promise.all(Array.from({ length: connections }, connection))
  if (await env.GROUPS.getByName(agent).finish(mail.map(({ id }) => id))) await env.MAIL.send({ agent })
}

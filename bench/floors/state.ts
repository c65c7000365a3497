/**
 * Floor (d), bare object calls: one HTTP call is one call of an object that reads its row, adds one, and writes it. No version is
 * expected and no history kept. Never here: a conflict.
 */
import { DurableObject } from 'cloudflare:workers'

interface StateEnv {
  readonly COUNTERS: DurableObjectNamespace<Counter>
}

export class Counter extends DurableObject<StateEnv> {
  readonly #sql: SqlStorage

  constructor(ctx: DurableObjectState, env: StateEnv) {
    super(ctx, env)
    this.#sql = ctx.storage.sql
    this.#sql.exec('CREATE TABLE IF NOT EXISTS state (k TEXT PRIMARY KEY, version INTEGER, json TEXT) WITHOUT ROWID')
  }

  add(): number {
    const row = this.#sql
      .exec<{ version: number; json: string }>("SELECT version, json FROM state WHERE k = 's'")
      .toArray()[0]
    const version = (row?.version ?? 0) + 1
    // What this object wrote itself.
    const { n } = JSON.parse(row?.json ?? '{"n":0}') as { n: number }
    this.#sql.exec(
      "INSERT INTO state VALUES ('s', ?, ?) ON CONFLICT (k) DO UPDATE SET version = excluded.version, json = excluded.json",
      version,
      JSON.stringify({ n: n + 1 }),
    )
    return version
  }
}

export default {
  async fetch(request: Request, env: StateEnv): Promise<Response> {
    if (request.method === 'GET') return new Response('ok')
    const { name } = (await request.json()) as { name: string }
    return Response.json({ version: await env.COUNTERS.getByName(name).add() })
  },
}

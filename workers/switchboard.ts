/**
 * Switchboard as a library: give it your agents, get a Worker. `workers/index.ts` is its first user. Never here: logic.
 */
import type { Platform } from '../shared/ports.ts'
import { nothingKnown } from '../shared/schema.ts'
import { buildApp } from './app.ts'
import { newAcquaintances } from './authorise.ts'
import { consume } from './consume.ts'
import type { AnyAgent } from './define.ts'
import { shippedOf } from './definitions.ts'
import { ensureAllEnrolled, ensureEnrolled, handlersOf } from './handlers.ts'
import { nudge } from './nudge.ts'
import { type Invocation, platformOf, type Roster } from './platform.ts'
import { Audiences } from './remember.ts'
import { sweep } from './sweep.ts'
import { work } from './work.ts'

export interface SwitchboardOptions {
  /** Agents that run inside this Worker. */
  readonly agents: readonly AnyAgent[]
  /** Definitions of workflows, by name: statecharts as JSON. */
  readonly workflows?: Readonly<Record<string, unknown>>
  /** Lays other ports over the platform's: for another queue, another clock, or a test that wants trouble. */
  readonly ports?: (platform: Platform, env: Env) => Platform
}

/** The Worker's handlers. Throws at start-up when two agents have one name, or a name is not valid. */
export function createSwitchboard(
  options: SwitchboardOptions,
): Required<Pick<ExportedHandler<Env>, 'fetch' | 'queue' | 'scheduled'>> {
  const handlers = handlersOf(options.agents)
  const roster: Roster = {
    audiences: new Audiences(),
    enrol: async (platform, name) => {
      const handler = handlers.get(name)
      if (handler === undefined) return false
      await ensureEnrolled(platform, handler)
      return true
    },
    enrolAll: (platform) => ensureAllEnrolled(platform, handlers),
  }
  const isolate = { schemas: nothingKnown() }
  const make = (env: Env, invocation: Invocation): Platform => {
    const platform = platformOf(env, invocation, roster, isolate)
    return options.ports === undefined ? platform : options.ports(platform, env)
  }
  const app = buildApp(handlers, make, newAcquaintances(), shippedOf(options.workflows ?? {}))
  return {
    fetch: (request, env, ctx) => app.fetch(request, env, ctx),
    queue: (batch, env, ctx) =>
      within(make(env, ctx), async (platform) => {
        if (batch.queue.startsWith('deliveries')) await consume(platform, handlers, batch.messages)
        else if (batch.queue.startsWith('work')) await work(platform, batch.messages)
        else await nudge(platform, batch.messages)
      }),
    scheduled: (_controller, env, ctx) => within(make(env, ctx), async (platform) => void (await sweep(platform))),
  }
}

async function within(platform: Platform, run: (platform: Platform) => Promise<void>): Promise<void> {
  try {
    await run(platform)
  } finally {
    platform.ended()
  }
}

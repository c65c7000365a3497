/** The cases of shared state: sixteen writers of one workflow, and of one each. Never here: messages. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Contender } from './contender.ts'
import type { Deployment } from './deployment.ts'
import { costed, loadMs, perSecond } from './loads.ts'
import type { Case, Figures } from './rounds.ts'

export interface BareState extends Pick<Contender, 'cpuMs'> {
  add(name: string): Promise<void>
}

const writers = 16
// As `ctx.state.update` does it (workers/shared-state.ts).
const firstPauseMs = 50
const longestPauseMs = 5_000

type Write = (workflow: string) => Promise<void>

/** Writers write for a while. What the least of them got beside what one gets on average tells whether one starves. */
function written(
  side: Pick<Contender, 'cpuMs'>,
  write: Write,
  workflowOf: (writer: number) => string,
): Promise<Figures> {
  return costed(side, async () => {
    const beganAt = performance.now()
    const writes = await Promise.all(
      Array.from({ length: writers }, async (_, writer) => {
        let count = 0
        for (; performance.now() < beganAt + loadMs; count++) await write(workflowOf(writer))
        return count
      }),
    )
    const all = writes.reduce((sum, count) => sum + count, 0)
    const least = Math.min(...writes) / (all / writers)
    return [{ 'writes/s': perSecond(all, beganAt), 'least ÷ mean': least }, all]
  })
}

let created = 0

async function fresh(here: Deployment, count: number): Promise<readonly string[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      created += 1
      const id = `state-${created}`
      await here.client.post('/v1/workflows', { id, state: { n: 0 } })
      return id
    }),
  )
}

/** Read, change, write under If-Match; who was too late waits as long as it is told, or longer at each try, and reads again. */
function conditional(here: Deployment): Write {
  return async (workflow) => {
    const path = `/v1/workflows/${workflow}/state`
    for (let tries = 1; ; tries++) {
      const { version, state } = stateOf((await here.client.send('GET', path)).text)
      const ifMatch = { 'if-match': `"${version}"` }
      const { status, text } = await here.client.send('PATCH', path, { n: state.n + 1 }, ifMatch)
      if (status === 200) return
      if (status !== 412) throw new Error(`${status} ${text}`)
      // What its own route answers.
      const { retryAfterMs } = JSON.parse(text) as { retryAfterMs: number }
      const spreadMs = Math.max(retryAfterMs, Math.min(longestPauseMs, firstPauseMs * 2 ** (tries - 1)))
      await pause(Math.random() * spreadMs)
    }
  }
}

/** An increment, which never conflicts. */
function operation(here: Deployment): Write {
  return async (workflow) => {
    await here.client.post(`/v1/workflows/${workflow}/state`, { operations: [{ op: 'increment', path: '/n', by: 1 }] })
  }
}

// What its own route answers.
const stateOf = (text: string) => JSON.parse(text) as { version: number; state: { n: number } }

export function stateCases(here: Deployment, bare: BareState): Case[] {
  const hot = async (write: Write) => {
    const [one = ''] = await fresh(here, 1)
    return written(here, write, () => one)
  }
  const spread = async (write: Write) => {
    const own = await fresh(here, writers)
    return written(here, write, (writer) => own[writer] ?? '')
  }
  const bareHot = () =>
    written(
      bare,
      (name) => bare.add(name),
      () => 'hot',
    )
  const bareSpread = () =>
    written(
      bare,
      (name) => bare.add(name),
      (writer) => `spread-${writer}`,
    )
  return [
    {
      name: 'state, 16 writers of one: operations',
      sides: { switchboard: () => hot(operation(here)), 'bare calls': bareHot },
      targets: [{ figure: 'writes/s', by: 'bare calls', atLeast: 0.5 }],
    },
    {
      name: 'state, 16 writers of one: If-Match',
      sides: { switchboard: () => hot(conditional(here)), 'bare calls': bareHot },
      targets: [],
    },
    {
      name: 'state, 16 writers of one each: If-Match',
      sides: { switchboard: () => spread(conditional(here)), 'bare calls': bareSpread },
      targets: [],
    },
  ]
}

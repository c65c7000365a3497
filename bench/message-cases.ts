/** The cases of messages: accepted, delivered, answered, fanned out, drained. Never here: what a contender is. */
import type { Contender } from './contender.ts'
import type { Deployment } from './deployment.ts'
import { askEach, freshIds, type Load, perSecond, publishOnly, saturate, trickle } from './loads.ts'
import type { Case, Figures } from './rounds.ts'
import type { Sink } from './sink.ts'

export interface Ring {
  readonly sink: Sink
  readonly here: Deployment
  /** Floors and other brokers, by name. */
  readonly others: readonly Contender[]
}

type Sides = Record<string, () => Promise<Figures>>

/** Every contender that publishes, or those named. */
function publishing({ here, others }: Ring, run: (side: Contender) => Promise<Figures>): Sides {
  const able = [here, ...others].filter((side) => side.publish !== undefined)
  return Object.fromEntries(able.map((side) => [side.name, () => run(side)]))
}

const named = (ring: Ring, name: string): Contender => ring.others.find((side) => side.name === name) ?? ring.here

/** To a mailbox that nobody reads; to a floor whose consumer only acks. */
function accepting(ring: Ring): Case[] {
  return [1, 16, 64].map((callers) => ({
    name: `accept, ${callers} ${callers === 1 ? 'caller' : 'callers'}`,
    sides: {
      switchboard: () => acceptedHere(ring, { callers, agents: 1 }),
      accounting: () => publishOnly(named(ring, 'accounting'), { callers, agents: 0 }),
    },
    targets: callers === 16 ? [{ figure: 'accepted/s', by: 'accounting', atLeast: 0.8 }] : [],
  }))
}

let boxes = 0

// A new mailbox each time, so that none is fuller than another. Nobody pulls from it.
export async function acceptedHere({ here }: Ring, load: Load): Promise<Figures> {
  boxes += 1
  const box = `box-${boxes}`
  await here.enrol(box, { kind: 'pull', policy: { depth: 100_000 } })
  return publishOnly({ cpuMs: () => here.cpuMs(), publish: (ids) => here.send(ids, () => box) }, load)
}

function saturated(ring: Ring): Case[] {
  const { sink } = ring
  const kinds: readonly [name: string, load: Load][] = [
    ['saturation, 1 agent', { callers: 16, agents: 1 }],
    ['saturation, 10 agents', { callers: 16, agents: 10 }],
    ['saturation, 10 agents, batches of 10', { callers: 16, agents: 10, batch: 10 }],
  ]
  return kinds.map(([name, load]) => ({
    name,
    sides: publishing(ring, (side) => saturate(side, sink, load)),
    targets: [
      { figure: 'delivered/s', by: 'accounting', atLeast: 1 },
      { figure: 'delivered/s', by: 'queue', atLeast: 0.6 },
    ],
  }))
}

function light(ring: Ring): Case {
  return {
    name: 'light load, 100/s',
    sides: publishing(ring, (side) => trickle(side, ring.sink, 100, 10)),
    targets: [{ figure: 'p50 ms', by: 'accounting', atMost: 1.5 }],
  }
}

function asking({ here, others }: Ring): Case {
  const able = [here, ...others].filter((side) => side.ask !== undefined)
  return {
    name: 'request-reply',
    sides: Object.fromEntries(able.map((side) => [side.name, () => askEach(side)])),
    targets: [{ figure: 'p50 ms', by: 'direct', atMost: 2 }],
  }
}

/** 100 messages in one call, beside the same in calls of one. */
function batching(ring: Ring): Case {
  const batched = { callers: 16, agents: 1, batch: 100 }
  return {
    name: 'publish of 100 in one call',
    sides: {
      switchboard: () => acceptedHere(ring, batched),
      'one by one': () => acceptedHere(ring, { callers: 16, agents: 1 }),
      accounting: () => publishOnly(named(ring, 'accounting'), { ...batched, agents: 0 }),
    },
    targets: [{ figure: 'accepted/s', by: 'one by one', atLeast: 8 }],
  }
}

const fans = 100

function fanOut(ring: Ring): Case {
  const { here, sink } = ring
  const others = ring.others.filter((side) => side.publish !== undefined)
  const timed = async (send: (ids: readonly string[]) => Promise<void>, count: number): Promise<Figures> => {
    sink.forget()
    const beganAt = performance.now()
    await send(freshIds(fans))
    await sink.came(count)
    return { 'all came ms': performance.now() - beganAt }
  }
  return {
    name: 'fan-out to 100',
    sides: {
      switchboard: () => timed(([id]) => here.topic('bench.fan', id ?? ''), fans),
      ...Object.fromEntries(
        others.map((side) => [side.name, () => timed((ids) => side.publish?.(ids, fans) ?? Promise.resolve(), fans)]),
      ),
    },
    targets: [],
  }
}

/** What waited while its agent was away is delivered when it is back. */
function drain(ring: Ring): Case {
  const { here, sink } = ring
  const messages = 1_000
  const after = async (): Promise<Figures> => {
    await here.enrol('away')
    await here.operate('away', 'pause')
    sink.forget()
    const ids = freshIds(messages)
    for (let i = 0; i < messages; i += 100) await here.send(ids.slice(i, i + 100), () => 'away')
    const beganAt = performance.now()
    await here.operate('away', 'resume')
    await sink.came(messages)
    return { 'delivered/s': perSecond(messages, beganAt) }
  }
  return {
    name: 'drain of 1,000 after an outage',
    sides: {
      switchboard: after,
      'as they come': () => saturate(here, sink, { callers: 16, agents: 1 }),
    },
    targets: [],
  }
}

export function messageCases(ring: Ring): Case[] {
  return [...accepting(ring), ...saturated(ring), light(ring), asking(ring), batching(ring), fanOut(ring), drain(ring)]
}

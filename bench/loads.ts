/**
 * The loads that a contender is put under: callers who each wait for their answer, a steady pace, a burst. Each returns the figures of
 * one run. Never here: who is loaded, or how often.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Contender } from './contender.ts'
import { each } from './deployed.ts'
import { median, quantile } from './figures.ts'
import type { Figures } from './rounds.ts'
import type { Sink } from './sink.ts'

let runs = 0

/** Ids that no other run has. They end with their number, by which contenders choose the agent. */
export function freshIds(count: number): string[] {
  runs += 1
  return Array.from({ length: count }, (_, i) => `m${runs}-${i}`)
}

export const perSecond = (count: number, sinceMs: number): number => (count * 1_000) / (performance.now() - sinceMs)

type Publisher = Pick<Contender, 'publish' | 'cpuMs'>

export interface Load {
  readonly messages: number
  readonly callers: number
  readonly agents: number
  /** Messages to a call. */
  readonly batch?: number
}

type Worked = Pick<Contender, 'cpuMs'>

// What follows an answer is paid for as well: acks, reports, clean-up.
const aftermathMs = 100

/**
 * A run with what it cost in processor time, which says more than the clock does where the machine has other work too.
 * `count` is the messages, requests or writes of the run.
 */
export async function costed(side: Worked, count: number, run: () => Promise<Figures>): Promise<Figures> {
  const before = side.cpuMs?.()
  const figures = await run()
  if (before === undefined) return figures
  await pause(aftermathMs)
  return { ...figures, 'CPU ms each': ((side.cpuMs?.() ?? 0) - before) / count }
}

/** So many callers publish until all is accepted; then until all has come. */
export async function saturate(side: Contender, sink: Sink, load: Load): Promise<Figures> {
  sink.forget()
  return costed(side, load.messages, async () => {
    const { beganAt, accepted } = await publishAll(side, load)
    await sink.came(load.messages)
    return { 'delivered/s': perSecond(load.messages, beganAt), 'accepted/s': accepted }
  })
}

/** The same, where nothing need come. */
export async function publishOnly(side: Publisher, load: Load): Promise<Figures> {
  return costed(side, load.messages, async () => ({ 'accepted/s': (await publishAll(side, load)).accepted }))
}

async function publishAll(side: Publisher, { messages, callers, agents, batch = 1 }: Load) {
  const ids = freshIds(messages)
  const calls = Array.from({ length: Math.ceil(messages / batch) }, (_, i) => ids.slice(i * batch, (i + 1) * batch))
  const beganAt = performance.now()
  await each(calls, callers, async (some) => side.publish?.(some, agents))
  return { beganAt, accepted: perSecond(messages, beganAt) }
}

/** One message after the other at a steady pace: from the publisher's call to the webhook's. */
export async function trickle(side: Contender, sink: Sink, count: number, everyMs: number): Promise<Figures> {
  sink.forget()
  const ids = freshIds(count)
  const sentAt = new Map<string, number>()
  return costed(side, count, async () => {
    const sent: (Promise<void> | undefined)[] = []
    const beganAt = performance.now()
    for (const [i, id] of ids.entries()) {
      await pause(Math.max(0, beganAt + i * everyMs - performance.now()))
      sentAt.set(id, performance.now())
      sent.push(side.publish?.([id], 10))
    }
    await Promise.all(sent)
    await sink.came(count)
    return spreadOf(ids.map((id) => sink.cameAt(id) - (sentAt.get(id) ?? Number.NaN)))
  })
}

/** One question after the other; the time of each until its reply. */
export async function askEach(side: Contender, count: number): Promise<Figures> {
  return costed(side, count, async () => {
    const taken: number[] = []
    for (const id of freshIds(count)) {
      const beganAt = performance.now()
      await side.ask?.(id)
      taken.push(performance.now() - beganAt)
    }
    return spreadOf(taken)
  })
}

const spreadOf = (taken: readonly number[]): Figures => ({ 'p50 ms': median(taken), 'p95 ms': quantile(taken, 0.95) })

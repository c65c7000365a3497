/**
 * The loads that a contender is put under: callers who each wait for their answer, a steady pace, a burst. Each returns the figures of
 * one run. Never here: who is loaded, or how often.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Contender } from './contender.ts'
import { median, quantile } from './figures.ts'
import type { Figures } from './rounds.ts'
import type { Sink } from './sink.ts'

let runs = 0

/** The beginning of ids that no other run has. They end with their number, by which contenders choose the agent. */
export function freshRun(): string {
  runs += 1
  return `m${runs}`
}

export function freshIds(count: number): string[] {
  const run = freshRun()
  return Array.from({ length: count }, (_, i) => `${run}-${i}`)
}

export const perSecond = (count: number, sinceMs: number): number => (count * 1_000) / (performance.now() - sinceMs)

type Publisher = Pick<Contender, 'publish' | 'cpuMs'>

/** How long callers go on: by time, so that a run takes as long on a machine that has other work. */
export const loadMs = 600
// One after the other there are few in a run, and of those the first meet caches that somebody else's run has filled.
const oneByOneMs = 2_000

export interface Load {
  readonly callers: number
  readonly agents: number
  /** Messages to a call. */
  readonly batch?: number
  readonly forMs?: number
}

type Worked = Pick<Contender, 'cpuMs'>

// What follows an answer is paid for as well: acks, reports, clean-up.
const aftermathMs = 100

/**
 * A run with what it cost in processor time, which says more than the clock does where the machine has other work too. `run` also
 * tells how many messages, requests or writes it was.
 */
export async function costed(side: Worked, run: () => Promise<readonly [Figures, number]>): Promise<Figures> {
  const before = side.cpuMs?.()
  const [figures, count] = await run()
  if (before === undefined) return figures
  await pause(aftermathMs)
  return { ...figures, 'CPU ms each': ((side.cpuMs?.() ?? 0) - before) / count }
}

/** Callers publish for a while, and all that was accepted comes. */
export async function saturate(side: Contender, sink: Sink, load: Load): Promise<Figures> {
  sink.forget()
  return costed(side, async () => {
    const { beganAt, published, accepted } = await publishAll(side, load)
    await sink.came(published)
    return [{ 'delivered/s': perSecond(published, beganAt), 'accepted/s': accepted }, published]
  })
}

/** The same, where nothing need come. */
export async function publishOnly(side: Publisher, load: Load): Promise<Figures> {
  return costed(side, async () => {
    const { published, accepted } = await publishAll(side, load)
    return [{ 'accepted/s': accepted }, published]
  })
}

async function publishAll(side: Publisher, { callers, agents, batch = 1, forMs = loadMs }: Load) {
  const run = freshRun()
  const beganAt = performance.now()
  let published = 0
  const caller = async () => {
    while (performance.now() < beganAt + forMs) {
      const ids = Array.from({ length: batch }, (_, i) => `${run}-${published + i}`)
      published += batch
      await side.publish?.(ids, agents)
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return { beganAt, published, accepted: perSecond(published, beganAt) }
}

/** One message after the other at a steady pace: from the publisher's call to the webhook's. */
export async function trickle(side: Contender, sink: Sink, count: number, everyMs: number): Promise<Figures> {
  sink.forget()
  const ids = freshIds(count)
  const sentAt = new Map<string, number>()
  return costed(side, async () => {
    const sent: (Promise<void> | undefined)[] = []
    const beganAt = performance.now()
    for (const [i, id] of ids.entries()) {
      await pause(Math.max(0, beganAt + i * everyMs - performance.now()))
      sentAt.set(id, performance.now())
      sent.push(side.publish?.([id], 10))
    }
    await Promise.all(sent)
    await sink.came(count)
    return [spreadOf(ids.map((id) => sink.cameAt(id) - (sentAt.get(id) ?? Number.NaN))), count]
  })
}

/** One question after the other; the time of each until its reply. */
export async function askEach(side: Contender): Promise<Figures> {
  return costed(side, async () => {
    const taken: number[] = []
    const run = freshRun()
    const endsAt = performance.now() + oneByOneMs
    while (performance.now() < endsAt) {
      const beganAt = performance.now()
      await side.ask?.(`${run}-${taken.length}`)
      taken.push(performance.now() - beganAt)
    }
    return [spreadOf(taken), taken.length]
  })
}

const spreadOf = (taken: readonly number[]): Figures => ({ 'p50 ms': median(taken), 'p95 ms': quantile(taken, 0.95) })

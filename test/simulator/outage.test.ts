/**
 * "Park, don't burn": an agent under the default policy is down for two hours, with 500 messages waiting in 20 lines. Everything
 * but the agent works. Never here: the breaker's own rules (test/shared/breaker.test.ts), real time (test/system/outage.test.ts).
 */
import { beforeAll, describe, expect, it } from 'vitest'
import type { Breaker } from '../../shared/breaker.ts'
import type { Receipt } from '../../shared/receipt.ts'
import { never, type Receiver, Scene } from './scene.ts'

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

const messages = 500
const keys = 20
const downMs = 2 * hour
/** Ten in flight at most, and one of them was the fifth failure. */
const burnedAtFirstMax = 5 + 9

/** How it is down, and how often everything but the agent is killed meanwhile. */
const waysToBeDown: readonly (readonly [string, Receiver, number])[] = [
  ['refuses connections', () => Promise.reject(new Error('connection refused')), Number.POSITIVE_INFINITY],
  ['answers 500 at once', () => ({ status: 500 }), Number.POSITIVE_INFINITY],
  ['hangs until the deadline', never, Number.POSITIVE_INFINITY],
  ['answers 500, while the broker itself is killed every ten minutes,', () => ({ status: 500 }), 10 * minute],
]

interface Seen {
  readonly at: number
  readonly breaker: Breaker
  readonly inFlight: number
  readonly parked: string | undefined
}

/** The whole outage, and what was seen of it: the mailbox after each call, and what the agent did once it was up again. */
async function outage(down: Receiver, killedEveryMs: number) {
  const scene = new Scene()
  const seen: Seen[] = []
  const done: { delivery: string; key: string; at: number }[] = []
  await scene.webhook('down', down)
  scene.sim.afterCall = (agent, object) => {
    const described = object.describe()
    const breaker = object.breaker()
    if (agent !== 'down' || described === undefined || breaker === undefined) return
    const { inFlight, parked } = described.figures
    seen.push({ at: scene.world.now, breaker, inFlight, parked })
  }
  const downAt = scene.world.now
  const ids = await publishAll(scene)
  for (let at = downAt + killedEveryMs; at < downAt + downMs; at += killedEveryMs)
    scene.world.at(at, () => scene.sim.crashEverything(true))
  await scene.pass(10 * minute)
  const early = await Promise.all(ids.map((id) => scene.receipt(id)))
  await scene.pass(downAt + downMs - scene.world.now)
  const calledWhileDown = scene.callsOf('down').length
  scene.receiver('down', async ({ headers, body }) => {
    await scene.sleep(200)
    const { partitionkey } = JSON.parse(body) as { partitionkey: string }
    done.push({ delivery: headers['webhook-id'] ?? '', key: partitionkey, at: scene.world.now })
    return { status: 200 }
  })
  const upAt = scene.world.now
  await scene.pass(30 * minute)
  const late = await Promise.all(ids.map((id) => scene.receipt(id)))
  const { object } = await scene.sim.inspect('down')
  return { scene, ids, seen, done, early, late, calledWhileDown, upAt, history: object.breaker()?.history ?? [] }
}

async function publishAll(scene: Scene): Promise<string[]> {
  const ids: string[] = []
  for (let from = 0; from < messages; from += 100) {
    const inputs = Array.from({ length: 100 }, (_, i) => ({
      to: 'down',
      type: 'test.work',
      partitionkey: `key-${(from + i) % keys}`,
      data: from + i,
    }))
    for (const answer of await scene.publish(inputs)) if (answer.ok) ids.push(answer.value.deliveries[0]!.id)
  }
  return ids
}

type Outage = Awaited<ReturnType<typeof outage>>

/** From each opening to what followed it. */
function openings({ history }: Outage): { from: number; to: number }[] {
  return history.flatMap((entry, i) =>
    entry.to === 'open' ? [{ from: entry.at, to: history[i + 1]?.at ?? Number.POSITIVE_INFINITY }] : [],
  )
}

const burnedOf = (receipts: readonly Receipt[]) =>
  receipts.flatMap((r) => r.attempts.filter((a) => a.counted && a.outcome !== 'ok'))

describe.each(waysToBeDown)('an agent that %s for two hours', (_, down, killedEveryMs) => {
  let o: Outage
  beforeAll(async () => {
    o = await outage(down, killedEveryMs)
  })

  it('loses nothing: no dead letter, all 500 done, each once (TC1)', async () => {
    expect(o.ids).toHaveLength(messages)
    expect(await o.scene.letters()).toEqual([])
    expect(o.late.filter((r) => r.status !== 'completed')).toEqual([])
    expect(o.done.map((d) => d.delivery).toSorted()).toEqual(o.ids.toSorted())
  })

  it('M3: gets each line in its order (A84, A43, TB7)', () => {
    const place = new Map(o.ids.map((id, i) => [id, i]))
    for (const key of new Set(o.done.map((d) => d.key))) {
      const line = o.done.filter((d) => d.key === key).map((d) => place.get(d.delivery) ?? -1)
      expect(line).toEqual(line.toSorted((a, b) => a - b))
      expect(line).toHaveLength(messages / keys)
    }
  })

  it('B1: has no attempt begun while its breaker is open, and what waits is parked and says why (TC1)', () => {
    const open = openings(o)
    expect(open.length).toBeGreaterThan(8)
    for (const attempt of burnedOf(o.late)) {
      const at = Date.parse(attempt.startedAt)
      expect(open.filter(({ from, to }) => from < at && at < to)).toEqual([])
    }
    for (const receipt of o.early) {
      expect(receipt.status).toBe('parked')
      expect(receipt.because).toMatch(/^breaker: a probe failed: .+; open until 2026-01-01T/)
    }
  })

  it('M4: pays with the attempts that were under way when it opened, and one for each probe, nobody twice for a probe', () => {
    const probes = o.history.filter((h) => h.from === 'half_open' && h.to === 'open').length
    expect(probes).toBeGreaterThan(8)
    expect(burnedOf(o.late).length).toBeLessThanOrEqual(burnedAtFirstMax + probes)
    const opened = o.history[0]?.at ?? 0
    for (const receipt of o.late)
      expect(burnedOf([receipt]).filter((a) => Date.parse(a.startedAt) > opened).length).toBeLessThanOrEqual(1)
  })

  it('B2: is sent one probe a window', () => {
    const windows = o.history.filter((h) => h.to === 'half_open').map((h) => h.at)
    const called = o.scene.callsOf('down').slice(0, o.calledWhileDown)
    const opened = o.history[0]?.at ?? 0
    // What hangs asks for its slot before the breaker opens and gets it after; probes are what a window let through.
    const probes = burnedOf(o.late).filter((a) => Date.parse(a.startedAt) > opened)
    for (const [i, from] of windows.entries()) {
      const to = windows[i + 1] ?? Number.POSITIVE_INFINITY
      expect(probes.filter((a) => from <= Date.parse(a.startedAt) && Date.parse(a.startedAt) < to).length).toBeLessThan(
        2,
      )
    }
    expect(called.length).toBeLessThanOrEqual(burnedAtFirstMax + windows.length)
  })

  it('waits twice as long after each failed probe, up to a quarter of an hour (A69)', () => {
    const waits = openings(o).map(({ from, to }) => Math.round((to - from) / second))
    expect(waits.slice(0, 6)).toEqual([60, 120, 240, 480, 900, 900])
    expect(waits.every((wait) => wait <= 900)).toBe(true)
  })

  it('is led back by a ramp: one at first, never more than the successes have earned, all ten in the end', () => {
    const after = o.seen.filter((s) => s.at > o.upAt && s.breaker.state.at === 'closed')
    for (const { breaker, inFlight } of after)
      if (breaker.state.at === 'closed') expect(inFlight).toBeLessThanOrEqual(breaker.state.ramp ?? 10)
    const flying = [...new Set(after.map((s) => s.inFlight))].filter((n) => n > 0)
    expect(flying.slice(0, 2)).toEqual([1, 2])
    expect(Math.max(...flying)).toBe(10)
    expect(after.at(-1)?.breaker.state).toEqual({ at: 'closed', failures: 0 })
  })
})

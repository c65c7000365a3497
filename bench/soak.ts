/**
 * A soak: `npm run bench -- soak [minutes] [seed]`. A light, steady load of everything, beside the floor of naive accounting under the
 * same messages, and what the workerd of each holds in memory every ten seconds. With the same seed the same messages, to the same
 * agents, of the same sizes. Never here: a measure of speed.
 */
import { loadavg } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import type { Contender } from './contender.ts'
import { deployable, each } from './deployed.ts'
import { Deployment } from './deployment.ts'
import { median, rounded, table } from './figures.ts'
import { accounting } from './floors.ts'
import { freshRun } from './loads.ts'
import { seeded } from './seeded.ts'
import { Sink } from './sink.ts'

const agents = 20
const workflows = 20
const everyMs = 100
/** Of so many messages one is a request, and one a write of shared state. */
const askEvery = 10
const writeEvery = 5
const largestText = 4_096
const sampleEveryMs = 10_000
/** What begins is not steady: caches fill. The slope is of what comes after. */
const warmShare = 0.25

/** What each holds, in megabytes. */
interface Sample {
  readonly atSeconds: number
  readonly here: number
  readonly floor: number
}

class Soak {
  readonly #here: Deployment
  readonly #floor: Contender
  readonly #sink: Sink
  readonly #dice: () => number
  readonly #run = freshRun()
  readonly #open = new Set<Promise<void>>()
  readonly samples: Sample[] = []
  readonly counts = { messages: 0, requests: 0, writes: 0, ofTheFloor: 0 }

  constructor(here: Deployment, floor: Contender, sink: Sink, seed: number) {
    this.#here = here
    this.#floor = floor
    this.#sink = sink
    this.#dice = seeded(seed)
  }

  async prepare(): Promise<void> {
    await this.#here.enrolMany('agent', agents)
    await this.#here.enrol('oracle', { kind: 'webhook', url: `${this.#sink.url}/reply` })
    await each([...Array(workflows).keys()], 4, async (i) => {
      await this.#here.client.post('/v1/workflows', { id: `soak-${i}`, state: { n: 0 } })
    })
  }

  /** Goes on for so long, and ends when all that was accepted has come. What failed on the way is thrown. */
  async go(forMs: number): Promise<void> {
    const beganAt = performance.now()
    let sampleAt = 0
    let failed: unknown
    const begin = (call: Promise<void>) => {
      const told = call.catch((error: unknown) => {
        failed = error
      })
      this.#open.add(told)
      void told.finally(() => this.#open.delete(told))
    }
    const at = (ms: number) => pause(Math.max(0, beganAt + ms - performance.now()))
    for (let i = 0; failed === undefined && performance.now() < beganAt + forMs; i++) {
      const text = 'x'.repeat(Math.floor(this.#dice() * largestText))
      begin(this.#call(i, text))
      if (performance.now() - beganAt >= sampleAt) {
        this.#sample((performance.now() - beganAt) / 1_000)
        sampleAt += sampleEveryMs
      }
      await at((i + 0.5) * everyMs)
      begin(this.#callFloor(i, text))
      // A machine that is too slow for the pace gets fewer, not a heap of them.
      if (this.#open.size > agents) await Promise.race(this.#open)
      await at((i + 1) * everyMs)
    }
    await Promise.all(this.#open)
    if (failed !== undefined) throw failed
    await this.#sink.came(this.counts.messages + this.counts.requests + this.counts.ofTheFloor)
    this.#sample((performance.now() - beganAt) / 1_000)
  }

  async #call(i: number, text: string): Promise<void> {
    const data = { bench: `${this.#run}-${i}`, text }
    const agent = Math.floor(this.#dice() * agents)
    if (i % askEvery === 0) {
      this.counts.requests += 1
      await this.#here.client.post('/v1/requests', { to: 'oracle', type: 'bench', data })
      return
    }
    this.counts.messages += 1
    await this.#here.client.post('/v1/messages', { to: `agent-${agent}`, type: 'bench', data })
    if (i % writeEvery !== 1) return
    this.counts.writes += 1
    const operations = [{ op: 'increment', path: '/n', by: 1 }]
    await this.#here.client.post(`/v1/workflows/soak-${agent % workflows}/state`, { operations })
  }

  async #callFloor(i: number, text: string): Promise<void> {
    this.counts.ofTheFloor += 1
    await this.#floor.publish?.([`floor-${this.#run}-${i}`], agents, text)
  }

  #sample(atSeconds: number): void {
    const held = (side: Contender) => rounded((side.residentBytes?.('workerd') ?? Number.NaN) / 1_048_576, 1)
    const sample = { atSeconds: Math.round(atSeconds), here: held(this.#here), floor: held(this.#floor) }
    this.samples.push(sample)
    process.stderr.write(`${sample.atSeconds} s: ${sample.here} MB here, ${sample.floor} MB there\n`)
  }
}

type Side = 'here' | 'floor'

/** Megabytes a minute, by least squares. */
function slopeOf(samples: readonly Sample[], side: Side): number {
  const mean = (of: (s: Sample) => number) => samples.reduce((sum, s) => sum + of(s), 0) / samples.length
  const at = mean((s) => s.atSeconds)
  const held = mean((s) => s[side])
  const both = samples.reduce((sum, s) => sum + (s.atSeconds - at) * (s[side] - held), 0)
  return (both * 60) / samples.reduce((sum, s) => sum + (s.atSeconds - at) ** 2, 0)
}

function figuresOf(minutes: number, samples: readonly Sample[], side: Side) {
  const steady = samples.filter((s) => s.atSeconds >= minutes * 60 * warmShare)
  const third = Math.max(1, Math.floor(steady.length / 3))
  const of = (some: readonly Sample[]) => median(some.map((s) => s[side]))
  return {
    firstMb: samples[0]?.[side] ?? Number.NaN,
    warmMb: of(steady.slice(0, third)),
    endMb: of(steady.slice(-third)),
    lastMb: samples.at(-1)?.[side] ?? Number.NaN,
    slopeMbPerMinute: rounded(slopeOf(steady, side)),
    // Of the last third alone: what fills up is flatter there, what leaks is not.
    endSlopeMbPerMinute: rounded(slopeOf(steady.slice(-third), side)),
  }
}

function report(minutes: number, seed: number, { samples, counts }: Soak): void {
  const [here, floor] = [figuresOf(minutes, samples, 'here'), figuresOf(minutes, samples, 'floor')]
  console.log(
    table([
      ['', ...Object.keys(here)],
      ['here', ...Object.values(here)],
      ['floor', ...Object.values(floor)],
    ]),
  )
  console.log(JSON.stringify({ benchmark: 'soak', minutes, seed, load: loadavg(), ...counts, here, floor, samples }))
}

export async function soak(minutes: number, seed: number): Promise<void> {
  const sink = await Sink.start()
  const [here, floor] = [await Deployment.start(await deployable(), sink), await accounting(sink)]
  try {
    const one = new Soak(here, floor, sink, seed)
    await one.prepare()
    sink.forget()
    await one.go(minutes * 60_000)
    report(minutes, seed, one)
  } finally {
    await Promise.all([here, floor, sink].map((one) => one.stop()))
  }
}

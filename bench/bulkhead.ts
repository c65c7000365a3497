/**
 * What one dead agent costs ninety-nine healthy ones: the same load on the healthy ones without it, with one that takes every
 * call and never answers, and with one that refuses connections; alternating in one run, so that the machine's moods fall on
 * all alike, and once more without it, because what that differs by is noise. The dead one is at its worst: its breaker is
 * kept from opening, and more mail than may be in flight waits for it before a run begins. Never here: a pass mark.
 */
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { Host } from '../test/system/host.ts'
import { Receiver } from '../test/system/receiver.ts'
import { call, deployable, each } from './deployed.ts'
import { median, quantile, rounded, table } from './figures.ts'

const healthyAgents = 99
/** As many rounds as begin in time, and never fewer than make a median. */
const roundsMin = 5
const startNoneAfterMs = 60_000
/** A round's two loads: one message at a time at a steady pace, then batches as fast as they are accepted. */
const pacedMessages = 100
const pacedEveryMs = 10
const burstBatches = 4
/** One message in so many is the dead agent's, while there is one. */
const deadEvery = 10
const timeoutSeconds = 1
/** Of the burst's receipts one in so many is read. */
const readEvery = 3

const cases = ['without', 'again', 'hangs', 'refuses'] as const
type Case = (typeof cases)[number]

interface Published {
  readonly deliveries: readonly { readonly id: string }[]
}
interface Receipt {
  readonly steps: readonly { readonly step: string; readonly at: string }[]
}

interface Run {
  /** Healthy deliveries a second, of the burst. */
  readonly throughput: number
  /** From accept to delivered, of the paced ones and of the burst's. */
  readonly pacedMs: readonly number[]
  readonly burstMs: readonly number[]
  /** Calls that the dead one took meanwhile: it was being tried. */
  readonly deadCalls: number
}

const healthy = Array.from({ length: healthyAgents }, (_, i) => `healthy-${i}`)

class Bulkhead {
  readonly #host: Host
  readonly #receiver: Receiver
  readonly #refusingUrl: string
  #dead = 0

  constructor(host: Host, receiver: Receiver, refusingUrl: string) {
    this.#host = host
    this.#receiver = receiver
    this.#refusingUrl = refusingUrl
  }

  async enrol(): Promise<void> {
    await each(healthy, 8, (name) =>
      call(this.#host, 'PUT', `/v1/agents/${name}`, {
        kind: 'webhook',
        url: `${this.#receiver.url}/${name}`,
        policy: { timeoutSeconds },
      }),
    )
  }

  async run(which: Case): Promise<Run> {
    const dead = which === 'without' || which === 'again' ? undefined : await this.#killed(which)
    const callsBefore = this.#deadCalls()
    const paced = await this.#paced(dead)
    await this.#arrived(paced)
    const beganAt = performance.now()
    const burst = await this.#burst(dead)
    await this.#arrived(burst)
    const throughput = burst.length / ((performance.now() - beganAt) / 1_000)
    const deadCalls = this.#deadCalls() - callsBefore
    // What it left must not weigh on the run after.
    if (dead !== undefined) await call(this.#host, 'DELETE', `/v1/agents/${dead}?mail=dead`)
    await pause(dead === undefined ? 0 : timeoutSeconds * 1_000)
    const pacedMs = await this.#latencies(paced)
    const burstMs = await this.#latencies(burst.filter((_, i) => i % readEvery === 0))
    return { throughput, pacedMs, burstMs, deadCalls }
  }

  // A new one for each run, so that none finds what an earlier one left; filled with mail and being tried.
  async #killed(which: 'hangs' | 'refuses'): Promise<string> {
    this.#dead += 1
    const name = `dead-${which}-${this.#dead}`
    await call(this.#host, 'PUT', `/v1/agents/${name}`, {
      kind: 'webhook',
      url: which === 'hangs' ? `${this.#receiver.url}/${name}` : this.#refusingUrl,
      policy: {
        timeoutSeconds,
        maxAttempts: 50,
        backoff: 'quick',
        breaker: { failureThreshold: 1_000, window: { minimum: 1_000 } },
      },
    })
    await call(
      this.#host,
      'POST',
      '/v1/messages/batch',
      Array.from({ length: 30 }, () => message(name)),
    )
    await pause(300)
    return name
  }

  async #paced(dead: string | undefined): Promise<string[]> {
    const sent: Promise<string[]>[] = []
    const beganAt = performance.now()
    for (let i = 0; i < pacedMessages; i++) {
      await pause(Math.max(0, beganAt + i * pacedEveryMs - performance.now()))
      sent.push(this.#publish([message(nth(i))]))
      if (dead !== undefined && i % deadEvery === 0) sent.push(this.#publish([message(dead)]).then(() => []))
    }
    return (await Promise.all(sent)).flat()
  }

  async #burst(dead: string | undefined): Promise<string[]> {
    const ids: string[] = []
    await each(Array.from({ length: burstBatches }), 2, async () => {
      const batch = healthy.map(message)
      const [all] = await Promise.all([this.#publish(batch), dead === undefined ? [] : this.#publish([message(dead)])])
      ids.push(...all)
    })
    return ids
  }

  async #publish(messages: readonly object[]): Promise<string[]> {
    const { results } = await call<{ results: readonly Published[] }>(
      this.#host,
      'POST',
      '/v1/messages/batch',
      messages,
    )
    return results.flatMap((r) => r.deliveries.map((d) => d.id))
  }

  async #arrived(ids: readonly string[]): Promise<void> {
    const giveUpAt = performance.now() + 60_000
    while (ids.some((id) => this.#receiver.starts(id) === 0)) {
      if (performance.now() > giveUpAt) throw new Error('healthy agents did not get their mail within a minute')
      await pause(2)
    }
  }

  // As the receipts tell, read when the load is over.
  async #latencies(ids: readonly string[]): Promise<number[]> {
    const taken: number[] = []
    await each(ids, 8, async (id) => {
      const { steps } = await call<Receipt>(this.#host, 'GET', `/v1/deliveries/${id}`)
      const at = (step: string) => Date.parse(steps.find((s) => s.step === step)?.at ?? '')
      taken.push(at('delivered') - at('accepted'))
    })
    return taken.filter((ms) => !Number.isNaN(ms))
  }

  #deadCalls(): number {
    return this.#receiver.calls.filter((c) => c.agent.startsWith('dead-')).length
  }
}

const message = (to: string) => ({ to, type: 'bench', data: { work: 1 } })
const nth = (i: number): string => healthy[i % healthy.length] ?? ''

// A port that was free a moment ago: nobody listens there.
async function refusingUrl(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 9}`
}

/** The figures of one run. */
const figures: Readonly<Record<string, (run: Run) => number>> = {
  'throughput/s': (run) => run.throughput,
  'paced p50 ms': (run) => median(run.pacedMs),
  'paced p99 ms': (run) => quantile(run.pacedMs, 0.99),
  'burst p50 ms': (run) => median(run.burstMs),
  'burst p99 ms': (run) => quantile(run.burstMs, 0.99),
}

type Round = Readonly<Record<Case, Run>>

// A ratio is taken within its round, where the machine was the same, and the median of those is shown.
function report(rounds: readonly Round[]): void {
  const others = cases.filter((which) => which !== 'without')
  const ratio = (which: Case, figure: (run: Run) => number) =>
    rounded(median(rounds.map((round) => figure(round[which]) / figure(round.without))))
  const rows = Object.entries(figures).map(([name, figure]) => [
    name,
    ...cases.map((which) => rounded(median(rounds.map((round) => figure(round[which]))), 1)),
    ...others.map((which) => ratio(which, figure)),
  ])
  console.log(table([['', ...cases, ...others.map((which) => `${which} ÷`)], ...rows]))
  const all = Object.entries(figures).map(([name, figure]) => [
    name,
    {
      ratio: Object.fromEntries(others.map((which) => [which, ratio(which, figure)])),
      runs: Object.fromEntries(cases.map((which) => [which, rounds.map((round) => rounded(figure(round[which])))])),
    },
  ])
  const deadCalls = rounds.map((round) => round.hangs.deadCalls)
  console.log(JSON.stringify({ benchmark: 'bulkhead', rounds: rounds.length, deadCalls, ...Object.fromEntries(all) }))
}

/** One run of each; who goes first is another each time. */
async function oneRound(bench: Bulkhead, number: number): Promise<Round> {
  const runs = new Map<Case, Run>()
  for (let i = 0; i < cases.length; i++) {
    const which = cases[(number + i) % cases.length] ?? 'without'
    runs.set(which, await bench.run(which))
  }
  // Every case was run just now.
  return Object.fromEntries(runs) as Round
}

export async function bulkhead(): Promise<void> {
  const host = new Host(await deployable())
  const receiver = await Receiver.start({
    react: ({ agent }) => (agent.startsWith('dead-') ? { kind: 'hang' } : { kind: 'answer', status: 200 }),
    ack: () => Promise.resolve(),
  })
  try {
    await host.start()
    const bench = new Bulkhead(host, receiver, await refusingUrl())
    await bench.enrol()
    await oneRound(bench, 0) // Warm: nothing of it is counted.
    const rounds: Round[] = []
    const beganAt = performance.now()
    while (rounds.length < roundsMin || performance.now() - beganAt < startNoneAfterMs)
      rounds.push(await oneRound(bench, rounds.length))
    report(rounds)
  } finally {
    await host.stop()
    await receiver.stop()
  }
}

/**
 * The running Worker over HTTP, held against the model of a broker (test/shared/broker-model.ts): what a publisher, a puller and an
 * operator are told while its object is thrown out of memory now and then. `FUZZ_RUNS` and `FUZZ_SEED` ask for more stories and
 * for others. Never here: the clock, which nobody turns here, and the consumer (test/shared/broker-model.test.ts).
 */
import { evictDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import fc from 'fast-check'
import { describe, expect, inject, it } from 'vitest'
import { deadLetterId } from '../../shared/ids.ts'
import { httpCommand, type RealBroker, type Standing, stories, tellBoth } from '../shared/broker-commands.ts'
import type { ModelPolicy, Report, Wanted } from '../shared/broker-model.ts'
import { type Answered, type Body, call, pullAgent, type Registered, receipt } from './gateway.ts'

const { runs, seed } = inject('fuzz')

// Long against every story: nothing of it ends by itself.
const hourMs = 3_600_000
const policies: fc.Arbitrary<ModelPolicy> = fc.record({
  kind: fc.constant('pull' as const),
  depth: fc.constantFrom(2, 10),
  maxAttempts: fc.integer({ min: 1, max: 3 }),
  concurrency: fc.integer({ min: 1, max: 4 }),
  leaseMs: fc.constant(hourMs),
  dedupeMs: fc.constant(hourMs),
  backoffMs: fc.constant(hourMs),
  failureThreshold: fc.constant(1),
  ...{ openMs: fc.constant(hourMs), maxOpenMs: fc.constant(hourMs), probes: fc.constant(1) },
})

const standings: Readonly<Record<string, string>> = {
  ...{ held: 'waiting', parked: 'waiting', queued: 'waiting' },
  ...{ dispatched: 'leased', delivered: 'leased', claimed: 'leased' },
}

class HttpBroker implements RealBroker {
  readonly #agent: Registered
  readonly #startedAt = Date.now()
  readonly #ids: string[] = []
  readonly #tokens = new Map<string, string>()
  readonly #leases = new Map<string, number>()
  /** A letter is named by the life that ended with it. */
  readonly #redrives = new Map<string, number>()

  private constructor(agent: Registered) {
    this.#agent = agent
  }

  static async start({ depth, maxAttempts, concurrency }: ModelPolicy): Promise<HttpBroker> {
    const backoff = { initialSeconds: 3_600, factor: 2, capSeconds: 86_400, jitter: 'none' }
    return new HttpBroker(await pullAgent({ depth, maxAttempts, concurrency, dedupeSeconds: 3_600, backoff }))
  }

  async publish(wanted: readonly Wanted[]): Promise<string[]> {
    const json = wanted.map(({ key, content, partition, priority, delayMs, exactlyOnce }) => ({
      ...{ to: this.#agent.name, type: 'test', id: key, data: { content }, priority },
      ...(exactlyOnce ? { deliverymode: 'exactly_once' } : {}),
      ...(partition === undefined ? {} : { partitionkey: partition }),
      ...(delayMs === undefined ? {} : { delivertime: new Date(this.#startedAt + delayMs).toISOString() }),
    }))
    const { body } = await call('POST', '/v1/messages/batch', { json })
    return body.results.map((result: Body) => this.#told(result))
  }

  #told({ status, deliveries, duplicate, problem }: Body): string {
    if (status === 429) return `full ${problem.depth} of ${problem.max}`
    if (status !== 202)
      return `${problem.code === 'key_reused' ? 'conflict' : problem.code} ${this.#ids.indexOf(problem.delivery)}`
    const [{ id }] = deliveries
    if (!duplicate) this.#ids.push(id)
    return `${duplicate ? 'duplicate' : 'accepted'} ${this.#ids.indexOf(id)}`
  }

  async pull(max: number, leaseMs: number): Promise<number[]> {
    const { name, key } = this.#agent
    const json = { max, leaseSeconds: leaseMs / 1_000 }
    const { body } = await call('POST', `/v1/agents/${name}/lease`, { key, json })
    return body.deliveries.map(({ id, token }: Body) => {
      const n = (this.#leases.get(id) ?? 0) + 1
      this.#leases.set(id, n)
      this.#tokens.set(`${id} ${n}`, token)
      return this.#ids.indexOf(id)
    })
  }

  async report(name: number, n: number, report: Report, _ours: boolean, pauseMs = 0): Promise<string> {
    const { key } = this.#agent
    const id = this.#id(name)
    const token = this.#tokens.get(`${id} ${n}`)
    const json = { token, ...(report === 'fail' ? { terminal: true } : {}) }
    if (report === 'ok') return ending(await call('POST', `/v1/deliveries/${id}/ack`, { key, json }))
    const delaySeconds = report === 'retry' ? { delaySeconds: pauseMs / 1_000 } : {}
    return ending(await call('POST', `/v1/deliveries/${id}/nack`, { key, json: { ...json, ...delaySeconds } }))
  }

  async cancel(name: number): Promise<string> {
    return ending(await call('DELETE', `/v1/deliveries/${this.#id(name)}`))
  }

  async redrive(name: number): Promise<string> {
    const id = this.#id(name)
    const lives = this.#redrives.get(id) ?? 0
    const path = `/v1/dead-letters/${deadLetterId(id, lives)}`
    // What died is buried a moment later.
    await expect.poll(async () => (await call('GET', path)).status).toBe(200)
    const { status, body } = await call('POST', `${path}/redrive`)
    if (status === 200) this.#redrives.set(id, lives + 1)
    return status === 200 ? body.status : body.code === 'backpressure' ? 'full' : body.code
  }

  pause = () => this.#operate('pause', { reason: 'a test' })
  resume = () => this.#operate('resume', {})

  async #operate(what: string, json: object): Promise<void> {
    const { status } = await call('POST', `/v1/agents/${this.#agent.name}/${what}`, { json })
    expect(status).toBe(200)
  }

  async restart(): Promise<void> {
    await evictDurableObject(env.AGENTS.getByName(this.#agent.name))
  }

  async standing(): Promise<Standing> {
    const receipts = await Promise.all(this.#ids.map(receipt))
    const { body } = await call('GET', `/v1/agents/${this.#agent.name}/mailbox`)
    const items = receipts.map(({ status, attempt }) => ({ status: standings[status] ?? status, attempt }))
    return { items, depth: body.depth }
  }

  #id(name: number): string {
    return this.#ids[name] ?? 'ada_nobody'
  }

  // No such command is drawn here (httpCommand).
  take = notDrawn
  extend = notDrawn
  carry = notDrawn
  force = notDrawn
  clock = notDrawn
}

function notDrawn(): never {
  throw new Error('this command is not for a broker behind HTTP')
}

function ending({ status, body }: Answered): string {
  if (status === 200) return body.status
  if (body.code === 'already_settled') return `already_settled ${body.ended}`
  return body.code === 'stale_lease' ? 'stale' : `${status} ${body.code}`
}

describe('whatever is done to it over HTTP', () => {
  it('M1 M2 M3 M4 M5: the Worker answers and stands as the model of a broker does (A102)', {
    timeout: 60_000 + runs * 20_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(policies, stories(httpCommand, 40), async (policy, story) =>
        tellBoth(policy, await HttpBroker.start(policy), story),
      ),
      { numRuns: runs, seed, interruptAfterTimeLimit: 20_000 + runs * 15_000 },
    )
  })
})

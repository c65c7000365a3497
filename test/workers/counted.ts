/**
 * A Switchboard whose time, queues and alarms a test moves, so that no operation is missed and nothing sleeps; and what its bill
 * comes to at list price. Never here: what anything should cost (the tests).
 */
import {
  createExecutionContext,
  createMessageBatch,
  createScheduledController,
  getQueueResult,
  runDurableObjectAlarm,
  runInDurableObject,
  waitOnExecutionContext,
} from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { expect, vi } from 'vitest'
import { type Billed, dollarsFor } from '../../scripts/prices.ts'
import type { PolicyInput } from '../../shared/policy.ts'
import { createSwitchboard } from '../../workers/switchboard.ts'
import { adminKey, freshName } from './gateway.ts'
import {
  type Bill,
  billSince,
  newBill,
  objectCalls,
  operationsOf,
  queueOperations,
  type Sent,
  watchPlatform,
  wrappedEnv,
} from './ledger.ts'

export const second = 1_000
export const hour = 3_600 * second

const billedOf = (bill: Bill, messages: number): Billed => ({
  messages,
  workerRequests: bill.workerRequests,
  objectRequests: objectCalls(bill) + bill.alarms,
  rows: bill.rows,
  queueOperations: queueOperations(bill),
})

/** Dollars for a million times what is on the bill. */
export const dollars = (bill: Bill): number => dollarsFor(billedOf(bill, 1))

/** Holds docs/cost.md to what was counted: the page is made of these files (`npm run cost`). */
export const toldInTheDocs = (name: string, bill: Bill, messages = 1): Promise<void> =>
  expect(`${JSON.stringify(billedOf(bill, messages), null, 2)}\n`).toMatchFileSnapshot(`bills/${name}.json`)

type Asked = Parameters<ReturnType<typeof createSwitchboard>['fetch']>[0]

/** A Switchboard whose time, queues and alarms a test moves. */
export class Counted {
  readonly bill = newBill()
  readonly sent: Sent[] = []
  /** Whose alarms are run: agents and publications, by name. */
  readonly agents: string[] = []
  readonly publications: string[] = []
  /** Any others whose alarms are run. */
  readonly others: DurableObjectStub<undefined>[] = []
  /** What every webhook answers. */
  answer = (): Response => new Response(null, { status: 204 })
  key = adminKey
  readonly env = wrappedEnv(this.bill, this.sent, {
    SWITCHBOARD_ADMIN_KEY: adminKey,
    SWITCHBOARD_DEV: '1',
    SWITCHBOARD_PATIENCE_SECONDS: '840',
  })
  readonly #worker: ReturnType<typeof createSwitchboard>
  readonly watched: ReturnType<typeof watchPlatform>

  /**
   * `captures`: what objects send from their alarms is on the bill too, and moved by `drain`. `laterBy`: who waits asks again so many
   * times later, late enough to find the answer there, however busy the machine is.
   */
  constructor({ captures = false, laterBy = 1 }: { readonly captures?: boolean; readonly laterBy?: number } = {}) {
    this.watched = captures ? watchPlatform(this.bill, this.sent) : watchPlatform(this.bill)
    this.#worker = createSwitchboard({
      agents: [],
      ports: (platform) => ({
        ...platform,
        fetch: async () => this.answer(),
        after: (ms, then) => platform.after(ms * laterBy, then),
      }),
    })
  }

  async call(method: string, path: string, json?: unknown, more: Readonly<Record<string, string>> = {}) {
    this.bill.workerRequests += 1
    const body = json === undefined ? null : JSON.stringify(json)
    const headers = { Authorization: `Bearer ${this.key}`, 'Content-Type': 'application/json', ...more }
    const request = new Request(`http://switchboard.test${path}`, { method, headers, body })
    const ctx = createExecutionContext()
    // The handler's type wants the request as workerd made it; one that a test makes has no `cf`.
    const response = await this.#worker.fetch(request as Asked, this.env, ctx)
    await waitOnExecutionContext(ctx)
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  }

  /** Hands over what was sent, until nothing is left. */
  async drain(): Promise<void> {
    while (this.sent.length > 0) {
      const queue = this.sent[0]?.queue ?? ''
      const mine = this.sent.filter((s) => s.queue === queue).slice(0, 25)
      for (const one of mine) this.sent.splice(this.sent.indexOf(one), 1)
      await this.#consume(queue, mine)
    }
  }

  async #consume(queue: string, sent: readonly Sent[]): Promise<void> {
    this.bill.workerRequests += 1
    const messages = sent.map(({ body }, i) => ({ id: `m${i}`, timestamp: new Date(), attempts: 1, body }))
    const batch = createMessageBatch(queue, messages)
    const ctx = createExecutionContext()
    await this.#worker.queue(batch, this.env, ctx)
    const result = await getQueueResult(batch, ctx)
    if (result.retryMessages.length > 0) throw new Error(`retried: ${JSON.stringify(result.retryMessages)}`)
    for (const { body } of sent) {
      this.bill.queueReads += operationsOf(body)
      this.bill.queueDeletes += operationsOf(body)
    }
  }

  /** Lets time pass, and runs each alarm when it is due. */
  async pass(ms: number): Promise<void> {
    const until = Date.now() + ms
    for (let due = await this.#alarmsUntil(until); due.length > 0; due = await this.#alarmsUntil(until)) {
      for (const { at, stub } of due) {
        vi.setSystemTime(Math.max(Date.now(), at))
        await runDurableObjectAlarm(stub)
        await this.drain()
      }
    }
    vi.setSystemTime(until)
  }

  async #alarmsUntil(until: number) {
    const stubs = [
      ...this.agents.map((name) => env.AGENTS.getByName(name)),
      ...this.publications.map((id) => env.PUBLICATIONS.getByName(id)),
      ...this.others,
    ] as DurableObjectStub<undefined>[]
    const due: { readonly at: number; readonly stub: DurableObjectStub<undefined> }[] = []
    for (const stub of stubs) {
      const at = await runInDurableObject(stub, (_, state) => state.storage.getAlarm())
      if (at !== null && at <= until) due.push({ at, stub })
    }
    return due.sort((a, b) => a.at - b.at)
  }

  /** The hourly sweep, of the whole deployment. */
  async sweep(): Promise<void> {
    this.bill.workerRequests += 1
    const ctx = createExecutionContext()
    await this.#worker.scheduled(createScheduledController(), this.env, ctx)
    await waitOnExecutionContext(ctx)
  }

  /** What the hourly sweep does with each agent. */
  async visit(agent: string): Promise<void> {
    const { references } = await this.env.AGENTS.getByName(agent).sweep()
    expect(references).toEqual([])
  }

  /** A webhook agent that has had mail before, and a publisher whose key was just used. */
  async warmedUp(policy: PolicyInput = {}): Promise<string> {
    const name = freshName('counted')
    this.key = adminKey
    await this.call('PUT', `/v1/agents/${name}`, { kind: 'webhook', url: `http://127.0.0.1/${name}`, policy })
    this.agents.push(name)
    const { body } = await this.call('POST', '/v1/keys', { name: freshName('app') })
    this.key = body.key
    await this.send(name)
    await this.pass(60 * second)
    // Asks for the key anew, so that it is remembered for the next five seconds.
    await this.call('GET', `/v1/agents/${name}`)
    return name
  }

  async send(agent: string): Promise<string> {
    const { status, body } = await this.call('POST', '/v1/messages', {
      to: agent,
      type: 'test.note',
      data: { text: 'x'.repeat(500) },
    })
    if (status !== 202) throw new Error(`publish answered ${status}`)
    await this.drain()
    return body.deliveries[0].id
  }

  /** What happens meanwhile, from warm to quiet. */
  async count(work: () => Promise<void>): Promise<Bill> {
    const before = structuredClone(this.bill)
    await work()
    return billSince(before, this.bill)
  }
}

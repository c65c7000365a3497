/**
 * A run with a ledger: publishers, askers, workflows, a schedule and a puller at work on a real Switchboard that is killed again and
 * again, on the same storage; and everything that was said to any of them, written down outside of it. Never here: what must hold
 * (test/simulator/ledger.ts).
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Ended, Kept, Ledger, Probing, Promised, Span } from '../simulator/ledger.ts'
import { type Bundle, Host, hostAdminKey } from './host.ts'
import { Receivers, tempers, workDone } from './ledger-receivers.ts'
import type { Told } from './wire.ts'

export interface Plan {
  readonly seed: number
  readonly kills: number
  /** How long each life lasts: at least, and at most so much longer. */
  readonly leastLifeMs: number
  readonly moreLifeMs: number
}

/** Ten times what the slowest repair takes: a lease, and 5 s until an alarm asks again. */
const patienceMs = 90_000
const probes = 1
const policy = {
  ...{ timeoutSeconds: 1, maxAttempts: 8, backoff: 'quick', concurrency: 4 },
  breaker: { failureThreshold: 3, openSeconds: 0.5, maxOpenSeconds: 1, probes },
}
const keys = ['left', 'middle', 'right', undefined] as const
const mailboxes: readonly string[] = [...tempers, 'puller', 'tally']

/** Dice that fall the same way for the same seed. */
function diceOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

const definition = (() => {
  const ask = { type: 'send', params: { to: 'steady', type: 'ledger.ask' } }
  return {
    initial: 'first',
    states: {
      first: { entry: ask, on: { 'ledger.ask.reply': 'second' } },
      second: { entry: ask, on: { 'ledger.ask.reply': 'done' } },
      done: { type: 'final' },
    },
  }
})()

export class LedgerRun {
  readonly promised: Promised[] = []
  readonly complaints: string[] = []
  readonly requests: string[] = []
  readonly workflows: string[] = []
  readonly #host: Host
  readonly #receivers: Receivers
  readonly #plan: Plan
  #loaded = true
  #open = true

  private constructor(host: Host, receivers: Receivers, plan: Plan) {
    this.#host = host
    this.#receivers = receivers
    this.#plan = plan
  }

  /** Runs the plan from beginning to end, and gives its ledger. */
  static async ledgerOf(worker: Bundle, plan: Plan): Promise<{ ledger: Ledger; complaints: readonly string[] }> {
    const run = new LedgerRun(new Host(worker), await Receivers.start(diceOf(plan.seed + 2)), plan)
    try {
      await run.#host.start()
      await run.#enrol()
      await run.#live()
      return { ledger: await run.#read(), complaints: [...run.complaints, ...run.#receivers.complaints] }
    } finally {
      run.#open = false
      await run.#host.stop()
      await run.#receivers.stop()
    }
  }

  // --- asking -----------------------------------------------------------------------------------------------------------

  /** Asks until somebody answers, through as many deaths as it takes. */
  async #ask(method: string, path: string, json?: unknown, headers: Record<string, string> = {}): Promise<Told> {
    const deadlineAt = Date.now() + patienceMs
    while (this.#open && Date.now() < deadlineAt) {
      const answer = await this.#askOnce(method, path, json, headers)
      if (answer !== undefined && answer.status !== 503) return answer
      await pause(20)
    }
    throw new Error(`${method} ${path} was never answered`)
  }

  async #askOnce(method: string, path: string, json: unknown, headers: Record<string, string>) {
    try {
      const response = await fetch(`${this.#host.url}${path}`, {
        method,
        headers: { authorization: `Bearer ${hostAdminKey}`, 'content-type': 'application/json', ...headers },
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
        signal: AbortSignal.timeout(10_000),
      })
      const text = await response.text()
      return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
    } catch {
      // The process died, or was not there.
      return undefined
    }
  }

  async #enrol(): Promise<void> {
    for (const agent of [...tempers, 'tally']) {
      const batch = agent === 'batcher' ? { batch: { size: 4, waitSeconds: 0.2 } } : {}
      const url = `${this.#receivers.url}/${agent}`
      await this.#require('PUT', `/v1/agents/${agent}`, { kind: 'webhook', url, policy: { ...policy, ...batch } })
    }
    await this.#require('PUT', '/v1/agents/puller', { kind: 'pull', policy })
    const message = { to: 'steady', type: 'ledger.tick' }
    await this.#require('PUT', '/v1/schedules/tick', { everySeconds: 1, overlap: 'allow', catchUp: 'all', message })
  }

  async #require(method: string, path: string, json: unknown): Promise<void> {
    const { status, body } = await this.#ask(method, path, json)
    if (status >= 300) throw new Error(`${method} ${path} was answered ${status} ${JSON.stringify(body)}`)
  }

  // --- the load ---------------------------------------------------------------------------------------------------------

  async #live(): Promise<void> {
    const dice = diceOf(this.#plan.seed)
    const lines = [...tempers, 'puller'].flatMap((agent) => keys.map((key) => this.#publisher(agent, key)))
    const load = [...lines, this.#asker(), this.#starter()]
    const pulling = this.#puller()
    for (let kill = 0; kill < this.#plan.kills; kill++) {
      await pause(this.#plan.leastLifeMs + dice() * this.#plan.moreLifeMs)
      this.#host.kill()
      await this.#host.dead()
      await this.#host.start()
    }
    await pause(this.#plan.leastLifeMs)
    this.#loaded = false
    await Promise.all(load)
    await this.#require('DELETE', '/v1/schedules/tick', undefined)
    this.#receivers.healed = true
    await this.#rest()
    this.#open = false
    await pulling
    this.#open = true
  }

  /** One line of one agent, one message after the other; now and then three at once. */
  async #publisher(agent: string, key: string | undefined): Promise<void> {
    const dice = diceOf(this.#plan.seed + 10 * mailboxes.indexOf(agent) + keys.indexOf(key as 'left'))
    for (let n = 0; this.#loaded; ) {
      const count = dice() < 0.15 ? 3 : 1
      const bodies = Array.from({ length: count }, (_, i) => ({
        ...{ to: agent, type: 'ledger.work', id: `${agent}-${key ?? 'any'}-${n + i}` },
        ...(key === undefined ? {} : { partitionkey: key }),
      }))
      const { body } = await this.#ask('POST', '/v1/messages/batch', bodies)
      for (const result of body?.results ?? [{ status: JSON.stringify(body) }]) {
        const [delivery] = result.deliveries ?? []
        if (result.status !== 202) this.complaints.push(`a publish was answered ${JSON.stringify(result)}`)
        else
          this.promised.push({
            delivery: delivery.id,
            agent,
            ...(key === undefined ? {} : { key }),
            n,
            hasEffect: true,
          })
        n += 1
      }
      await pause(400 + dice() * 500)
    }
  }

  async #asker(): Promise<void> {
    for (let n = 0; this.#loaded; n++) {
      const request = { id: `request-${n}`, to: 'steady', type: 'ledger.ask', timeoutSeconds: 120 }
      const { status, body } = await this.#ask('POST', '/v1/requests', request, { Prefer: 'respond-async' })
      if (status >= 300) this.complaints.push(`a request was answered ${status} ${JSON.stringify(body)}`)
      else this.requests.push(body.request ?? body.id)
      await pause(700)
    }
  }

  async #starter(): Promise<void> {
    for (let n = 0; this.#loaded; n++) {
      const id = `workflow-${n}`
      const { status, body } = await this.#ask('POST', '/v1/workflows', { id, definition, state: {} })
      // 200: an answer was lost, and it is there.
      if (status !== 201 && status !== 200)
        this.complaints.push(`a workflow was answered ${status} ${JSON.stringify(body)}`)
      this.workflows.push(id)
      await pause(900)
    }
  }

  async #puller(): Promise<void> {
    while (this.#open) {
      const asked = { max: 3, waitSeconds: 0.5, leaseSeconds: 2 }
      const answer = await this.#ask('POST', '/v1/agents/puller/lease', asked).catch(() => undefined)
      for (const { id, token, message } of answer?.body?.deliveries ?? []) {
        this.#receivers.note(id, this.#receivers.nextCall())
        const { result, ...effects } = workDone(id, message)
        await this.#ask('POST', `/v1/deliveries/${id}/ack`, { token, result, effects }).catch(() => undefined)
      }
      await pause(20)
    }
  }

  // --- coming to rest ---------------------------------------------------------------------------------------------------

  /** Waits for everything that must come, without a look into any mailbox: that would wake it, and it must wake by itself (M6). */
  async #rest(): Promise<void> {
    const deadlineAt = Date.now() + patienceMs
    const done = () => new Set(this.#receivers.effects.map((effect) => effect.of)).size
    while (done() < this.promised.length && Date.now() < deadlineAt) {
      await pause(100)
      // Dead letters have no effect; the index knows of them.
      if (done() + (await this.#pages('/v1/dead-letters')).length >= this.promised.length) break
    }
    for (let quiet = false; !quiet && Date.now() < deadlineAt; await pause(100)) {
      const mail = await Promise.all(mailboxes.map((agent) => this.#ask('GET', `/v1/agents/${agent}/mailbox`)))
      quiet = mail.every(({ body }) => body.depth === 0 && body.nextDueAt === undefined)
    }
  }

  async #pages(path: string): Promise<Told['body'][]> {
    const items: Told['body'][] = []
    let cursor: string | undefined
    do {
      const { body } = await this.#ask(
        'GET',
        `${path}${cursor === undefined ? '' : `?cursor=${encodeURIComponent(cursor)}`}`,
      )
      items.push(...body.items)
      cursor = body.cursor
    } while (cursor !== undefined)
    return items
  }

  // --- the ledger -------------------------------------------------------------------------------------------------------

  async #read(): Promise<Ledger> {
    const receipts = new Map<string, Told['body'][]>()
    for (const agent of mailboxes) receipts.set(agent, await this.#pages(`/v1/agents/${agent}/deliveries`))
    const all = [...receipts.values()].flat()
    return {
      promised: this.promised,
      seen: this.#receivers.seen,
      ended: all.map(endedOf),
      effects: this.#receivers.effects,
      probing: await Promise.all(tempers.map((agent) => this.#probingOf(agent, receipts.get(agent) ?? []))),
      kept: [...(await this.#kept()), ...(await this.#audited()), ...keptOf(receipts.get('steady') ?? [])],
    }
  }

  async #probingOf(agent: string, receipts: readonly Told['body'][]): Promise<Probing> {
    const { history } = (await this.#ask('GET', `/v1/agents/${agent}/breaker`)).body
    const windows = history.flatMap((move: Told['body'], i: number) =>
      move.to === 'half_open'
        ? [{ from: Date.parse(move.at), until: Date.parse(history[i + 1]?.at ?? '9999-01-01') }]
        : [],
    )
    // Of a batch the call is the probe.
    const attempts = new Map<string, Span>()
    for (const { startedAt, endedAt } of receipts.flatMap((receipt) => receipt.attempts))
      attempts.set(`${startedAt} ${endedAt}`, { from: Date.parse(startedAt), until: Date.parse(endedAt) })
    return { agent, probes, windows, attempts: [...attempts.values()] }
  }

  /** What the broker says of itself has to be even as well. */
  async #audited(): Promise<Kept[]> {
    const { items } = (await this.#ask('GET', '/v1/audit')).body
    return items.map(({ agent, verdict }: Told['body']) => ({
      ...{ what: `an audit of ${agent} that adds up`, wanted: 1, got: verdict === 'mismatch' ? 0 : 1 },
    }))
  }

  async #kept(): Promise<Kept[]> {
    const kept: Kept[] = []
    for (const id of this.requests) {
      const { body } = await this.#ask('GET', `/v1/requests/${id}`)
      kept.push({
        what: `the reply to ${id}, which is ${body.status},`,
        wanted: 1,
        got: body.status === 'replied' ? 1 : 0,
      })
    }
    for (const id of this.workflows) {
      const { body } = await this.#ask('GET', `/v1/workflows/${id}`)
      // Created, and one step for each answer: version 3.
      const steps = body.status === 'completed' ? body.version : 0
      kept.push({ what: `a step of ${id}, which is ${body.status} at ${body.value},`, wanted: 3, got: steps })
    }
    return kept
  }
}

function endedOf(receipt: Told['body']): Ended {
  const endings = new Set(['completed', 'failed', 'dead_lettered', 'expired', 'cancelled'])
  return {
    delivery: receipt.id,
    status: receipt.status,
    endings: receipt.steps.filter(({ step }: Told['body']) => endings.has(step)).length,
    lives: receipt.redrives + 1,
    attempts: receipt.attempt,
    maxAttempts: receipt.maxAttempts,
    ...(receipt.result === undefined ? {} : { nonce: receipt.result.nonce }),
  }
}

/** Every second of the schedule was fired once: its messages are named by their times. And each message came once. */
function keptOf(receipts: readonly Told['body'][]): Kept[] {
  const ids: string[] = receipts.map((receipt) => receipt.message.id)
  const times = ids.filter((id) => id.startsWith('tick-')).map((id) => Date.parse(id.slice('tick-'.length)))
  const spanMs = times.length === 0 ? 0 : Math.max(...times) - Math.min(...times)
  const once = [...new Set(ids)].map((id) => ({
    ...{ what: `the message ${id}`, wanted: 1, got: ids.filter((one) => one === id).length },
  }))
  return [...once, { what: 'a firing of the schedule', wanted: spanMs / 1_000 + 1, got: times.length }]
}

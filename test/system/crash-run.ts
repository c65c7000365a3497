/**
 * One run of the crash test: a Switchboard that can be killed, agents of every kind, a publisher that asks until it is told,
 * and a ledger of all that was said, kept outside of the process that dies. Never here: what must hold (crash-checks.ts).
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Armed, bindingsOf, type Fate, sinks, workDone } from './crash-points.ts'
import { type Bundle, bundle, Host, hostAdminKey } from './host.ts'
import { type Call, type Reaction, Receiver } from './receiver.ts'

// Long enough for a slow machine, short enough that a lease lost in a crash is over soon.
const policy = {
  timeoutSeconds: 2,
  maxAttempts: 6,
  backoff: 'quick',
  ackSeconds: 3,
  breaker: { openSeconds: 1, maxOpenSeconds: 2 },
}
const lateMs = 2_500
/** Twice what the slowest repair takes: 5 s until an alarm asks again, and a lease. */
export const patienceMs = 40_000

/** The agents that work. Each of their deliveries sets off one message to each of the sinks. */
export const workers = ['alpha', 'laggard', 'crafter', 'puller'] as const
export type Worker = (typeof workers)[number]
export const mailboxes: readonly string[] = [...workers, ...sinks]
const webhooks = ['alpha', 'laggard', ...sinks]

/** A message of ours, and what we were told of it. */
export interface Published {
  readonly id: string
  readonly to: Worker
  readonly fate: Fate
  /** Its delivery; set once a 2xx said so. */
  delivery?: string
  /** That 2xx said that it had been accepted before, so an answer was lost. */
  duplicate?: boolean
}

/** What of an answer anything here looks at. The shapes themselves are held elsewhere (test/workers/gateway.ts). */
interface Told {
  readonly status?: number | string
  readonly secret?: string
  readonly duplicate?: boolean
  readonly deliveries?: readonly Leased[]
  readonly results?: readonly Told[]
  readonly items?: readonly unknown[]
  readonly cursor?: string
  readonly depth?: number
  readonly inFlight?: number
  readonly released?: number
  readonly nextDueAt?: string
}

/** A delivery as a lease hands it out; a publish tells only its id. */
interface Leased {
  readonly id: string
  readonly token: string
  readonly attempt: number
  readonly message: Call['message']
}

interface Answer {
  readonly status: number
  readonly body: Told
}

// Hosts wait more than they work, but each is two processes with a V8 in them.
const hostsAtOnce = 2
let free = hostsAtOnce
const queue: (() => void)[] = []

/** In its turn. */
export async function hosting<T>(work: () => Promise<T>): Promise<T> {
  if (free === 0) await new Promise<void>((resolve) => queue.push(resolve))
  else free -= 1
  try {
    return await work()
  } finally {
    const next = queue.shift()
    if (next === undefined) free += 1
    else next()
  }
}

/** The Worker that can be killed. Once per test file. */
export const crashWorker = (): Promise<Bundle> => bundle(join(import.meta.dirname, 'crash-entry.ts'))

export class Run {
  readonly host: Host
  readonly receiver: Receiver
  readonly ledger = new Map<string, Published>()
  /** Every result that anybody gave, by delivery. */
  readonly nonces = new Map<string, Set<string>>()
  /** Every ack by token that was answered, and how. */
  readonly acks: { readonly delivery: string; readonly nonce: string; readonly status: number }[] = []
  /** What our side was told and should not have been. */
  readonly complaints: string[] = []
  readonly #executioner: Server
  readonly #reached: Promise<string>
  #forgiving = false
  #open = true
  #puller: Promise<void> = Promise.resolve()

  private constructor(host: Host, receiver: Receiver, executioner: Server, reached: Promise<string>) {
    this.host = host
    this.receiver = receiver
    this.#executioner = executioner
    this.#reached = reached
  }

  /** A Switchboard that will die where it is armed to, with its agents registered. */
  static async start(bundle: Bundle, armed?: Armed): Promise<Run> {
    const host = new Host(bundle)
    let run: Run | undefined
    const receiver = await Receiver.start({
      react: (call, earlier) => run?.react(call, earlier) ?? { kind: 'hang' },
      ack: (call, body) => run?.settleByToken(call.delivery, call.token, body) ?? Promise.resolve(),
    })
    const { server, reached, url } = await startExecutioner(host)
    run = new Run(host, receiver, server, reached)
    try {
      await run.startHost(armed === undefined ? {} : bindingsOf(armed, url))
      await run.#enrol()
      run.#puller = run.#pull()
    } catch (error) {
      await run.stop()
      throw error
    }
    return run
  }

  startHost(bindings: Readonly<Record<string, string>> = {}): Promise<void> {
    return this.host.start({ RECEIVER_URL: this.receiver.url, ...bindings })
  }

  /** Waits until the armed point was reached and everything is dead; tells where that was. */
  async killed(): Promise<string> {
    const where = await Promise.race([this.#reached, pause(patienceMs, undefined, { ref: false })])
    if (where === undefined) throw new Error(`the point was not reached within ${patienceMs} ms\n${this.story()}`)
    await this.host.dead()
    return where
  }

  async stop(): Promise<void> {
    this.#open = false
    await this.host.stop()
    this.#executioner.closeAllConnections()
    this.#executioner.close()
    await this.receiver.stop()
    await this.#puller
  }

  /** For a failing test: the end of what the Worker logged. */
  story(): string {
    return this.host.log.slice(-30).join('\n')
  }

  // --- asking -----------------------------------------------------------------------------------------------------------

  /** Asks until somebody answers, through as many deaths as it takes. */
  async ask(method: string, path: string, body?: unknown, key?: string): Promise<Answer> {
    const deadlineAt = Date.now() + 2 * patienceMs
    while (this.#open && Date.now() < deadlineAt) {
      const { url } = this.host
      const answer = url === undefined ? undefined : await askOnce(`${url}${path}`, method, body, key)
      if (answer !== undefined && answer.status !== 503) return answer
      await pause(20)
    }
    throw new Error(`${method} ${path} was never answered`)
  }

  /** What a path answers, which its caller knows. */
  async read<Body>(path: string): Promise<Body> {
    return (await this.ask('GET', path)).body as unknown as Body
  }

  /** Reads until it is as wanted; then what was read. */
  async until<Body>(path: string, isDone: (body: Body) => boolean): Promise<Body> {
    const deadlineAt = Date.now() + patienceMs
    for (;;) {
      const body = await this.read<Body>(path)
      if (isDone(body)) return body
      if (Date.now() > deadlineAt) throw new Error(`${path} rests as ${JSON.stringify(body)}\n${this.story()}`)
      await pause(100)
    }
  }

  async #enrol(): Promise<void> {
    const put = async (agent: string, registration: object) => {
      const { status, body } = await this.ask('PUT', `/v1/agents/${agent}`, registration)
      if (status !== 201) throw new Error(`${agent} was not registered: ${status} ${JSON.stringify(body)}`)
      if (body.secret !== undefined) this.receiver.trust(agent, body.secret)
    }
    for (const agent of webhooks) {
      const ack = agent === 'laggard' ? 'later' : 'response'
      const skills = [{ id: agent, name: agent, description: `does as ${agent} does`, tags: [] }]
      await put(agent, { kind: 'webhook', url: `${this.receiver.url}/${agent}`, policy: { ...policy, ack }, skills })
    }
    await put('puller', { kind: 'pull', policy })
  }

  /** Publishes what the fates say to a worker: as one message, or as a batch. Returns when every one is accepted. */
  async publish(to: Worker, given: readonly Fate[]): Promise<void> {
    const published = given.map((fate) => this.#entry(to, fate))
    const bodies = published.map(({ id, fate }) => ({
      ...{ id, to, type: 'crash.work', replyto: 'replies', data: { fate } },
      // Else its key would be free again once it is dead, and sending it again would be another message.
      ...(fate === 'die' ? { deliverymode: 'exactly_once' } : {}),
    }))
    const single = bodies.length === 1
    const { status, body } = single
      ? await this.ask('POST', '/v1/messages', bodies[0])
      : await this.ask('POST', '/v1/messages/batch', bodies)
    const results: readonly Told[] = single ? [{ status, ...body }] : (body.results ?? [])
    published.forEach((one, i) => {
      const result = results[i]
      const accepted = result?.status === 202 ? result.deliveries?.[0] : undefined
      if (accepted !== undefined) Object.assign(one, { delivery: accepted.id, duplicate: result?.duplicate })
      else this.complaints.push(`${one.id} was answered ${JSON.stringify(result ?? body)}`)
    })
  }

  #entry(to: Worker, fate: Fate): Published {
    const entry: Published = { id: `m${this.ledger.size + 1}-${to}-${fate}`, to, fate }
    this.ledger.set(entry.id, entry)
    return entry
  }

  // --- working ----------------------------------------------------------------------------------------------------------

  get forgiven(): boolean {
    return this.#forgiving
  }

  /** From now on what was to die lives. */
  forgive(): void {
    this.#forgiving = true
  }

  react(call: Call, earlier: number): Reaction {
    const isWorker = (workers as readonly string[]).includes(call.agent)
    if (!isWorker) return { kind: 'answer', status: 200 }
    const { fate } = call.message.data as { fate: Fate }
    const work = workDone(this.#nonce(call.delivery))
    const done: Reaction = { kind: 'answer', status: 200, body: work }
    if (fate === 'die' && !this.#forgiving) return { kind: 'answer', status: 422, body: { error: 'never' } }
    if (fate === 'twice') return { kind: 'twice', ack: ackOf(work), body: workDone(this.#nonce(call.delivery)) }
    if (earlier === 0 && fate === 'fail_once') return { kind: 'answer', status: 500 }
    if (earlier === 0 && fate === 'hang_once') return { kind: 'hang' }
    if (earlier === 0 && fate === 'late_once') return { ...done, afterMs: lateMs }
    return call.agent === 'laggard' ? { kind: 'later', ack: ackOf(work) } : done
  }

  #nonce(delivery: string): string {
    const nonce = crypto.randomUUID()
    this.nonces.set(delivery, (this.nonces.get(delivery) ?? new Set()).add(nonce))
    return nonce
  }

  async settleByToken(delivery: string, token: string, body: unknown): Promise<void> {
    const ack = body as ReturnType<typeof ackOf>
    // Unanswered only when the run is over.
    const answer = await this.ask('POST', `/v1/deliveries/${delivery}/ack`, { token, ...ack }).catch(() => undefined)
    if (answer === undefined) return
    this.acks.push({ delivery, nonce: ack.result.nonce, status: answer.status })
    // 409: the lease was over, or somebody was first.
    if (answer.status !== 200 && answer.status !== 409)
      this.complaints.push(`the ack of ${delivery} was answered ${answer.status} ${JSON.stringify(answer.body)}`)
  }

  async #pull(): Promise<void> {
    const request = { max: 3, waitSeconds: 0.5, leaseSeconds: 3 }
    while (this.#open) {
      const answer = await this.ask('POST', '/v1/agents/puller/lease', request).catch(() => undefined)
      if (answer === undefined) continue
      const { status, body } = answer
      if (status !== 200) this.complaints.push(`a lease was answered ${status} ${JSON.stringify(body)}`)
      await Promise.all((body.deliveries ?? []).map((leased) => this.#work(leased)))
      if (status !== 200) await pause(100)
    }
  }

  async #work({ id, token, attempt, message }: Leased): Promise<void> {
    this.receiver.note({ agent: 'puller', delivery: id, attempt, token, message })
    await this.settleByToken(id, token, ackOf(workDone(this.#nonce(id))))
  }
}

/** What a webhook would answer, as an ack by token says it. */
function ackOf({ result, ...effects }: ReturnType<typeof workDone>) {
  return { result, effects }
}

async function askOnce(url: string, method: string, body: unknown, key?: string): Promise<Answer | undefined> {
  const named = key === undefined ? {} : { 'idempotency-key': key }
  try {
    const response = await fetch(url, {
      method,
      headers: { authorization: `Bearer ${hostAdminKey}`, 'content-type': 'application/json', ...named },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? {} : JSON.parse(text) }
  } catch {
    // Nobody answered: the process died, or was not there.
    return undefined
  }
}

/** Kills the host when it is asked to, which only an armed Worker does, and never answers. */
async function startExecutioner(host: Host) {
  let reach: (where: string) => void = () => undefined
  const reached = new Promise<string>((resolve) => {
    reach = resolve
  })
  const server = createServer((request) => {
    let where = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      where += text
    })
    request.on('end', () => {
      host.kill()
      reach(where)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, reached, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

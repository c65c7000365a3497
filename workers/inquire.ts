/**
 * Inquire: a handler asks another agent in the middle of its work, and waits. It acts at once, fenced by the lease; the call's
 * place among the handler's own is its key, so a re-run finds the answer that the first run had. Never here: the request
 * itself (workers/request.ts).
 */
import type { AgentRecord } from '../shared/agent.ts'
import type { LeasedDelivery } from '../shared/agent-port.ts'
import { type Fault, problemOf } from '../shared/fault.ts'
import { isGatherId } from '../shared/gather.ts'
import type { GatherReport } from '../shared/gather-port.ts'
import { digest, parseDeliveryId } from '../shared/ids.ts'
import { canonical } from '../shared/json.ts'
import { limits } from '../shared/limits.ts'
import { destinationOf } from '../shared/message.ts'
import type { Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { faultOfRequest, replyOf } from '../shared/request.ts'
import { type Asking, type HandlerContext, RequestError } from './define.ts'
import { descend } from './follow.ts'
import { recorded } from './recorded.ts'
import { ask, awaitReply } from './request.ts'

/** `ctx.request` of one run of a handler. */
export function inquirer(
  platform: Platform,
  agent: AgentRecord,
  lease: LeasedDelivery,
  deadlineAt: number,
  signal: AbortSignal,
): HandlerContext['request'] {
  let ordinal = 0
  return (to, type, data, options = {}) => {
    ordinal += 1
    return new Inquiry(platform, agent, lease, deadlineAt, signal).ask(ordinal, { to, type, data }, options)
  }
}

interface Question {
  readonly to: string
  readonly type: string
  readonly data: unknown
}

// A request of an earlier run that got no reply is asked anew, so that a retry is one; bounded by what a delivery may be tried.
const triesMax = limits.attemptsPerReceipt

const atWork: ReadonlySet<string> = new Set(['dispatched', 'delivered', 'claimed'])

class Inquiry {
  readonly #platform: Platform
  readonly #agent: AgentRecord
  readonly #lease: LeasedDelivery
  readonly #deadlineAt: number
  readonly #signal: AbortSignal

  constructor(platform: Platform, agent: AgentRecord, lease: LeasedDelivery, deadlineAt: number, signal: AbortSignal) {
    this.#platform = platform
    this.#agent = agent
    this.#lease = lease
    this.#deadlineAt = deadlineAt
    this.#signal = signal
  }

  async ask(ordinal: number, message: Question, { timeoutSeconds = 30, ...more }: Asking) {
    await this.#requireLease()
    // What is asked is part of the key: a run that asks something else in its place must not be given this one's answer.
    const question = `${ordinal}/${digest(canonical({ ...message, ...more }))}`
    if (this.#lease.replays !== undefined) return recorded(this.#platform, this.#lease.replays, question, message.to)
    const { head, hops, id } = this.#lease
    if (hops + 1 > limits.hops) throw new RequestError('hop_limit', `the causal chain is longer than ${limits.hops}`)
    const input = {
      correlationid: head.correlationid,
      causationid: head.id,
      ...(head.workflowid === undefined ? {} : { workflowid: head.workflowid }),
      ...message,
      ...more,
      timeoutSeconds: Math.max(0.05, Math.min(timeoutSeconds, (this.#deadlineAt - this.#platform.now()) / 1_000)),
    }
    const path = await this.#path()
    for (let tries = 1; tries <= triesMax; tries++) {
      const key = `${id}/${question}/${tries}`
      const descent = await descend(this.#platform, this.#lease, key, [input])
      const options = { ...this.#options(key), path, descent, meets: (to: string) => this.#requireWay(to, path) }
      const asked = await ask(this.#platform, this.#principal(), input, options)
      if (!asked.ok) throw refusal(asked.error)
      const { gather, opened } = asked.value
      if (!opened && gather.outcome !== undefined && gather.outcome.status !== 'replied') continue
      const seconds = (this.#deadlineAt - this.#platform.now()) / 1_000
      return replyIn(await awaitReply(this.#platform, asked.value, { seconds, signal: this.#signal }))
    }
    throw new RequestError('request_failed', 'it was asked too often')
  }

  // One that lost its lease is not heard any more: another run may be asking already.
  async #requireLease(): Promise<void> {
    const { id, token } = this.#lease
    const isLate = this.#signal.aborted || this.#platform.now() >= this.#deadlineAt
    if (isLate || !(await this.#platform.agent(this.#agent.name).holds(id, token)))
      throw new RequestError('stale_lease', 'this run has lost its lease')
  }

  // Somebody who is at work on what waits, through others perhaps, for this very request.
  async #requireWay(to: string, path: readonly string[]): Promise<void> {
    for (const id of path) {
      if (parseDeliveryId(id)?.agent !== to) continue
      const receipt = await this.#platform.agent(to).receipt(id)
      if (receipt !== undefined && atWork.has(receipt.status))
        throw new RequestError('would_deadlock', `${to} is at work on ${id}, which waits for this`, {
          agent: to,
          delivery: id,
        })
    }
  }

  #principal(): Principal {
    const { name, permissions } = this.#agent
    return { kind: 'agent', name, permissions }
  }

  #options(idempotencyKey: string) {
    const { tracestate, workflowid } = this.#lease.head
    const traceparent = this.#platform.tracing?.within(this.#lease.id) ?? this.#lease.head.traceparent
    return {
      idempotencyKey,
      waits: true,
      ...(workflowid === undefined ? {} : { within: workflowid }),
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(tracestate === undefined ? {} : { tracestate }),
    }
  }

  // This delivery, and those that wait for its answer.
  async #path(): Promise<readonly string[]> {
    const { id, head } = this.#lease
    const to = destinationOf({ to: head.replyto ?? '' })
    const waiting =
      to.kind === 'gather' && isGatherId(to.gather) ? await this.#platform.gather(to.gather).report() : undefined
    return [id, ...(waiting?.gather.path ?? [])]
  }
}

function replyIn(report: GatherReport | undefined) {
  const reply = report === undefined ? undefined : replyOf(report)
  if (reply !== undefined) return { ...reply, data: reply.data }
  const fault = report === undefined ? undefined : faultOfRequest(report.gather)
  throw fault === undefined
    ? new RequestError('request_timeout', 'no reply before this run had to end')
    : refusal(fault)
}

function refusal(fault: Fault): RequestError {
  const { body } = problemOf(fault)
  return new RequestError(fault.code, body.detail, body)
}

/**
 * Deliver: run the handler, or POST the webhook, under a deadline. The messy world ends here: it becomes one Outcome.
 * Never here: what an outcome does (shared/settlement.ts).
 */
import type { AgentRecord } from '../shared/agent.ts'
import type { LeasedDelivery } from '../shared/agent-port.ts'
import { attributed } from '../shared/blame.ts'
import { encodeHeader, structured } from '../shared/cloudevents.ts'
import { messageSchema } from '../shared/message.ts'
import { narrowed } from '../shared/narrowing.ts'
import { type Outcome, outcomeOfAnswer } from '../shared/outcome.ts'
import { slotWaitMs } from '../shared/policy.ts'
import type { Platform } from '../shared/ports.ts'
import { deadlineOf, noHandler, unforeseen } from './attempt.ts'
import type { AnyAgent } from './define.ts'
import { batchingOf, deliverBatch } from './deliver-batch.ts'
import { runHandler } from './handler.ts'
import type { Slots } from './slots.ts'
import { postWebhook } from './webhook.ts'

/** One attempt of one delivery. Never throws. */
export async function deliver(
  platform: Platform,
  handlers: ReadonlyMap<string, AnyAgent>,
  slots: Slots,
  agent: AgentRecord,
  lease: LeasedDelivery,
): Promise<Outcome> {
  if (batchingOf(agent, lease) !== undefined) {
    const [report] = await deliverBatch(platform, handlers, slots, agent, [lease])
    if (report !== undefined) return report.outcome
  }
  const ended = platform.tracing?.attempt(agent.name, [lease])
  const outcome = await attempt(platform, handlers, slots, agent, lease).catch(unforeseen)
  if (outcome.kind !== 'unsent') ended?.('error' in outcome ? outcome.error : undefined)
  platform.log('deliver', {
    agent: agent.name,
    delivery: lease.id,
    attempt: lease.attempt,
    outcome: outcome.kind,
    ...('error' in outcome ? { error: outcome.error.code, status: outcome.error.httpStatus } : {}),
  })
  return outcome
}

async function attempt(
  platform: Platform,
  handlers: ReadonlyMap<string, AnyAgent>,
  slots: Slots,
  agent: AgentRecord,
  lease: LeasedDelivery,
): Promise<Outcome> {
  switch (agent.kind) {
    case 'handler': {
      const handler = handlers.get(agent.name)
      if (handler === undefined) return noHandler(agent.name)
      return runHandler(platform, handler, agent, lease, deadlineOf(platform, agent, lease))
    }
    case 'webhook':
      return deliverByWebhook(platform, slots, agent, lease)
    case 'pull':
      // A pull agent is never released to the queue; a reference left from when it was of another kind burns nothing.
      return { kind: 'unsent' }
  }
}

// A stored message is an event already, but for what CloudEvents says otherwise: then it is neither parsed nor written anew.
function eventText({ head: { chain, select }, body }: LeasedDelivery): string {
  return chain === undefined && select === undefined ? body : structured(messageSchema.parse(JSON.parse(body)))
}

// An error's beginning says what it was, and the headers of a request have a bound at most receivers.
const errorHeaderLength = 200

function attemptHeaders({ attempt, maxAttempts, previousError }: LeasedDelivery): Record<string, string> {
  return {
    'switchboard-attempt': String(attempt),
    'switchboard-max-attempts': String(maxAttempts),
    ...(previousError === undefined
      ? {}
      : { 'switchboard-previous-error': encodeHeader(previousError.slice(0, errorHeaderLength)) }),
  }
}

async function deliverByWebhook(
  platform: Platform,
  slots: Slots,
  agent: AgentRecord,
  lease: LeasedDelivery,
): Promise<Outcome> {
  const giveBack = await slots.acquire(agent.name, slotWaitMs(narrowed(agent.policy, lease.head)))
  if (giveBack === undefined) return { kind: 'unsent' }
  try {
    // The deadline starts now that there is a slot; the lease was made long enough for both.
    const deadlineAt = deadlineOf(platform, agent, lease)
    const timeoutMs = deadlineAt - platform.now()
    if (timeoutMs <= 0) return { kind: 'unsent' }
    const { traceparent, tracestate } = lease.head
    const hop = platform.tracing?.within(lease.id)
    const posted = await postWebhook(platform, agent, {
      id: lease.id,
      ...(hop === undefined ? {} : { hop }),
      body: eventText(lease),
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(tracestate === undefined ? {} : { tracestate }),
      headers: {
        ...attemptHeaders(lease),
        'switchboard-deadline': new Date(deadlineAt).toISOString(),
        'switchboard-token': lease.token,
      },
      timeoutMs,
      onHeaders: giveBack,
    })
    if (!posted.ok) return { kind: 'retry', error: posted.error }
    const outcome = outcomeOfAnswer(posted.answer, agent.policy.ack, platform.now())
    return attributed(outcome, posted.answer.resources ?? [], agent.resources)
  } finally {
    giveBack()
  }
}

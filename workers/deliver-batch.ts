/**
 * Deliver a batch: one call for several deliveries of one agent, and an outcome for each. Never here: which of them go together
 * (shared/batch.ts), what the answer means (shared/batch-answer.ts).
 */
import { type AgentRecord, takesBatches } from '../shared/agent.ts'
import type { LeasedDelivery } from '../shared/agent-port.ts'
import { type Asked, outcomeOfBatch, type Said, saidOfEach } from '../shared/batch-answer.ts'
import { type BatchItem, batchEvents, batchId, numberedEvent } from '../shared/batch-body.ts'
import { attributed } from '../shared/blame.ts'
import { limits } from '../shared/limits.ts'
import { messageSchema } from '../shared/message.ts'
import { narrowed } from '../shared/narrowing.ts'
import type { Outcome } from '../shared/outcome.ts'
import { slotWaitMs } from '../shared/policy.ts'
import type { Platform } from '../shared/ports.ts'
import { batchOf } from '../shared/ripe.ts'
import type { Report } from '../shared/settlement.ts'
import { deadlineOf, noHandler, unforeseen } from './attempt.ts'
import type { AnyAgent } from './define.ts'
import { runBatchHandler } from './handler-batch.ts'
import type { Slots } from './slots.ts'
import { postWebhook } from './webhook.ts'

/** One call, and a report of each. Never throws. */
export async function deliverBatch(
  platform: Platform,
  handlers: ReadonlyMap<string, AnyAgent>,
  slots: Slots,
  agent: AgentRecord,
  leases: readonly LeasedDelivery[],
): Promise<Report[]> {
  const ended = platform.tracing?.attempt(agent.name, leases)
  const said = await call(platform, handlers, slots, agent, leases).catch((error: unknown) =>
    all(unforeseen(error), leases),
  )
  const reports = leases.map(({ id, token }, place): Report => {
    const one = said[place] ?? { outcome: unforeseen(`nothing was said of ${id}`) }
    return { id, token, ...one, external: false }
  })
  if (reports.some(({ outcome }) => outcome.kind !== 'unsent')) {
    const failed = reports.find(({ outcome }) => 'error' in outcome)?.outcome
    ended?.(failed !== undefined && 'error' in failed ? failed.error : undefined)
  }
  platform.log('deliver.batch', {
    agent: agent.name,
    deliveries: reports.map(({ id, outcome }) => `${outcome.kind} ${id}`),
    ...(reports.some((r) => r.whole === true) ? { of: 'whole' } : {}),
  })
  return reports
}

/** How this lease shares its call: one of its subscription's, or of its agent's policy. Undefined: it goes by itself. */
export function batchingOf(agent: AgentRecord, { batching: batch }: LeasedDelivery) {
  return takesBatches(agent) ? batchOf(agent.policy, batch === undefined ? {} : { batch }) : undefined
}

// Those of one call have the same.
function isNumbered(agent: AgentRecord, leases: readonly LeasedDelivery[]): boolean {
  return leases.some((lease) => batchingOf(agent, lease)?.format === 'numbered-text')
}

/** Leases by the call that they belong to, each in its order. */
export function callsOf(leases: readonly LeasedDelivery[]): readonly (readonly LeasedDelivery[])[] {
  const calls = new Map<number | string, LeasedDelivery[]>()
  for (const lease of leases) {
    const call = lease.batch ?? lease.id
    calls.set(call, [...(calls.get(call) ?? []), lease])
  }
  return [...calls.values()]
}

/** Those of `begin` that stand behind one that is held back, in a batch and in a line: they are held with it (M3). */
export function heldBehind(
  leases: readonly LeasedDelivery[],
  begin: readonly LeasedDelivery[],
  held: readonly Report[],
): Report[] {
  const lineOf = ({ batch, head }: LeasedDelivery) =>
    batch === undefined || head.partitionkey === undefined ? undefined : `${batch} ${head.partitionkey}`
  const stopped = new Map<string, Report['outcome']>()
  return leases.flatMap((lease) => {
    const line = lineOf(lease)
    if (line === undefined) return []
    const own = held.find((report) => report.token === lease.token)
    if (own !== undefined) stopped.set(line, own.outcome)
    const outcome = stopped.get(line)
    if (outcome === undefined || !begin.includes(lease)) return []
    return [{ id: lease.id, token: lease.token, outcome, external: false }]
  })
}

const all = (outcome: Outcome, { length }: readonly unknown[]) => saidOfEach({ of: 'whole', outcome }, length)

async function call(
  platform: Platform,
  handlers: ReadonlyMap<string, AnyAgent>,
  slots: Slots,
  agent: AgentRecord,
  leases: readonly LeasedDelivery[],
): Promise<readonly Said[]> {
  switch (agent.kind) {
    case 'handler': {
      const handler = handlers.get(agent.name)
      if (handler === undefined) return all(noHandler(agent.name), leases)
      return runBatchHandler(platform, handler, leases, deadlineOfAll(platform, agent, leases))
    }
    case 'webhook':
      return postBatch(platform, slots, agent, leases)
    case 'pull':
      return all({ kind: 'unsent' }, leases)
  }
}

async function postBatch(
  platform: Platform,
  slots: Slots,
  agent: AgentRecord,
  leases: readonly LeasedDelivery[],
): Promise<readonly Said[]> {
  const waitMs = Math.min(...leases.map(({ head }) => slotWaitMs(narrowed(agent.policy, head))))
  const giveBack = await slots.acquire(agent.name, waitMs)
  if (giveBack === undefined) return all({ kind: 'unsent' }, leases)
  try {
    const deadlineAt = deadlineOfAll(platform, agent, leases)
    const timeoutMs = deadlineAt - platform.now()
    if (timeoutMs <= 0) return all({ kind: 'unsent' }, leases)
    const posted = await postWebhook(platform, agent, {
      ...letterOf(platform, agent, leases, deadlineAt),
      timeoutMs,
      answerBytes: limits.batchAnswerBytes,
      onHeaders: giveBack,
    })
    if (!posted.ok) return all({ kind: 'retry', error: posted.error }, leases)
    const numbered = isNumbered(agent, leases)
    const asked = leases.map(
      ({ id, head }, i): Asked => ({ id, eventId: head.id, ...(numbered ? { number: i + 1 } : {}) }),
    )
    const said = saidOfEach(outcomeOfBatch(posted.answer, asked, agent.policy.ack, platform.now()), leases.length)
    const reports = posted.answer.resources ?? []
    return said.map((one) => ({ ...one, outcome: attributed(one.outcome, reports, agent.resources) }))
  } finally {
    giveBack()
  }
}

// A batch continues no trace: each event has its message's.
function letterOf(platform: Platform, agent: AgentRecord, leases: readonly LeasedDelivery[], deadlineAt: number) {
  const items = leases.map(({ id, body }): BatchItem => ({ id, message: messageSchema.parse(JSON.parse(body)) }))
  const ids = leases.map(({ id }) => id)
  const id = batchId(agent.name, ids)
  const numbered = isNumbered(agent, leases)
  const type = numbered ? 'application/cloudevents+json' : 'application/cloudevents-batch+json'
  return {
    id,
    body: numbered ? numberedEvent(id, items, platform.now()) : batchEvents(items),
    headers: {
      'content-type': `${type}; charset=utf-8`,
      'switchboard-batch': String(leases.length),
      'switchboard-attempt': leases.map(({ attempt }) => attempt).join(','),
      // Under `ack: "response"` the answer settles them, in the order of their lines; by token they could end in any other.
      ...(agent.policy.ack === 'later' ? { 'switchboard-token': leases.map(({ token }) => token).join(',') } : {}),
      'switchboard-deadline': new Date(deadlineAt).toISOString(),
    },
  }
}

function deadlineOfAll(platform: Platform, agent: AgentRecord, leases: readonly LeasedDelivery[]): number {
  return Math.min(...leases.map((lease) => deadlineOf(platform, agent, lease)))
}

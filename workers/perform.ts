/**
 * Perform: what a workflow owes the world. Its messages are sent with its creator's permissions under ids of its own, so that a
 * repeat is a duplicate downstream (E1); and the index learns how it stands. The workflow's alarm is the net. Never here: deciding
 * what is sent (shared/workflow-events.ts).
 */
import type { Admission } from '../shared/admission.ts'
import type { EffectStatus } from '../shared/effects.ts'
import { type Fault, problemOf } from '../shared/fault.ts'
import { type Outgoing, type Performed, publishOf } from '../shared/outgoing.ts'
import type { Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { ok, unreachable } from '../shared/result.ts'
import { effectGiveUpMs } from '../shared/upkeep.ts'
import type { WorkflowRecord } from '../shared/workflow.ts'
import { listingOf } from '../shared/workflow-index.ts'
import type { PerformedNews, Unfinished } from '../shared/workflow-port.ts'
import { isOver } from '../shared/workflow-status.ts'
import { accept } from './accept.ts'
import { announceSlow, announceWorkflow } from './announce.ts'
import { payOwed } from './budget.ts'
import { conform } from './conform.ts'
import { enqueue, sendBounded } from './enqueue.ts'
import { publishMany } from './publish-many.ts'
import { prepare, type Routed } from './route.ts'
import { scatter } from './scatter.ts'

// Rounds in one invocation: what an effect's refusal makes the workflow do is done at once, within reason.
const roundsPerRun = 20

/** Does what a workflow owes until nothing is left that can be done now. What fails is left to its alarm. */
export async function perform(platform: Platform, id: string): Promise<void> {
  let after = 0
  for (let round = 0; round < roundsPerRun; round++) {
    const owed = await platform.workflow(id).unfinished(after)
    if (owed === undefined) return
    if (owed.forgettable) {
      await platform.workflowIndex().remove(id, owed.record.createdAt)
      await platform.workflow(id).forget()
      return
    }
    const news = await doneOf(platform, owed)
    const answer = await platform.workflow(id).performed(news)
    // It was purged meanwhile: what the index was just told is not so any more.
    if (answer === undefined) await platform.workflowIndex().remove(id, owed.record.createdAt)
    // A warning may have had its statechart send something.
    const didSome = owed.effects.length > 0 || (news.owed?.warnings.length ?? 0) > 0
    if (answer?.more !== true || !didSome) return
    // What could not be sent now must not keep the others from being looked at.
    after = owed.effects.at(-1)?.n ?? after
  }
}

/** Does it after the answer: its alarm would, seconds later. */
export function performSoon(platform: Platform, id: string): void {
  const safe = perform(platform, id).catch((error: unknown) =>
    platform.log('perform.failed', { workflow: id, error: String(error) }),
  )
  platform.waitUntil(safe)
}

async function doneOf(platform: Platform, unfinished: Unfinished): Promise<PerformedNews> {
  const { record, unlisted } = unfinished
  const effects = await performed(platform, unfinished)
  const owed = { ...(await payOwed(platform, record)), slow: await announceSlow(platform, record) }
  const { incarnation, status } = record
  const news = { incarnation, effects, owed }
  if (!unlisted) return news
  await platform.workflowIndex().put(listingOf(record), isOver(status) ? record.stays : undefined)
  await announceWorkflow(platform, record)
  return { ...news, listed: status }
}

// One after the other: what a step sends to one agent comes to it in the order in which the step sent it.
async function performed(platform: Platform, { record, effects }: Unfinished): Promise<Performed[]> {
  const speaker: Principal = { kind: 'workflow', id: record.id, permissions: record.permissions }
  const done: Performed[] = []
  for (const effect of effects) {
    const state = await send(platform, speaker, record, effect)
    platform.log('perform', { workflow: record.id, effect: effect.n, status: state?.status ?? 'pending' })
    if (state !== undefined) done.push({ n: effect.n, state })
  }
  return done
}

type Speaker = Extract<Principal, { kind: 'workflow' }>

// `undefined`: still pending, to be tried again.
async function send(
  platform: Platform,
  speaker: Speaker,
  workflow: WorkflowRecord,
  effect: Outgoing,
): Promise<EffectStatus | undefined> {
  if (effect.flaw !== undefined) return refused('invalid', effect.flaw)
  if (effect.kind === 'scatter') return sendScatter(platform, speaker, workflow, effect)
  const prepared = prepare(platform, speaker, publishOf(workflow, effect), {
    brokerMade: true,
    ...(effect.traceparent === undefined ? {} : { traceparent: effect.traceparent }),
  })
  if (!prepared.ok) return refusedBy(prepared.error)
  const [judged] = await conform(platform, [ok(prepared.value)])
  if (judged?.ok === false) return refusedBy(judged.error)
  return deliverTo(platform, prepared.value, effect)
}

// Its end comes back to the workflow, unless it said where else. Its legs are asked by whoever takes the reference, or its alarm.
async function sendScatter(
  platform: Platform,
  speaker: Speaker,
  workflow: WorkflowRecord,
  effect: Outgoing,
): Promise<EffectStatus> {
  const { traceparent } = effect
  const trace = traceparent === undefined ? {} : { traceparent }
  const opened = await scatter(platform, speaker, publishOf(workflow, effect), trace)
  if (!opened.ok) return refusedBy(opened.error)
  const { id } = opened.value.gather
  await sendBounded(platform, platform.work, { v: 1, gather: id }, id)
  return { status: 'carried', deliveries: [], scatter: id }
}

async function deliverTo(
  platform: Platform,
  { to, incoming }: Routed,
  { openedAt }: Outgoing,
): Promise<EffectStatus | undefined> {
  const ours = { ...incoming, reserved: true } as const
  switch (to.kind) {
    case 'agent': {
      const answer = await accept(platform, to.agent, [ours], `perform.${incoming.key}`)
      enqueue(platform, to.agent, answer.references)
      const [admission] = answer.admissions
      return admission === undefined ? undefined : stateOf(to.agent, admission, platform.now() - openedAt)
    }
    case 'gather':
    case 'workflow':
      return refused('invalid', 'a workflow sends to agents and topics')
    default: {
      const published = await publishMany(platform, to, ours)
      if (!published.ok) return refusedBy(published.error)
      return { status: 'carried', deliveries: published.value.deliveries.map((d) => d.id) }
    }
  }
}

function stateOf(target: string, admission: Admission, ageMs: number): EffectStatus | undefined {
  switch (admission.status) {
    case 'accepted':
    case 'duplicate':
      return { status: 'carried', deliveries: [admission.id] }
    case 'unknown':
      return refused('agent_not_found', `no agent is registered as ${target}`)
    case 'stopped':
      return refused(admission.trip.reason, admission.trip.detail)
    case 'conflict':
      return refused('key_reused', `${admission.id} holds this id with other content`)
    // Only a publisher's own message is refused so.
    case 'refused':
    case 'full':
      return ageMs < effectGiveUpMs ? undefined : refused('backpressure', `${target} was full for a day`)
    default:
      return unreachable(admission)
  }
}

const refused = (reason: string, detail: string): EffectStatus => ({ status: 'refused', reason, detail })
const refusedBy = (fault: Fault): EffectStatus => refused(fault.code, problemOf(fault).body.detail)

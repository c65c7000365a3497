/**
 * Reduce: one agent makes one result of a scatter's replies, and whoever wants to know is told the end. The question to it is a
 * gather of its own, under an id that every repeat finds, so it is asked once. Never here: whether the scatter is over (shared/join.ts).
 */
import type { Incoming } from '../shared/admission.ts'
import { type Gather, type GatherOpening, gatherAddress, tallyOf } from '../shared/gather.ts'
import type { ResultsReport } from '../shared/gather-port.ts'
import { digest } from '../shared/ids.ts'
import { limits } from '../shared/limits.ts'
import {
  composeMessage,
  contentHash,
  destinationOf,
  headOf,
  type Message,
  messageSchema,
  type PublishInput,
  publishInput,
  replyDestination,
} from '../shared/message.ts'
import { brokerSource } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { reductionId } from '../shared/scatter.ts'
import { isReducible, type Reduction } from '../shared/scatter-plan.ts'
import { replyIn, resultsOf, type ScatterResults, scatterStatusOf } from '../shared/scatter-results.ts'
import { continueTrace } from '../shared/trace.ts'
import { effectGiveUpMs } from '../shared/upkeep.ts'
import { accept } from './accept.ts'
import { everybodyBut } from './choose.ts'
import { enqueue } from './enqueue.ts'
import { publishMany } from './publish-many.ts'
import { receiveScatter } from './receive.ts'

/** Opens the question to the reducer, or finds it. Undefined: nobody is to be asked. */
export async function openReduction(platform: Platform, scatter: Gather): Promise<string | undefined> {
  const { id, owner, head, hops, lineage, scatter: plan, outcome, openedAt } = scatter
  const { reduce } = plan ?? {}
  if (reduce === undefined || !isReducible(plan, outcome?.status, tallyOf(scatter).replied)) return undefined
  const reduction = reductionId(id, openedAt)
  if (plan?.reduction !== undefined || (await platform.gather(reduction).report()) !== undefined) return reduction
  const { gather, bodies } = await repliesOf(platform, scatter)
  const message: Message = {
    ...inherited(platform, head, reduce.type),
    id: `${id}.reduce`,
    source: owner,
    time: new Date(platform.now()).toISOString(),
    to: reduce.agent,
    causationid: id,
    replyto: gatherAddress(reduction),
    data: { ...reduce.data, ...resultsOf(gather, gather.legs, bodies, limits.summaryBytes) },
  }
  const opening: GatherOpening = {
    ...{ id: reduction, owner, hops, contentHash: digest('reduce', id), head: headOf(message), path: [] },
    ...{ join: { kind: 'all' }, onTimeout: { kind: 'error' }, timeoutMs: reduce.timeoutMs },
    ...{ agents: [reduce.agent], reduces: id },
    ...(lineage === undefined ? {} : { lineage }),
  }
  await platform.gather(reduction).open(opening, [JSON.stringify(message)])
  tell(platform, message, head, bodies)
  platform.log('reduce', { scatter: id, gather: reduction, agent: reduce.agent })
  return reduction
}

/** Writes down what the reducer said, and tells the end. False: it is not over, or could not be told yet. */
export async function finishScatter(
  platform: Platform,
  scatter: Gather,
  reduction: string | undefined,
): Promise<boolean> {
  const port = platform.gather(scatter.id)
  if (reduction !== undefined && scatter.scatter?.reduction === undefined) {
    const asked = await platform.gather(reduction).results(1)
    if (asked?.gather.outcome === undefined) return false
    const { status, at, failure } = asked.gather.outcome
    const news: Reduction = { status, at, ...(failure === undefined ? {} : { failure }) }
    await port.progress({ reduction: news }, asked.replies[0]?.body)
  }
  const report = await port.results(1)
  return report === undefined || tellEnd(platform, report)
}

// --- what is said -----------------------------------------------------------------------------------------------------

/** Who replied and what, who failed and why, who is missing: as much of it as one message may carry. */
async function summaryOf(platform: Platform, scatter: Gather): Promise<ScatterResults> {
  const { gather, bodies } = await repliesOf(platform, scatter)
  return resultsOf(gather, gather.legs, bodies, limits.summaryBytes)
}

interface Replies {
  readonly gather: Gather
  readonly bodies: ReadonlyMap<number, string>
}

async function repliesOf(platform: Platform, scatter: Gather): Promise<Replies> {
  const bodies = new Map<number, string>()
  let gather = scatter
  let bytes = 0
  for (let from: number | undefined = 1; from !== undefined && bytes < limits.summaryBytes; ) {
    const page: ResultsReport | undefined = await platform.gather(scatter.id).results(from)
    gather = page?.gather ?? gather
    for (const { n, body } of page?.replies ?? []) {
      bodies.set(n, body)
      bytes += body.length
    }
    from = page?.next
  }
  return { gather, bodies }
}

// Many traces come together here: the question to the reducer is linked to every reply that it is made of.
function tell(platform: Platform, message: Message, head: Message, bodies: Replies['bodies']): void {
  const { tracing } = platform
  if (tracing === undefined || message.traceparent === undefined) return
  const replies = [...bodies].map(([n]) => replyIn(bodies, n)?.traceparent)
  tracing.begun(message.traceparent, head.traceparent, replies)
  tracing.sent(message)
}

// What its asker said of the scatter holds for what comes of it.
function inherited(platform: Platform, head: Message, type: string) {
  const { traceparent, tracestate, correlationid, workflowid, priority } = head
  const trace = continueTrace({ traceparent, tracestate }, (n) => platform.hex(n))
  return {
    ...{ specversion: '1.0' as const, type, correlationid, datacontenttype: 'application/json' },
    ...(workflowid === undefined ? {} : { workflowid }),
    ...(priority === undefined ? {} : { priority }),
    traceparent: trace.traceparent,
    ...(trace.tracestate === undefined ? {} : { tracestate: trace.tracestate }),
  }
}

async function endOf(platform: Platform, { gather, result }: ResultsReport): Promise<Record<string, unknown>> {
  const { id, scatter } = gather
  const told = { scatter: id, status: scatterStatusOf(gather), legs: gather.legs.length }
  const { ok, failed, missing } = await summaryOf(platform, gather)
  if (scatter?.reduction?.status !== 'replied' || result === undefined) return { ...told, ok, failed, missing }
  return { ...told, result: replyIn(new Map([[1, result]]), 1)?.data ?? null, failed, missing }
}

// --- who is told ------------------------------------------------------------------------------------------------------

async function tellEnd(platform: Platform, report: ResultsReport): Promise<boolean> {
  const { gather } = report
  const { id, head, scatter, openedAt, outcome } = gather
  if (scatter?.replyto === undefined || outcome === undefined) return true
  const key = `${id}.ended.${openedAt}`
  const input: PublishInput = publishInput.parse({
    ...replyDestination(scatter.replyto),
    type: scatter.replytype ?? `${head.type.slice(0, limits.typeLength - '.gathered'.length)}.gathered`,
    id: `${id}.ended`,
    correlationid: head.correlationid,
    causationid: scatter.asked ?? id,
    ...(head.workflowid === undefined ? {} : { workflowid: head.workflowid }),
    onunroutable: 'drop',
    data: await endOf(platform, report),
  })
  const { traceparent, tracestate } = head
  const trace = continueTrace({ traceparent, tracestate }, (n) => platform.hex(n))
  const message = composeMessage(input, { source: brokerSource, freshId: key, now: outcome.at, ...trace })
  const stored = { message, body: JSON.stringify(messageSchema.parse(message)), key, contentHash: contentHash(input) }
  const { hops, lineage } = gather
  const led = lineage === undefined ? {} : { lineage }
  const incoming: Incoming = { ...stored, hops, ...led, brokerMade: true, reserved: true }
  const isLate = platform.now() - outcome.at > effectGiveUpMs
  return (await send(platform, incoming, gather)) || isLate
}

// False: there is no room, and it is tried again.
async function send(platform: Platform, incoming: Incoming, scatter: Gather): Promise<boolean> {
  const to = destinationOf(incoming.message)
  platform.log('scatter.ended', { scatter: incoming.message.id, to: incoming.message.to ?? incoming.message.topic })
  switch (to.kind) {
    case 'agent': {
      const answer = await accept(platform, to.agent, [incoming], `scatter.${incoming.key}`)
      enqueue(platform, to.agent, answer.references)
      return answer.admissions[0]?.status !== 'full'
    }
    case 'workflow':
      return receiveScatter(platform, to.workflow, incoming, scatter.owner, scatterStatusOf(scatter) !== 'completed')
    case 'gather':
      return true
    default:
      await publishMany(platform, to.kind === 'all' ? everybodyBut(brokerSource, undefined) : to, incoming)
      return true
  }
}

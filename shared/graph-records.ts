/**
 * What each kind of record knows of cause and effect: a receipt its own cause and what its effects became, a publication its
 * legs, a gather whom it asked and who answered, a workflow what it sent. Never here: putting them together (shared/causal-graph.ts).
 */
import { callbackOf } from './callback.ts'
import type { Found, GraphLink, RefusedEffect, TimelineEntry } from './causal-graph.ts'
import type { Effect } from './effects.ts'
import { type Cause, causeOf, valueText } from './explanation.ts'
import { type Gather, gatherAddress } from './gather.ts'
import { isAtEnd } from './ladder.ts'
import { destinationOf, type Head } from './message.ts'
import { type Outgoing, outgoingId, workflowAddress, workflowSource } from './outgoing.ts'
import { type Publication, publicationId } from './publication.ts'
import type { Receipt } from './receipt.ts'
import { isScatterId, reductionId } from './scatter.ts'
import type { WorkflowRecord } from './workflow.ts'
import type { HistoryEntry } from './workflow-history.ts'

const iso = (at: number) => new Date(at).toISOString()

const addressOf = ({ kind, id }: Cause): string => (kind === 'delivery' ? id : workflowAddress(id))

const isToMany = (target: { readonly to?: string | undefined; readonly topic?: string | undefined }): boolean =>
  ['topic', 'all', 'capability'].includes(destinationOf(target).kind)

// --- a delivery -------------------------------------------------------------------------------------------------------

export function ofReceipt(receipt: Receipt): Found {
  const { id, agent, message, steps, attempts, effects = [], status } = receipt
  const { type } = message
  const told = { id, agent, type }
  return {
    node: {
      ...{ id, kind: 'delivery', status, href: `/v1/deliveries/${id}`, agent },
      ...shownHead(message),
      openedAt: steps.find((s) => s.step === 'accepted')?.at ?? message.time,
      ...startOf(receipt),
      ...(isAtEnd(receipt) ? endOf(receipt) : {}),
      attempts: attempts.length,
      ...whyOf(receipt),
      ...refusedOf(effects.map((e) => ({ n: e.n, message: e.publish, state: e.state }))),
    },
    links: [...causesOf(receipt), ...effects.flatMap((e) => effectLinks(receipt, e)), ...onwards(receipt)],
    hints: hintsOf(receipt),
    entries: steps.map(({ step, at, attempt, detail }) => ({
      ...{ at, ...told, what: step },
      ...(attempt === undefined ? {} : { attempt }),
      ...(detail === undefined ? {} : { detail }),
    })),
  }
}

function shownHead({ id, type, source, correlationid, causationid }: Head) {
  return { type, message: id, source, correlationid, ...(typeof causationid === 'string' ? { causationid } : {}) }
}

function startOf({ attempts, steps }: Receipt) {
  const at = attempts[0]?.startedAt ?? steps.find((s) => s.step === 'dispatched')?.at
  return at === undefined ? {} : { startedAt: at }
}

function endOf({ steps, status }: Receipt) {
  const at = (steps.findLast((s) => s.step === status) ?? steps.at(-1))?.at
  return at === undefined ? {} : { endedAt: at }
}

function whyOf({ status, because, attempts, deadLetter }: Receipt) {
  if (status === 'completed') return {}
  const error = attempts.findLast((a) => a.error !== undefined)?.error
  const said = [deadLetter?.reason, because, error === undefined ? undefined : `${error.code}: ${error.message}`]
  const why = said.filter((part) => part !== undefined).join('; ')
  return why === '' ? {} : { why }
}

// A leg of one that was for many comes from it, and that one from the cause: its name follows from what it was sent as.
function causesOf({ id, message, path = [] }: Receipt): GraphLink[] {
  const cause = causeOf(message) ?? knownCause(message, path)
  if (cause === undefined) return []
  const from = addressOf(cause)
  if (!isToMany(message)) return [{ from, to: id, kind: 'caused' }]
  const publication = publicationId(message.source, message.id)
  return [
    { from, to: publication, kind: 'caused' },
    { from: publication, to: id, kind: 'leg' },
  ]
}

// What an agent publishes by itself, and what is passed on: their ids tell nothing, the path that the broker keeps does. A gather
// stands between who asked and who is asked.
function knownCause({ replyto }: Head, path: readonly string[]): Cause | undefined {
  const id = path.at(-1)
  const isAsked = replyto !== undefined && destinationOf({ to: replyto }).kind === 'gather'
  return id === undefined || isAsked ? undefined : { kind: 'delivery', id }
}

function effectLinks({ id, agent, message }: Receipt, { kind, publish, state }: Effect): GraphLink[] {
  if (state.status === 'refused' || kind === 'usage') return []
  if (kind === 'event' || kind === 'state')
    return message.workflowid === undefined ? [] : [{ from: id, to: workflowAddress(String(message.workflowid)), kind }]
  const target = targetOf(publish)
  const to = destinationOf(target)
  if (to.kind === 'gather' || to.kind === 'workflow') return [{ from: id, to: target.to ?? '', kind }]
  if (state.status !== 'carried') return []
  return linksTo(id, kind, state.deliveries, isToMany(target) ? publicationId(agent, String(publish['id'])) : undefined)
}

function targetOf(publish: Readonly<Record<string, unknown>>) {
  const { to, topic } = publish
  return { ...(typeof to === 'string' ? { to } : {}), ...(typeof topic === 'string' ? { topic } : {}) }
}

function linksTo(
  from: string,
  kind: GraphLink['kind'],
  deliveries: readonly string[],
  publication: string | undefined,
): GraphLink[] {
  if (publication === undefined) return deliveries.map((to) => ({ from, to, kind }))
  const legs = deliveries.map((to): GraphLink => ({ from: publication, to, kind: 'leg' }))
  return [{ from, to: publication, kind }, ...legs]
}

function onwards({ id, reassignedTo, collapsedInto }: Receipt): GraphLink[] {
  return [
    ...(reassignedTo === undefined ? [] : [{ from: id, to: reassignedTo, kind: 'moved' as const }]),
    ...(collapsedInto === undefined ? [] : [{ from: id, to: collapsedInto, kind: 'collapsed' as const }]),
  ]
}

// Who waits for its answer knows whether it asked; a publish to many whether this is a leg of it.
function hintsOf({ message }: Receipt): string[] {
  const { replyto } = message
  const waits = replyto !== undefined && destinationOf({ to: replyto }).kind === 'gather' ? [replyto] : []
  const many = isToMany(message) ? [publicationId(message.source, message.id)] : []
  return [...waits, ...many]
}

type Sent = Pick<Effect, 'state'> & { readonly n: number; readonly message: Readonly<Record<string, unknown>> }

function refusedOf(effects: readonly Sent[]): { refused?: RefusedEffect[] } {
  const refused = effects.flatMap(({ n, message, state }) => {
    if (state.status !== 'refused') return []
    const { to, topic } = targetOf(message)
    const target = to ?? topic
    return [{ n, ...(target === undefined ? {} : { to: target }), reason: state.reason, detail: state.detail }]
  })
  return refused.length === 0 ? {} : { refused }
}

// --- a publish to many ------------------------------------------------------------------------------------------------

export function ofPublication(publication: Publication): Found {
  const { id, head, legs, openedAt, closedAt, accepted, fanout } = publication
  const cause = causeOf(head)
  const reached = legs.flatMap((leg) => (leg.state.status === 'accepted' ? [leg.state.delivery] : []))
  const refused = legs.flatMap(({ agent, state }) =>
    state.status === 'refused' ? [{ to: agent, reason: state.reason }] : [],
  )
  const told = { id, type: head.type }
  return {
    node: {
      ...{
        id,
        kind: 'publication',
        status: closedAt === undefined ? 'open' : 'closed',
        href: `/v1/publications/${id}`,
      },
      ...shownHead(head),
      openedAt: iso(openedAt),
      ...(closedAt === undefined ? {} : { endedAt: iso(closedAt) }),
      ...(refused.length === 0 ? {} : { refused }),
    },
    links: [
      ...(cause === undefined ? [] : [{ from: addressOf(cause), to: id, kind: 'caused' as const }]),
      ...reached.map((to): GraphLink => ({ from: id, to, kind: 'leg' })),
    ],
    hints: [],
    entries: [
      { at: iso(openedAt), ...told, what: 'published', detail: `for ${head.topic ?? head.to ?? ''}` },
      ...(closedAt === undefined
        ? []
        : [{ at: iso(closedAt), ...told, what: 'closed', detail: `${accepted} of ${fanout} accepted it` }]),
    ],
  }
}

// --- a request or scatter ---------------------------------------------------------------------------------------------

export function ofGather(gather: Gather): Found {
  const { id: name, owner, head, legs, openedAt, outcome } = gather
  const id = gatherAddress(name)
  const told = { id, type: head.type }
  const failure = outcome?.failure
  const answered = gather.arrivals.map(
    (a): TimelineEntry => ({ at: iso(a.at), ...told, what: 'reply', by: a.by, detail: a.standing }),
  )
  const path = isScatterId(name) ? 'scatters' : 'requests'
  return {
    node: {
      ...{ id, kind: 'gather', status: outcome?.status ?? 'pending', href: `/v1/${path}/${name}` },
      ...{ type: head.type, source: owner, correlationid: head.correlationid, openedAt: iso(openedAt) },
      ...(outcome === undefined ? {} : { endedAt: iso(outcome.at) }),
      ...(failure === undefined ? {} : { why: failure.why }),
    },
    links: gatherLinks(gather, id),
    hints: owner.startsWith('workflow/') ? [workflowAddress(owner.slice('workflow/'.length))] : [],
    entries: [
      { at: iso(openedAt), ...told, what: 'asked', by: owner, detail: `${legs.length} to reply` },
      ...answered,
      ...(outcome === undefined ? [] : [{ at: iso(outcome.at), ...told, what: outcome.status }]),
    ],
  }
}

function gatherLinks(gather: Gather, id: string): GraphLink[] {
  const { legs, arrivals, path, scatter, reduces, openedAt } = gather
  const asked = legs.flatMap(({ sends, state }) => sends.filter((s) => s.accepted || state.status === 'replied'))
  const told = callbackOf(gather)
  const [waiting] = path
  return [
    ...asked.map((s): GraphLink => ({ from: id, to: s.delivery, kind: 'leg' })),
    ...arrivals.flatMap((a): GraphLink[] =>
      a.delivery === undefined ? [] : [{ from: a.delivery, to: id, kind: 'reply' }],
    ),
    ...(waiting === undefined ? [] : [{ from: waiting, to: id, kind: 'request' as const }]),
    ...(reduces === undefined ? [] : [{ from: gatherAddress(reduces), to: id, kind: 'reduce' as const }]),
    ...(scatter?.reduction === undefined
      ? []
      : [{ from: id, to: gatherAddress(reductionId(gather.id, openedAt)), kind: 'reduce' as const }]),
    ...(told === undefined ? [] : [{ from: id, to: told.delivery, kind: 'callback' as const }]),
  ]
}

// --- a workflow -------------------------------------------------------------------------------------------------------

export function ofWorkflow(
  record: WorkflowRecord,
  messages: readonly Outgoing[],
  history: readonly HistoryEntry[] = [],
): Found {
  const id = workflowAddress(record.id)
  const { status, createdAt, createdBy, endedAt, error, paused } = record
  const why = error === undefined ? paused?.reason : `${error.code}: ${error.detail}`
  return {
    node: {
      ...{
        id,
        kind: 'workflow',
        status,
        href: `/v1/workflows/${record.id}`,
        source: createdBy,
        openedAt: iso(createdAt),
      },
      ...(endedAt === undefined ? {} : { endedAt: iso(endedAt) }),
      ...(why === undefined ? {} : { why }),
      ...refusedOf(messages),
    },
    links: messages.flatMap((one) => sentLinks(record, one)),
    hints: [],
    entries: history.map((entry) => entryOf(id, entry)),
  }
}

function sentLinks(workflow: WorkflowRecord, { n, kind, message, state }: Outgoing): GraphLink[] {
  if (state.status !== 'carried') return []
  const from = workflowAddress(workflow.id)
  if (state.scatter !== undefined) return [{ from, to: gatherAddress(state.scatter), kind: 'scatter' }]
  const publication = publicationId(workflowSource(workflow.id), outgoingId(workflow, n))
  const many = kind === 'publish' || isToMany(targetOf(message))
  return linksTo(from, 'message', state.deliveries, many ? publication : undefined)
}

function entryOf(id: string, { at, by, kind, event, path = [], fields = [], detail }: HistoryEntry): TimelineEntry {
  const way = path.map(({ to }) => valueText(to)).join(' → ')
  const changed = fields.length === 0 ? '' : `changed ${fields.join(', ')}`
  const said = [way, changed, detail].filter((part) => part !== undefined && part !== '').join('; ')
  return {
    ...{ at: iso(at), id, what: kind, by },
    ...(event === undefined ? {} : { type: event.type }),
    ...(said === '' ? {} : { detail: said }),
  }
}

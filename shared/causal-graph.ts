/**
 * The causal graph: which delivery caused which, read from what each one remembers of itself. Nothing is written for it, so it
 * reaches as far back as receipts are kept (docs/decisions/0033). What one record knows is a `Found`: its node, its links up
 * and down, and what happened to it and when. Never here: asking objects (workers/explore.ts), drawing (shared/graph-diagram.ts).
 */
import * as z from 'zod'
import { isGatherId } from './gather.ts'
import { parseDeliveryId } from './ids.ts'
import { limits } from './limits.ts'
import { destinationOf } from './message.ts'
import { isPublicationId } from './publication.ts'

export const nodeKind = z.enum(['delivery', 'publication', 'gather', 'workflow'])
export type NodeKind = z.infer<typeof nodeKind>

/** What became of an effect that never left. */
const refusedEffect = z.strictObject({
  n: z.int().optional(),
  to: z.string().optional(),
  reason: z.string(),
  detail: z.string().optional(),
})
export type RefusedEffect = z.infer<typeof refusedEffect>

export const graphNode = z.strictObject({
  id: z.string().describe('A delivery’s or publication’s id; `gather:<id>`, `workflow:<id>`.'),
  kind: nodeKind,
  status: z
    .string()
    .describe('As its own page says. `hidden`: not for this caller. `forgotten`: it is no longer kept.'),
  href: z.string().optional().describe('Where it is read.'),
  agent: z.string().optional(),
  type: z.string().optional(),
  message: z.string().optional().describe('The id of its message.'),
  source: z.string().optional(),
  correlationid: z.string().optional(),
  causationid: z.string().optional(),
  openedAt: z.iso.datetime().optional(),
  startedAt: z.iso.datetime().optional().describe('When its first attempt began.'),
  endedAt: z.iso.datetime().optional(),
  attempts: z.int().optional(),
  why: z.string().optional().describe('Why it ended badly, or waits.'),
  refused: z.array(refusedEffect).optional().describe('What it set off and was refused.'),
})
export type GraphNode = z.infer<typeof graphNode>

export const linkKind = z.enum([
  'message',
  'reply',
  'notice',
  'event',
  'state',
  'pass',
  /** From one that is for many, or a gather, to one of those whom it is for. */
  'leg',
  'request',
  'scatter',
  'reduce',
  'callback',
  'moved',
  'collapsed',
  /** By what the effect alone says of its cause. */
  'caused',
])

export const graphLink = z.strictObject({ from: z.string(), to: z.string(), kind: linkKind })
export type GraphLink = z.infer<typeof graphLink>

export const timelineEntry = z.strictObject({
  at: z.iso.datetime(),
  id: z.string().describe('The node to which it happened.'),
  what: z.string(),
  agent: z.string().optional(),
  type: z.string().optional(),
  by: z.string().optional(),
  attempt: z.int().optional(),
  detail: z.string().optional(),
})
export type TimelineEntry = z.infer<typeof timelineEntry>

/** What one record knows. */
export interface Found {
  readonly node: GraphNode
  readonly links: readonly GraphLink[]
  /** Nodes that may know more of it. They are asked; what does not turn out to be linked is left out. */
  readonly hints: readonly string[]
  readonly entries: readonly TimelineEntry[]
}

export interface Address {
  readonly kind: NodeKind
  /** Without its prefix. */
  readonly id: string
}

/** Where a node's truth lives, by its address; undefined for what cannot be one, so that nonsense wakes no object. */
export function parseAddress(address: string): Address | undefined {
  if (parseDeliveryId(address) !== undefined) return { kind: 'delivery', id: address }
  if (isPublicationId(address)) return { kind: 'publication', id: address }
  const to = destinationOf({ to: address })
  if (to.kind === 'gather' && isGatherId(to.gather)) return { kind: 'gather', id: to.gather }
  if (to.kind === 'workflow' && /^[A-Za-z0-9_-]{1,64}$/.test(to.workflow)) return { kind: 'workflow', id: to.workflow }
  return undefined
}

// --- the whole --------------------------------------------------------------------------------------------------------

export const truncation = z.strictObject({
  by: z.enum(['nodes', 'calls', 'messages', 'entries']),
  unread: z.int().describe('How many are known of and were not read; at least.'),
})

export const graphAnswer = z.strictObject({
  roots: z.array(z.string()).describe('Nodes that nothing shown caused.'),
  nodes: z.array(graphNode),
  links: z.array(graphLink),
  truncated: truncation.optional().describe('It is larger than what one answer reads.'),
})
export type Graph = z.infer<typeof graphAnswer>

export interface Walk {
  readonly found: readonly Found[]
  /** Those that answered that they are not for the caller, or know nothing any more. */
  readonly blank: ReadonlyMap<string, 'hidden' | 'forgotten'>
  readonly truncated?: z.infer<typeof truncation>
}

/** Nodes in the order of time, each pair linked once, by the most telling of what was said of it. */
export function assemble({ found, blank, truncated }: Walk): Graph {
  const links = new Map<string, GraphLink>()
  for (const link of [...found.flatMap((f) => f.links), ...byCausation(found)]) {
    const key = `${link.from} ${link.to}`
    const known = links.get(key)
    if (known === undefined || known.kind === 'caused') links.set(key, link)
  }
  const named = new Set([...links.values()].flatMap(({ from, to }) => [from, to]))
  const blanks = [...blank].filter(([id]) => named.has(id)).map(([id, status]) => blankNode(id, status))
  const nodes = [...found.map((f) => f.node), ...blanks].sort(byTime)
  const shown = new Set(nodes.map((node) => node.id))
  const kept = [...links.values()].filter(({ from, to }) => shown.has(from) && shown.has(to))
  const caused = new Set(kept.map((link) => link.to))
  // A gather is also caused by its own replies: whoever asked nobody else's question began it all the same.
  const asked = new Set(kept.filter(({ kind }) => !answers.has(kind)).map((link) => link.to))
  const began = ({ id, kind }: GraphNode) => !caused.has(id) || (kind !== 'delivery' && !asked.has(id))
  const roots = nodes.filter(began).map((node) => node.id)
  return { roots, nodes, links: kept, ...(truncated === undefined ? {} : { truncated }) }
}

const answers: ReadonlySet<string> = new Set(['reply', 'notice', 'event', 'state'])

function blankNode(id: string, status: 'hidden' | 'forgotten'): GraphNode {
  return { id, kind: parseAddress(id)?.kind ?? 'delivery', status }
}

// What a publisher says of its cause is believed where that message is here, and its sender or addressee said so.
function byCausation(found: readonly Found[]): GraphLink[] {
  const deliveries = found.map((f) => f.node).filter((node) => node.kind === 'delivery')
  const byMessage = new Map<string, GraphNode[]>()
  for (const node of deliveries) {
    if (node.message === undefined) continue
    byMessage.set(node.message, [...(byMessage.get(node.message) ?? []), node])
  }
  const linked = new Set(found.flatMap((f) => f.links.map((link) => link.to)))
  return deliveries.flatMap((node) => {
    if (node.causationid === undefined || linked.has(node.id)) return []
    const causes = (byMessage.get(node.causationid) ?? []).filter((cause) => cause.agent === node.source)
    return causes.map((cause): GraphLink => ({ from: cause.id, to: node.id, kind: 'caused' }))
  })
}

const byTime = (a: GraphNode, b: GraphNode): number =>
  Number(a.openedAt === undefined) - Number(b.openedAt === undefined) ||
  (a.openedAt ?? '').localeCompare(b.openedAt ?? '') ||
  a.id.localeCompare(b.id)

// --- the time line ----------------------------------------------------------------------------------------------------

export const timelineAnswer = z.strictObject({
  items: z.array(timelineEntry).describe('In the order of time.'),
  nodes: z.array(graphNode).describe('What they happened to.'),
  truncated: truncation.optional(),
})
export type Timeline = z.infer<typeof timelineAnswer>

/** Everything that happened, in the order of time; the newest, when it is too much. */
export function timelineOf(walk: Walk): Timeline {
  const { nodes, truncated } = assemble(walk)
  const entries = walk.found.flatMap((f) => f.entries).sort((a, b) => a.at.localeCompare(b.at))
  const items = entries.slice(-limits.timelineEntries)
  const left = entries.length - items.length
  const cut = truncated ?? (left > 0 ? { by: 'entries' as const, unread: left } : undefined)
  return { items, nodes, ...(cut === undefined ? {} : { truncated: cut }) }
}

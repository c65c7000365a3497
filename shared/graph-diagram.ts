/**
 * A causal graph and a time line as Mermaid draws them: a flow chart of what caused what, a sequence diagram of who said what
 * to whom and when. Names are escaped, so that no name can draw. Never here: reading either (shared/causal-graph.ts).
 */
import type { Graph, GraphNode, Timeline, TimelineEntry } from './causal-graph.ts'
import { escaped } from './mermaid-text.ts'

/** How a node stands, as it is coloured. */
export type Mood = 'good' | 'bad' | 'wait' | 'hidden'

const good: ReadonlySet<string> = new Set(['completed', 'closed', 'replied'])
const bad: ReadonlySet<string> = new Set(['failed', 'dead_lettered', 'expired', 'cancelled', 'timed_out', 'paused'])

export function moodOf({ status, refused }: GraphNode): Mood {
  if (status === 'hidden' || status === 'forgotten') return 'hidden'
  if (bad.has(status) || refused !== undefined) return 'bad'
  return good.has(status) ? 'good' : 'wait'
}

/** What a node is, in a few words. */
export function titleOf({ kind, id, agent, type }: GraphNode): string {
  if (kind === 'workflow') return id.replace(':', ' ')
  if (kind === 'delivery') return agent ?? id
  if (kind === 'publication') return `to many: ${type ?? ''}`
  return `${id.startsWith('gather:s-') ? 'scatter' : 'request'}: ${type ?? ''}`
}

/** How long it took, of what has ended. */
export function tookMs({ openedAt, endedAt }: GraphNode): number | undefined {
  return openedAt === undefined || endedAt === undefined ? undefined : Date.parse(endedAt) - Date.parse(openedAt)
}

const shapes = {
  delivery: ['[', ']'],
  publication: ['{{', '}}'],
  gather: ['([', '])'],
  workflow: ['[[', ']]'],
} as const

const colours: Readonly<Record<Mood, string>> = {
  good: 'stroke:#1a7f37',
  bad: 'stroke:#c62828,stroke-width:3px',
  wait: 'stroke:#9a6700',
  hidden: 'stroke-dasharray:4 3,opacity:0.6',
}

/** Mermaid's `flowchart`. */
export function graphDiagram({ nodes, links, truncated }: Graph): string {
  const names = new Map(nodes.map((node, i) => [node.id, `n${i}`]))
  const boxes = nodes.map((node, i) => {
    const [open, close] = shapes[node.kind]
    return `  n${i}${open}"${labelOf(node)}"${close}:::${moodOf(node)}`
  })
  const arrows = links.map(({ from, to, kind }) => `  ${names.get(from)} -->|${kind}| ${names.get(to)}`)
  const classes = Object.entries(colours).map(([mood, style]) => `  classDef ${mood} ${style}`)
  const more = truncated === undefined ? [] : [`  more["and ${truncated.unread} more"]:::hidden`]
  return `${['flowchart LR', ...boxes, ...more, ...arrows, ...classes].join('\n')}\n`
}

function labelOf(node: GraphNode): string {
  const { kind, type, status, attempts } = node
  const took = tookMs(node)
  const tries = attempts === undefined || attempts < 2 ? '' : `, ${attempts} attempts`
  const lines = [
    titleOf(node),
    ...(kind === 'delivery' && type !== undefined ? [type] : []),
    `${status}${took === undefined ? '' : ` ${took} ms`}${tries}`,
  ]
  return lines.map(escaped).join('<br/>')
}

/** Mermaid's `sequenceDiagram`: messages as they were accepted, how each ended, and the ways of workflows. */
export function timelineDiagram({ nodes, items, truncated }: Timeline): string {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const names = new Map<string, string>()
  const name = (who: string) => {
    const known = names.get(who) ?? `p${names.size}`
    names.set(who, known)
    return known
  }
  const lines = items.flatMap((item) => {
    const node = byId.get(item.id)
    return node === undefined ? [] : sayingOf(item, node, name)
  })
  const people = [...names].map(([who, as]) => `  participant ${as} as ${escaped(who)}`)
  const cut = truncated === undefined ? [] : [`  %% cut: ${truncated.unread} more`]
  return `${['sequenceDiagram', ...people, ...lines, ...cut].join('\n')}\n`
}

function sayingOf(item: TimelineEntry, node: GraphNode, name: (who: string) => string): string[] {
  const { what, detail } = item
  if (node.kind === 'workflow') {
    const said = [what, detail].filter((part) => part !== undefined).join(': ')
    return [`  Note over ${name(workflowVoice(node))}: ${escaped(said)}`]
  }
  if (node.kind === 'gather' && what === 'reply')
    return [`  ${name(item.by ?? '')}-->>${name(node.source ?? '')}: ${escaped(`reply (${detail ?? ''})`)}`]
  if (node.kind !== 'delivery') return []
  const agent = name(node.agent ?? '')
  if (what === 'accepted') return [`  ${name(node.source ?? '')}->>${agent}: ${escaped(node.type ?? '')}`]
  return what === node.status && item.at === node.endedAt
    ? [`  Note over ${agent}: ${escaped(`${node.type ?? ''} ${what}, ${tookMs(node) ?? 0} ms`)}`]
    : []
}

// As it speaks in the messages that it sends.
const workflowVoice = ({ id }: GraphNode): string => id.replace(':', '/')

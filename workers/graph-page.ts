/**
 * The page of a causal graph, as a tree of links, and a time line as part of another page. No script draws it: Mermaid's text
 * stands below for who wants a picture. Never here: reading either (workers/explore.ts), putting it together (shared/causal-graph.ts).
 */
import { html } from 'hono/html'
import type { Graph, GraphLink, GraphNode, Timeline, TimelineEntry } from '../shared/causal-graph.ts'
import { graphDiagram, moodOf, titleOf, tookMs } from '../shared/graph-diagram.ts'
import { code, link, note, since, time, topBar } from './message-page.ts'
import { type Html, pageOf } from './page.ts'

/** Every text in it may be a stranger's: nothing of it becomes markup, and links are made of ids only. */
export function graphPage(id: string, graph: Graph): string {
  const tree = new Tree(graph, id)
  const { truncated } = graph
  const cut =
    truncated === undefined
      ? ''
      : html`<p class="soft">It is larger: at least ${truncated.unread} more were not read.</p>`
  return pageOf(
    `What led to what`,
    html`<p>Around the delivery ${link('m', id)}.</p>${cut}
<ul class="lines">${graph.roots.map((root) => tree.branch(root))}</ul>${tree.rest()}
<h2>As a picture</h2><p class="soft">For Mermaid.</p><pre>${graphDiagram(graph)}</pre>`,
    topBar,
  )
}

// A node is told once, in full, where it is met first; in a circle the second meeting is a mention.
class Tree {
  readonly #graph: Graph
  readonly #here: string
  readonly #children = new Map<string, GraphLink[]>()
  readonly #nodes: ReadonlyMap<string, GraphNode>
  readonly #told = new Set<string>()

  constructor(graph: Graph, here: string) {
    this.#graph = graph
    this.#here = here
    this.#nodes = new Map(graph.nodes.map((node) => [node.id, node]))
    for (const one of graph.links) this.#children.set(one.from, [...(this.#children.get(one.from) ?? []), one])
  }

  branch(id: string, kind?: GraphLink['kind']): Html {
    const node = this.#nodes.get(id)
    if (node === undefined) return html``
    const how = kind === undefined ? '' : html`<span class="soft">${kind}</span> `
    if (this.#told.has(id)) return html`<li>${how}${nodeLink(node)} <span class="soft">told above</span></li>`
    this.#told.add(id)
    const below = (this.#children.get(id) ?? []).map((one) => this.branch(one.to, one.kind))
    const list = below.length === 0 ? '' : html`<ul>${below}</ul>`
    return html`<li>${how}${nodeLine(node, id === this.#here)}${list}</li>`
  }

  /** What no root leads to. */
  rest(): Html {
    const left = this.#graph.nodes.filter((node) => !this.#told.has(node.id))
    return left.length === 0 ? html`` : html`<ul class="lines">${left.map((node) => this.branch(node.id))}</ul>`
  }
}

function nodeLine(node: GraphNode, isHere: boolean): Html {
  const { kind, type, status, openedAt, why, refused = [] } = node
  const took = tookMs(node)
  const mood = moodOf(node)
  const said = kind === 'delivery' && type !== undefined ? html` ${code(type)}` : ''
  const lost = refused.map(
    (one) => html`<div><span class="tag bad">refused</span> ${one.to ?? ''} ${code(one.reason)}</div>`,
  )
  return html`${isHere ? html`<strong>${nodeLink(node)}</strong>` : nodeLink(node)}${said} <span class="tag ${mood}">${status}</span>${openedAt === undefined ? '' : html` ${time(openedAt)}`}${took === undefined ? '' : html` <span class="soft">${took} ms</span>`}${note(why)}${lost}`
}

function nodeLink(node: GraphNode): Html {
  const { kind, id, status } = node
  const title = titleOf(node)
  if (kind === 'workflow') return link('w', id.slice('workflow:'.length), title)
  return kind === 'gather' || status === 'hidden' ? code(title) : link('m', id, title)
}

/** What happened, step by step. `whole`: where all of it is read. */
export function timeLine({ items, nodes, truncated }: Timeline, whole: string): Html {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const rungs = items.map((item, i) => rung(item, byId.get(item.id), items[i - 1]?.at))
  const cut = truncated === undefined ? '' : html`<p class="soft">There is more: ${code(`GET ${whole}`)}.</p>`
  return html`<ol class="ladder">${rungs}</ol>${cut}`
}

const badSteps: ReadonlySet<string> = new Set(['dead_lettered', 'failed', 'expired', 'cancelled', 'retry', 'timed_out'])

function rung(
  { at, what, type, by, attempt, detail }: TimelineEntry,
  node: GraphNode | undefined,
  before?: string,
): Html {
  const mood = badSteps.has(what) ? 'bad' : what === 'completed' || what === 'transition' ? 'good' : ''
  const tries = attempt === undefined ? '' : html` <span class="soft">attempt ${attempt}</span>`
  const who = by === undefined ? '' : html` by ${code(by)}`
  return html`<li class="${mood}">${node === undefined ? '' : nodeLink(node)} <strong>${what}</strong>${type === undefined ? '' : html` ${code(type)}`}${tries}${who} ${time(at)} <span class="soft">${since(before, at)}</span>${note(detail)}</li>`
}

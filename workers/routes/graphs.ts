/**
 * Causal graphs and time lines over HTTP, as JSON or drawn by Mermaid: of a delivery, a workflow, a conversation. Never here:
 * the way through them (workers/explore.ts), finding a conversation (workers/correlate.ts).
 */
import { type Context, Hono } from 'hono'
import { correlationQuery, graphQuery } from '../../shared/api-graph.ts'
import { assemble, type Graph, parseAddress, type Timeline, timelineOf, type Walk } from '../../shared/causal-graph.ts'
import { graphDiagram, timelineDiagram } from '../../shared/graph-diagram.ts'
import { limits } from '../../shared/limits.ts'
import { mermaidType } from '../../shared/mermaid-text.ts'
import { workflowAddress } from '../../shared/outgoing.ts'
import type { App } from '../context.ts'
import { type Correlated, correlate } from '../correlate.ts'
import { type Exploring, explore } from '../explore.ts'
import { refuse, validate } from '../problem.ts'
import { permitted, requestOf } from '../workflow-access.ts'

export const graphs = new Hono<App>()

graphs.get('/deliveries/:id/graph', async (c) => {
  const { format } = validate(graphQuery, c.req.query())
  const id = c.req.param('id')
  if (parseAddress(id)?.kind !== 'delivery') return refuse({ code: 'not_found', what: 'delivery', id })
  const walk = await from(c, [id])
  const blank = walk.blank.get(id)
  if (blank === 'forgotten') refuse({ code: 'not_found', what: 'delivery', id })
  if (blank === 'hidden') refuse({ code: 'forbidden', action: 'read the graph of', subject: id })
  return answer(c, format, assemble(walk), graphDiagram)
})

graphs.get('/workflows/:workflow/graph', async (c) => {
  const { format } = validate(graphQuery, c.req.query())
  return answer(c, format, assemble(await workflowWalk(c, {})), graphDiagram)
})

graphs.get('/workflows/:workflow/timeline', async (c) => {
  const { format } = validate(graphQuery, c.req.query())
  return answer(c, format, timelineOf(await workflowWalk(c, { history: true })), timelineDiagram)
})

graphs.get('/correlations/:correlation', async (c) => {
  const { walk, format, searched } = await conversation(c, { history: true })
  return answer(c, format, { ...timelineOf(walk), searched }, timelineDiagram)
})

graphs.get('/correlations/:correlation/graph', async (c) => {
  const { walk, format, searched } = await conversation(c, {})
  return answer(c, format, { ...assemble(walk), searched }, graphDiagram)
})

function from(c: Context<App>, addresses: readonly string[], exploring: Exploring = {}): Promise<Walk> {
  return explore(c.get('platform'), c.get('principal'), addresses, exploring)
}

async function workflowWalk(c: Context<App>, exploring: Exploring): Promise<Walk> {
  const request = requestOf(c, 'readState')
  permitted(request, await request.port.read(request.asker))
  return from(c, [workflowAddress(request.id)], exploring)
}

// Found nowhere yet is no answer of its own while there are mailboxes to be read.
async function conversation(c: Context<App>, exploring: Exploring) {
  const { format, agent, cursor } = validate(correlationQuery, c.req.query())
  const id = c.req.param('correlation') ?? ''
  if (id.length > limits.idLength) refuse({ code: 'not_found', what: 'conversation', id: id.slice(0, limits.idLength) })
  const found = await correlate(c.get('platform'), c.get('principal'), { correlationid: id, agent, cursor })
  const walk = await from(c, found.seeds, exploring)
  if (walk.found.length === 0 && found.cursor === undefined && cursor === undefined)
    refuse({ code: 'not_found', what: 'conversation', id })
  return { walk, format, searched: searchedOf(found) }
}

function searchedOf({ mailboxes, cursor }: Correlated) {
  return { mailboxes: [...mailboxes], ...(cursor === undefined ? {} : { cursor }) }
}

function answer<T extends Graph | Timeline>(
  c: Context<App>,
  format: 'json' | 'mermaid' | undefined,
  value: T,
  draw: (value: T) => string,
): Response {
  const isDrawn =
    format === 'mermaid' || (format === undefined && c.req.header('accept')?.includes(mermaidType) === true)
  if (!isDrawn) return c.json(value, 200)
  return c.body(draw(value), 200, { 'Content-Type': `${mermaidType}; charset=utf-8` })
}

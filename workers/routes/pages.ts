/**
 * The pages for people: what became of one message, and of one workflow. They read and change nothing. Never here: what they
 * say (workers/message-page.ts, workers/workflow-page.ts, shared/explanation.ts).
 */

import { Hono } from 'hono'
import { html } from 'hono/html'
import type { Asker } from '../../shared/asker.ts'
import { assemble, parseAddress, timelineOf } from '../../shared/causal-graph.ts'
import { mermaid } from '../../shared/chart-diagram.ts'
import { parseDeliveryId } from '../../shared/ids.ts'
import { workflowAddress } from '../../shared/outgoing.ts'
import type { Platform } from '../../shared/ports.ts'
import { isPublicationId } from '../../shared/publication.ts'
import { parseDefinition } from '../../shared/statechart.ts'
import { workflowId } from '../../shared/workflow.ts'
import type { App } from '../context.ts'
import { explore } from '../explore.ts'
import { graphPage } from '../graph-page.ts'
import { type LegLine, messagePage, publicationPage, topBar } from '../message-page.ts'
import { pageOf, privatePage } from '../page.ts'
import { fatesOf } from '../report.ts'
import { requireSession } from '../session.ts'
import { type WorkflowStory, workflowPage } from '../workflow-page.ts'

export const pages = new Hono<App>()

pages.use('/m/*', requireSession)
pages.use('/w/*', requireSession)

pages.get('/m', async (c) => {
  const id = c.req.query('id')?.trim()
  if (id !== undefined && id !== '') return c.redirect(`/m/${encodeURIComponent(id)}`, 303)
  return privatePage(lookup('Where is my message?'), 200)
})

pages.get('/m/:delivery', async (c) => {
  const id = c.req.param('delivery')
  const page = await messageAt(c.get('platform'), id)
  return page === undefined ? privatePage(lookup('No such message', id), 404) : privatePage(page, 200)
})

pages.get('/w/:workflow', async (c) => {
  const id = c.req.param('workflow')
  const story = await storyOf(c.get('platform'), id)
  return story === undefined ? privatePage(lookup('No such workflow', id), 404) : privatePage(workflowPage(story), 200)
})

pages.get('/m/:delivery/graph', async (c) => {
  const id = c.req.param('delivery')
  const isOne = parseAddress(id)?.kind === 'delivery'
  const walk = isOne ? await explore(c.get('platform'), { kind: 'admin' }, [id]) : undefined
  if (walk === undefined || walk.found.length === 0) return privatePage(lookup('No such message', id), 404)
  return privatePage(graphPage(id, assemble(walk)), 200)
})

async function messageAt(platform: Platform, id: string): Promise<string | undefined> {
  if (isPublicationId(id)) return publicationAt(platform, id)
  const agent = parseDeliveryId(id)?.agent
  const receipt = agent === undefined ? undefined : await platform.agent(agent).receipt(id)
  return receipt === undefined ? undefined : messagePage(receipt)
}

async function publicationAt(platform: Platform, id: string): Promise<string | undefined> {
  const publication = await platform.publication(id).report()
  if (publication === undefined) return undefined
  const fates = await fatesOf(platform, publication.legs)
  const legs = fates.map(({ leg: { agent, state }, receipt }): LegLine => {
    if (state.status === 'accepted') return { agent, delivery: state.delivery, status: receipt ?? 'accepted' }
    return { agent, status: state.status, ...(state.status === 'refused' ? { reason: state.reason } : {}) }
  })
  return publicationPage(publication, legs)
}

// As much of a long life as one page shows: the end of it.
const shownEntries = 200
const shownMessages = 100
const shownNodes = 100

async function storyOf(platform: Platform, id: string): Promise<WorkflowStory | undefined> {
  if (!workflowId.safeParse(id).success) return undefined
  const port = platform.workflow(id)
  const [found, drawn] = [await port.read(admin), await port.definition(admin)]
  if (found.status !== 'found' || drawn.status !== 'found') return undefined
  const { last } = found.workflow.record
  const past = await port.history(admin, Math.max(0, last.entry - shownEntries), shownEntries)
  const sent = await port.messages(admin, Math.max(0, last.effect - shownMessages), shownMessages)
  const chart = parseDefinition(drawn.definition)
  const walk = await explore(platform, { kind: 'admin' }, [workflowAddress(id)], { history: true, nodes: shownNodes })
  return {
    workflow: found.workflow,
    ...(chart.ok ? { diagram: mermaid(chart.value, drawn.marks) } : {}),
    history: past.status === 'found' ? past.entries : [],
    messages: sent.status === 'found' ? sent.messages : [],
    timeline: timelineOf(walk),
  }
}

// A session is the admin's.
const admin: Asker = { source: 'admin', permitted: true }

function lookup(heading: string, missing?: string): string {
  const said =
    missing === undefined
      ? ''
      : html`<p>There is nothing under <code>${missing}</code>. A receipt is kept for a day after the end, a dead letter for 30.</p>`
  return pageOf(
    heading,
    html`${said}<form class="wide" method="get" action="/m"><p><label>Delivery or publication<br><input name="id" required autofocus></label></p><p><button>Show it</button></p></form>
<p class="soft">The answer to a publish names its deliveries: <code>deliveries[0].id</code>. They look like <code>researcher_mfrggzdfmztwq2lknnwg23tpoa</code>.</p>`,
    topBar,
  )
}

/**
 * The page of one workflow: how it stands and why, the way it took with its times, what it waits for, what it sent, and all that
 * happened. Never here: the sentences (shared/explanation.ts), reading (workers/routes/pages.ts).
 */
import { html } from 'hono/html'
import type { Timeline } from '../shared/causal-graph.ts'
import { explainWorkflow, valueText } from '../shared/explanation.ts'
import { type Outgoing, outgoingId } from '../shared/outgoing.ts'
import type { HistoryEntry } from '../shared/workflow-history.ts'
import type { Workflow } from '../shared/workflow-port.ts'
import { timeLine } from './graph-page.ts'
import { became, code, note, since, time, topBar, verdict } from './message-page.ts'
import { type Html, pageOf, row } from './page.ts'

export interface WorkflowStory {
  readonly workflow: Workflow
  /** Mermaid's text, when it has a statechart. */
  readonly diagram?: string
  /** The newest, in their order. */
  readonly history: readonly HistoryEntry[]
  readonly messages: readonly Outgoing[]
  readonly timeline: Timeline
}

/** Every text in it may be a stranger's: nothing of it becomes markup, and links are made of ids only. */
export function workflowPage({ workflow, diagram, history, messages, timeline }: WorkflowStory): string {
  const { record } = workflow
  return pageOf(
    `Workflow ${record.id}`,
    html`${verdict(explainWorkflow(record), record.status)}
${way(history)}${timers(record)}${sent(record, messages)}
<h2>Time line</h2>${timeLine(timeline, `/v1/workflows/${record.id}/timeline`)}
<h2>State <span class="soft">version ${record.version}</span></h2><pre>${cut(workflow.state)}</pre>
${record.output === undefined ? '' : html`<h2>Its output</h2><pre>${cut(record.output)}</pre>`}
${diagram === undefined ? '' : html`<h2>Statechart</h2><p class="soft">As Mermaid draws it: the active states are marked, and the ways it took.</p><pre>${diagram}</pre>`}
<h2>History</h2><ul class="lines">${[...history].reverse().map(line)}</ul>
<h2>The workflow</h2>${facts(record)}`,
    topBar,
  )
}

// As much as is read; the whole is at GET /v1/workflows/{id}.
const shownCharacters = 4_000

function cut(value: unknown): string {
  const text = JSON.stringify(value, null, 2)
  return text.length > shownCharacters ? `${text.slice(0, shownCharacters)}\n… (cut)` : text
}

/** The states one after the other, transient ones too, each with when it was entered. */
function way(history: readonly HistoryEntry[]): Html {
  const moves = history.flatMap(({ at, path = [] }) => path.map((move) => ({ at, ...move })))
  if (moves.length === 0) return html``
  const rungs = moves.map(({ at, to, event }, i) => {
    const before = moves[i - 1]?.at
    const after = before === undefined ? '' : since(iso(before), iso(at))
    return html`<li><strong>${valueText(to)}</strong> ${time(iso(at))} <span class="soft">${after}</span>${note(event === '' || event === 'xstate.init' ? undefined : `by ${event}`)}</li>`
  })
  return html`<h2>The way it took</h2><ol class="ladder">${rungs}</ol>`
}

function timers({ timers }: Workflow['record']): Html {
  if (timers.length === 0) return html``
  const items = timers.map((timer) => html`<li>${code(timer.event.type)} due at ${time(iso(timer.dueAt))}</li>`)
  return html`<h2>Open timers</h2><ul class="lines">${items}</ul>`
}

function sent(workflow: Workflow['record'], messages: readonly Outgoing[]): Html {
  if (messages.length === 0) return html``
  const items = messages.map(({ n, kind, message, state, openedAt }) => {
    const target = message['to'] ?? message['topic']
    const type = typeof message['type'] === 'string' ? code(message['type']) : ''
    return html`<li>${code(outgoingId(workflow, n))} ${kind} ${type}${typeof target === 'string' ? html` to ${code(target)}` : ''} ${time(iso(openedAt))}<div>${became(state)}</div></li>`
  })
  return html`<h2>What it sent</h2><ul class="lines">${items}</ul>`
}

function line({ n, at, by, kind, version, event, fields, effects, detail }: HistoryEntry): Html {
  const told = [
    ...(event === undefined ? [] : [html` ${code(event.type)}`]),
    ...(fields === undefined || fields.length === 0 ? [] : [html` changed ${fields.map((f) => html`${code(f)} `)}`]),
    ...(effects === undefined || effects.length === 0 ? [] : [html` sent ${effects.join(', ')}`]),
  ]
  return html`<li><span class="soft">${n}</span> <strong>${kind}</strong>${told} by ${code(by)} ${time(iso(at))} <span class="soft">version ${version}</span>${note(detail)}</li>`
}

function facts(record: Workflow['record']): Html {
  const { id, definition, createdBy, createdAt, updatedBy, updatedAt, endedAt, value } = record
  const named = definition?.name === undefined ? 'its own' : `${definition.name}, version ${definition.version ?? '?'}`
  return html`<table class="facts">${row('id', code(id))}${row('version', record.version)}${value === undefined ? '' : row('in', code(valueText(value)))}${definition === undefined ? '' : row('definition', code(named))}${row('created', html`${time(iso(createdAt))} by ${code(createdBy)}`)}${row('changed', html`${time(iso(updatedAt))} by ${code(updatedBy)}`)}${endedAt === undefined ? '' : row('ended', time(iso(endedAt)))}${row('as JSON', code(`GET /v1/workflows/${id}`))}</table>`
}

const iso = (at: number) => new Date(at).toISOString()

/**
 * The page of one message on its way to one agent, and that of a publish to many: where it is and why, how it came there, and
 * what can be done. Never here: the sentences (shared/explanation.ts), reading (workers/routes/pages.ts), or a message's data.
 */
import { html } from 'hono/html'
import type { Effect } from '../shared/effects.ts'
import { causeOf, type Explanation, explain } from '../shared/explanation.ts'
import { isAtEnd } from '../shared/ladder.ts'
import { isCaught, type Publication } from '../shared/publication.ts'
import type { Receipt } from '../shared/receipt.ts'
import { type Html, pageOf, prose, row } from './page.ts'

/** Every text in it may be a stranger's: nothing of it becomes markup, and links are made of ids only. */
export function messagePage(receipt: Receipt): string {
  const { message, agent } = receipt
  return pageOf(
    `${message.type} to ${agent}`,
    html`${verdict(explain(receipt), receipt.status)}${whereElse(receipt)}
<h2>What happened</h2>${ladder(receipt)}
${attempts(receipt)}${effects(receipt)}${result(receipt)}
<h2>The message</h2>${facts(receipt)}`,
    topBar,
  )
}

export interface LegLine {
  readonly agent: string
  readonly delivery?: string
  readonly status: string
  readonly reason?: string
}

/** A publish to many: its legs, each with a link to its own page. */
export function publicationPage(publication: Publication, legs: readonly LegLine[]): string {
  const { head, openedAt, closedAt, fanout, accepted, refused } = publication
  const open = closedAt === undefined
  const explanation: Explanation = open
    ? { mood: 'wait', headline: `On its way: ${accepted + refused} of ${fanout} have it or refused it.` }
    : {
        mood: refused > 0 || fanout === 0 ? 'bad' : 'good',
        headline:
          fanout === 0
            ? 'It reached nobody.'
            : `${isCaught(publication) ? 'Nobody listened, and it was caught. ' : ''}Accepted by the mailboxes of ${accepted}, refused by ${refused}.`,
      }
  const items = legs.map(
    ({ agent, delivery, status, reason }) =>
      html`<li>${delivery === undefined ? code(agent) : link('m', delivery, agent)} ${status}${note(reason)}</li>`,
  )
  return pageOf(
    `${head.type} to ${head.topic ?? head.to ?? ''}`,
    html`${verdict(explanation, open ? 'open' : 'closed')}
<h2>Whom it is for</h2><ul class="lines">${items}</ul>
<h2>The message</h2><table class="facts">${row('published', time(new Date(openedAt).toISOString()))}${attributesOf(head)}</table>`,
    topBar,
  )
}

/** Above every page of who is logged in. */
export const topBar = html`<header><a href="/m">Switchboard</a><form method="post" action="/logout"><button>Log out</button></form></header>`

export function verdict({ mood, headline, why, next }: Explanation, status: string): Html {
  return html`<article class="verdict ${mood}"><strong>${headline}</strong> <span class="tag ${mood}">${status}</span>
${why === undefined ? '' : html`<p>Because: <span class="text">${why}</span></p>`}${next === undefined ? '' : html`<p>${prose(next)}</p>`}</article>`
}

export function time(iso: string): Html {
  return html`<time datetime="${iso}">${iso.replace('T', ' ').replace('Z', '')}</time>`
}

export function link(page: 'm' | 'w', id: string, text: string = id): Html {
  return html`<a href="/${page}/${encodeURIComponent(id)}"><code>${text}</code></a>`
}

export const code = (text: unknown): Html => html`<code>${text}</code>`

// --- its parts --------------------------------------------------------------------------------------------------------

/** Where it came from, and where it went on. */
function whereElse({ id, message, reassignedTo }: Receipt): Html {
  const cause = causeOf(message)
  const lines = [
    ...(cause === undefined
      ? []
      : [html`<p>Caused by the ${cause.kind} ${link(cause.kind === 'delivery' ? 'm' : 'w', cause.id)}.</p>`]),
    ...(typeof message.workflowid === 'string'
      ? [html`<p>Part of the workflow ${link('w', message.workflowid)}.</p>`]
      : []),
    ...(reassignedTo === undefined ? [] : [html`<p>It goes on as ${link('m', reassignedTo)}.</p>`]),
    html`<p><a href="/m/${encodeURIComponent(id)}/graph">All that led to it, and all that it led to</a></p>`,
  ]
  return html`${lines}`
}

const badSteps: ReadonlySet<string> = new Set(['dead_lettered', 'failed', 'expired', 'cancelled', 'retry', 'refused'])

function ladder({ steps, status, because, nextAttemptAt, truncated, progress }: Receipt): Html {
  const rungs = steps.map(({ step, at, attempt, detail }, i) => {
    const mood = badSteps.has(step) ? 'bad' : step === 'completed' ? 'good' : ''
    const tries = attempt === undefined ? '' : html` <span class="soft">attempt ${attempt}</span>`
    return html`<li class="${mood}"><strong>${step}</strong>${tries} ${time(at)} <span class="soft">${since(steps[i - 1]?.at, at)}</span>${note(detail)}</li>`
  })
  const last = steps.at(-1)?.step
  const now =
    last === status || isAtEnd({ status })
      ? ''
      : html`<li class="wait"><strong>${status}</strong> <span class="soft">now</span>${note(because)}${nextAttemptAt === undefined ? '' : html`<div>due at ${time(nextAttemptAt)}</div>`}</li>`
  const cut = truncated === true ? html`<p class="soft">Older steps and attempts are no longer kept.</p>` : ''
  const said = progressOf(progress)
  const far = said === undefined ? '' : html`<li class="wait"><strong>progress</strong>${note(said)}</li>`
  return html`<ol class="ladder">${rungs}${far}${now}</ol>${cut}`
}

export const note = (detail: string | undefined): Html =>
  detail === undefined ? html`` : html`<div class="text">${detail}</div>`

function progressOf(progress: Receipt['progress']): string | undefined {
  if (progress === undefined) return undefined
  const percent = progress.percent === undefined ? '' : `${progress.percent} % `
  return `${percent}${progress.note ?? ''} (at ${progress.at})`
}

export function since(before: string | undefined, at: string): string {
  if (before === undefined) return ''
  const ms = Date.parse(at) - Date.parse(before)
  return ms < 1_000 ? `+${ms} ms` : `+${(ms / 1_000).toFixed(ms < 60_000 ? 1 : 0)} s`
}

function attempts({ attempts, attempt, maxAttempts }: Receipt): Html {
  if (attempts.length === 0) return html``
  const items = attempts.map(({ number, startedAt, endedAt, outcome, counted, httpStatus, error }) => {
    const status = httpStatus === undefined ? '' : `HTTP ${httpStatus} `
    const failed = error === undefined ? '' : html`${code(error.code)} <span class="text">${error.message}</span>`
    const free = counted ? '' : html` <span class="soft">not counted</span>`
    return html`<li><strong>${number}</strong> <span class="tag ${outcome === 'ok' ? 'good' : 'bad'}">${outcome}</span>${free} ${time(startedAt)} <span class="soft">${since(startedAt, endedAt)}</span><div>${status}${failed}</div></li>`
  })
  return html`<h2>Attempts <span class="soft">${attempt} of ${maxAttempts}</span></h2><ul class="lines">${items}</ul>`
}

function effects({ effects = [] }: Receipt): Html {
  if (effects.length === 0) return html``
  return html`<h2>What it set off</h2><ul class="lines">${effects.map(effectLine)}</ul>`
}

function effectLine({ n, kind, publish, state }: Effect): Html {
  const type = typeof publish['type'] === 'string' ? code(publish['type']) : ''
  const to = publish['to'] ?? publish['topic']
  const target = typeof to === 'string' ? html` to ${code(to)}` : ''
  return html`<li><strong>${n}</strong> ${kind} ${type}${target}<div>${became(state)}</div></li>`
}

export function became(state: Effect['state']): Html {
  switch (state.status) {
    case 'pending':
      return html`<span class="tag wait">on its way</span>`
    case 'refused':
      return html`<span class="tag bad">refused</span> ${code(state.reason)} <span class="text">${state.detail}</span>`
    case 'withheld':
      return html`<span class="tag">withheld</span> <span class="text">${state.detail}</span>`
    case 'carried':
      return html`<span class="tag good">carried</span>${state.deliveries.map((id) => html` ${link('m', id)}`)}`
  }
}

// As much as is read; the whole is at GET /v1/deliveries/{id}.
const resultCharacters = 4_000

function result({ result }: Receipt): Html {
  if (result === undefined) return html``
  const text = JSON.stringify(result, null, 2)
  const shown = text.length > resultCharacters ? `${text.slice(0, resultCharacters)}\n… (cut)` : text
  return html`<h2>Its result</h2><pre>${shown}</pre>`
}

function facts(receipt: Receipt): Html {
  const { id, agent, message, sequence, hops, redrives } = receipt
  return html`<table class="facts">${row('delivery', code(id))}${row('agent', code(agent))}${attributesOf(message)}${row('place in the mailbox', sequence)}${row('hops', hops)}${redrives === 0 ? '' : row('redriven', `${redrives} times`)}${row('as JSON', code(`GET /v1/deliveries/${id}`))}</table>`
}

/** Every attribute of the message, its own extensions too, but no data. */
function attributesOf(head: Receipt['message']): Html[] {
  return Object.entries(head)
    .filter(([name, value]) => value !== undefined && name !== 'specversion')
    .map(([name, value]) => row(name, code(typeof value === 'object' ? JSON.stringify(value) : String(value))))
}

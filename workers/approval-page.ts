/**
 * The page behind a link of an approval: the question, and a button for each option that the link may decide; or how it ended.
 * Never here: deciding (workers/routes/approval-page.ts).
 */
import { html } from 'hono/html'
import { withoutUrls } from '../shared/api-approvals.ts'
import { type Approval, approvalStatusOf } from '../shared/approval.ts'
import { type Html, pageOf } from './page.ts'

/** A question that may be decided. `options` are those of the link. */
export function questionPage({ input, owner, deadlineAt }: Approval, options: readonly string[]): string {
  const buttons = options.map((option) => html`<p><button name="option" value="${option}">${option}</button></p>`)
  return pageOf(
    'A decision is asked of you',
    html`<p class="text">${input.question}</p>${contextOf(input.context)}
<p class="soft">Asked by <code>${owner}</code>; until <time datetime="${iso(deadlineAt)}">${iso(deadlineAt)}</time>.</p>
<form class="wide" method="post"><p><label>Note (optional)<br><input name="note" maxlength="1000" autocomplete="off"></label></p>${buttons}</form>`,
  )
}

function contextOf(context: unknown): Html {
  return context === undefined ? html`` : html`<pre>${JSON.stringify(context, null, 2)}</pre>`
}

/** How it ended, for whoever decided and whoever comes later. */
export function endedPage(approval: Approval, heading: string): string {
  const verdict = verdictOf(withoutUrls(approval))
  return pageOf(heading, html`<p class="text">${approval.input.question}</p><p><b>${verdict}</b></p>`)
}

// A time-out is told as what it is, even where it has the same consequence as a denial.
function verdictOf(approval: Approval): string {
  const { outcome } = approval
  switch (outcome?.status) {
    case undefined:
      return approvalStatusOf(approval)
    case 'decided':
      return `${outcome.option}: decided by ${outcome.by} at ${iso(outcome.at)}.`
    case 'timed_out':
      return outcome.option === undefined
        ? `Nobody decided in time. It ended at ${iso(outcome.at)}.`
        : `Nobody decided in time. It ended at ${iso(outcome.at)}; as agreed beforehand, “${outcome.option}” holds.`
    case 'cancelled':
      return `It was withdrawn by ${outcome.by} at ${iso(outcome.at)}.`
  }
}

/** A link that is none. It does not say whether there is such a question. */
export const invalidLinkPage = (): string =>
  pageOf(
    'This link is not valid',
    html`<p>It was changed on its way, or it is no longer kept. Nothing was decided.</p>`,
  )

const iso = (at: number) => new Date(at).toISOString()

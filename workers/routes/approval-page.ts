/**
 * Links that decide, for people without a key: GET shows, POST decides. A scanner or a preview that opens the link decides
 * nothing, whatever it follows. Never here: what a link is (shared/approval-link.ts), what the page says
 * (workers/approval-page.ts).
 */
import { type Context, Hono } from 'hono'
import { type Approval, isApprovalId } from '../../shared/approval.ts'
import { readLink } from '../../shared/approval-link.ts'
import { limits } from '../../shared/limits.ts'
import { endedPage, invalidLinkPage, questionPage } from '../approval-page.ts'
import type { App } from '../context.ts'
import { privatePage } from '../page.ts'
import { readBytes } from '../problem.ts'
import { isOwnForm } from '../session.ts'
import { tellApproval } from '../tell-approval.ts'

export const approvalLinks = new Hono<App>()

approvalLinks.get('/a/:approval', async (c) => {
  const link = await linkOf(c)
  if (link === undefined) return page(invalidLinkPage(), 403)
  if (link.approval.outcome !== undefined) return page(endedPage(link.approval, 'This is over'), 200)
  if (link.status === 'expired') return page(endedPage(link.approval, 'This link has expired'), 410)
  return page(questionPage(link.approval, link.option === undefined ? link.approval.input.options : [link.option]), 200)
})

approvalLinks.post('/a/:approval', async (c) => {
  const link = await linkOf(c)
  if (link === undefined || !isOwnForm(c)) return page(invalidLinkPage(), 403)
  const { approval, who } = link
  if (approval.outcome !== undefined) return page(endedPage(approval, 'This was over before'), 409)
  if (link.status === 'expired') return page(endedPage(approval, 'This link has expired'), 410)
  const form = new URLSearchParams(new TextDecoder().decode(await readBytes(c, limits.formBytes)))
  const option = form.get('option') ?? link.option ?? ''
  // A link that may decide one option decides no other, whatever the form says.
  if (link.option !== undefined && option !== link.option) return page(invalidLinkPage(), 403)
  const note = form.get('note')?.slice(0, limits.approvalNoteLength) ?? ''
  const platform = c.get('platform')
  const decision = { option, by: who, how: 'link', ...(note === '' ? {} : { note }) } as const
  const decided = await platform.approvals().decide(approval.id, decision)
  if (decided === undefined) return page(invalidLinkPage(), 403)
  if (decided.status === 'no_option') return page(questionPage(approval, approval.input.options), 400)
  if (decided.status !== 'decided') return page(endedPage(decided.approval, 'This was over before'), 409)
  await tellApproval(platform, approval.id).catch(() => undefined)
  return page(endedPage(decided.approval, 'Thank you'), 200)
})

interface OpenedLink {
  readonly approval: Approval
  readonly status: 'valid' | 'expired'
  /** Whom the link was sent to. */
  readonly who: string
  readonly option?: string
}

/** Undefined: it is no link of ours, whether or not there is such a question. */
async function linkOf(c: Context<App>): Promise<OpenedLink | undefined> {
  const platform = c.get('platform')
  const id = c.req.param('approval') ?? ''
  const approval = isApprovalId(id) ? await platform.approvals().find(id) : undefined
  if (approval === undefined) return undefined
  const verdict = readLink(approval, c.req.query(), platform.now())
  if (verdict.status === 'invalid') return undefined
  if (verdict.status === 'expired') return { approval, status: 'expired', who: '' }
  const { claim, who } = verdict
  return { approval, status: 'valid', who, ...(claim.option === undefined ? {} : { option: claim.option }) }
}

// Kept by nobody, and told to no index.
const page = (text: string, status: number) => privatePage(text, status, { 'X-Robots-Tag': 'noindex, nofollow' })

/**
 * Approvals over HTTP: ask a person, see what waits, decide, withdraw. The gateway waits, by asking again; no object holds a
 * call open. Never here: the links (workers/routes/approval-page.ts), what becomes of a question (shared/approval.ts).
 */
import { type Context, Hono } from 'hono'
import {
  approvalQuery,
  approvalsQuery,
  publicApproval,
  publicOutcome,
  withoutUrls,
} from '../../shared/api-approvals.ts'
import { type Approval, approvalStatusOf, isApprovalId, mayDecide, mayReadApproval } from '../../shared/approval.ts'
import { approvalInput, decisionInput } from '../../shared/approval-input.ts'
import { isMaker, ownSource, type Principal } from '../../shared/permissions.ts'
import { askApproval } from '../ask-approval.ts'
import type { App } from '../context.ts'
import { idempotencyKeyOf } from '../idempotency-key.ts'
import { meter } from '../meter.ts'
import { poll } from '../poll.ts'
import { readJson, refuse, unwrap, validate } from '../problem.ts'
import { tellApproval } from '../tell-approval.ts'

export const approvals = new Hono<App>()

approvals.post('/approvals', async (c) => {
  const input = await readJson(c, approvalInput)
  meter(c, 1)
  const platform = c.get('platform')
  const key = idempotencyKeyOf(c)
  const options = { origin: new URL(c.req.url).origin, ...(key === undefined ? {} : { key }) }
  const asked = unwrap(await askApproval(platform, c.get('principal'), input, options))
  // It is stored; whom it could not be told now, the alarm has it told.
  const told = asked.opened ? await tellApproval(platform, asked.approval.id).catch(() => undefined) : undefined
  const { secrets } = asked
  c.header('Location', `/v1/approvals/${asked.approval.id}`)
  const answer = publicApproval(told ?? asked.approval, true)
  return c.json(
    { ...answer, ...(Object.keys(secrets).length === 0 ? {} : { callbackSecrets: secrets }) },
    asked.opened ? 201 : 200,
  )
})

approvals.get('/approvals', async (c) => {
  const { cursor, limit, status } = validate(approvalsQuery, c.req.query())
  const principal = c.get('principal')
  const of = principal.kind === 'admin' ? undefined : ownSource(principal)
  const page = await c
    .get('platform')
    .approvals()
    .list(of, status === 'ended', cursor, limit)
  const readable = page.items.filter((one) => mayReadApproval(principal, one))
  return c.json({ ...page, items: readable.map((one) => publicApproval(one, isOwn(principal, one))) }, 200)
})

approvals.get('/approvals/:approval', async (c) => {
  const { waitSeconds: seconds } = validate(approvalQuery, c.req.query())
  const isOver = ({ outcome }: Approval) => outcome !== undefined
  const waiting = { seconds, signal: c.req.raw.signal }
  const found = await poll(c.get('platform'), waiting, () => readable(c), isOver)
  // Without one the client is gone, and whatever is answered is read by nobody.
  return found === undefined ? c.body(null) : c.json(shown(c, found), 200)
})

approvals.post('/approvals/:approval/decision', async (c) => {
  const { option, note } = await readJson(c, decisionInput)
  const { id, ...known } = await readable(c)
  const principal = c.get('principal')
  if (!mayDecide(principal, { id, ...known })) return refuse({ code: 'forbidden', action: 'decide', subject: id })
  const platform = c.get('platform')
  const decision = { option, by: ownSource(principal), how: 'api', ...(note === undefined ? {} : { note }) } as const
  const decided = (await platform.approvals().decide(id, decision)) ?? notFound(id)
  if (decided.status === 'over') return over(c, decided.approval)
  if (decided.status === 'no_option') {
    const message = `one of ${decided.approval.input.options.join(', ')}`
    return refuse({ code: 'invalid_request', issues: [{ path: 'option', message }] })
  }
  const told = await tellApproval(platform, id).catch(() => undefined)
  return c.json(shown(c, told ?? decided.approval), 200)
})

approvals.delete('/approvals/:approval', async (c) => {
  const known = await readable(c)
  const principal = c.get('principal')
  const by = ownSource(principal)
  if (!isOwn(principal, known)) return refuse({ code: 'forbidden', action: 'withdraw', subject: known.id })
  const platform = c.get('platform')
  const ended = (await platform.approvals().cancel(known.id, by)) ?? notFound(known.id)
  if (ended.outcome?.status !== 'cancelled') return over(c, ended)
  const told = await tellApproval(platform, known.id).catch(() => undefined)
  return c.json(shown(c, told ?? ended), 200)
})

/** The approval asked for, if the caller has to do with it. */
async function readable(c: Context<App>): Promise<Approval> {
  const id = c.req.param('approval') ?? ''
  const found = isApprovalId(id) ? await c.get('platform').approvals().find(id) : undefined
  if (found === undefined) return notFound(id)
  const principal = c.get('principal')
  if (!mayReadApproval(principal, found)) return refuse({ code: 'forbidden', action: 'read', subject: id })
  return found
}

const isOwn = (principal: Principal, { owner, openedAt }: Approval): boolean =>
  principal.kind === 'admin' || isMaker(principal, { source: owner, at: openedAt })

const shown = (c: Context<App>, approval: Approval) => publicApproval(approval, isOwn(c.get('principal'), approval))

function over(c: Context<App>, approval: Approval): never {
  const seen = isOwn(c.get('principal'), approval) ? approval : withoutUrls(approval)
  const { approval: id, status: _status, ...evidence } = publicOutcome(seen)
  return refuse({ code: 'approval_over', approval: id, ended: approvalStatusOf(approval), ...evidence })
}

const notFound = (id: string): never => refuse({ code: 'not_found', what: 'approval', id })

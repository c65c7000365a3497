/**
 * Receipts and waiting for them, cancelling, and settling by token, over HTTP. Never here: what a settlement changes (shared/settlement.ts).
 */
import { type Context, Hono } from 'hono'
import type * as z from 'zod'
import { ackRequest, extendRequest, nackRequest, receiptQuery } from '../../shared/api-bodies.ts'
import { ackBytes } from '../../shared/api-messages.ts'
import { attributed } from '../../shared/blame.ts'
import { parseDeliveryId } from '../../shared/ids.ts'
import { utf8Length } from '../../shared/json.ts'
import { hasMoved, hasReached, isAtEnd } from '../../shared/ladder.ts'
import { limits } from '../../shared/limits.ts'
import type { Outcome } from '../../shared/outcome.ts'
import { mayOperate, mayRead } from '../../shared/permissions.ts'
import type { Receipt } from '../../shared/receipt.ts'
import { reportFrom, type resourceInput } from '../../shared/resource-report.ts'
import { unreachable } from '../../shared/result.ts'
import type { Settlement } from '../../shared/settlement.ts'
import { prolong } from '../budget.ts'
import type { App } from '../context.ts'
import { enqueue } from '../enqueue.ts'
import { poll } from '../poll.ts'
import { readJson, refuse, validate } from '../problem.ts'
import { settle } from '../settle.ts'
import { streamEnd, streamHeaders, wantsStream } from '../stream-end.ts'

export const deliveries = new Hono<App>()

deliveries.get('/deliveries/:id', async (c) => {
  const { until, waitSeconds: seconds = 0 } = validate(receiptQuery, c.req.query())
  const ask = () => readable(c, 'read the receipt of')
  if (wantsStream(c.req.header('accept'))) {
    const waiting = { seconds, signal: c.req.raw.signal }
    const isOver = (receipt: Receipt) => isAtEnd(receipt) || (until !== undefined && hasReached(receipt, until))
    const climbing = { first: await ask(), ask, isOver, hasMoved, view: (receipt: Receipt) => receipt }
    return c.body(streamEnd(c.get('platform'), waiting, climbing), 200, streamHeaders)
  }
  if (until === undefined) return c.json(await ask(), 200)
  const isDone = (receipt: Receipt) => hasReached(receipt, until) || isAtEnd(receipt)
  const receipt = await poll(c.get('platform'), { seconds, signal: c.req.raw.signal }, ask, isDone)
  // Without one the client is gone, and whatever is answered is read by nobody.
  return receipt === undefined ? c.body(null) : c.json({ ...receipt, reached: hasReached(receipt, until) }, 200)
})

deliveries.delete('/deliveries/:id', async (c) => {
  const { id, agent } = await readable(c, 'cancel')
  const cancelled = await c.get('platform').agent(agent).cancel(id)
  switch (cancelled.status) {
    case 'cancelled':
      enqueue(c.get('platform'), agent, cancelled.references ?? [])
      return c.json({ id, status: 'cancelled' }, 200)
    case 'already_settled':
      return refuse({ code: 'already_settled', delivery: id, ended: cancelled.ended })
    case 'unknown':
      return notFound(id)
    default:
      return unreachable(cancelled)
  }
})

deliveries.post('/deliveries/:id/ack', async (c) => {
  const target = operable(c)
  const { token, result, effects } = await readJson(c, ackRequest, ackBytes)
  requireWithin('result', result, limits.resultBytes)
  requireWithin('effects', effects, limits.effectsBytes)
  const outcome: Outcome = {
    kind: 'ok',
    ...(result === undefined ? {} : { result }),
    ...(effects === undefined ? {} : { effects }),
  }
  return report(c, target, token, outcome)
})

deliveries.post('/deliveries/:id/nack', async (c) => {
  const target = operable(c)
  const { token, delaySeconds, reason, terminal, usage, resource } = await readJson(c, nackRequest)
  const error = { code: 'nack', message: reason ?? 'the agent gave it back' }
  const used = usage === undefined ? {} : { usage }
  const outcome: Outcome =
    terminal === true
      ? { kind: 'fail', error, ...used }
      : { kind: 'retry', error, ...used, ...(delaySeconds === undefined ? {} : { delayMs: delaySeconds * 1_000 }) }
  return report(c, target, token, resource === undefined ? outcome : await blaming(c, target, outcome, resource))
})

deliveries.post('/deliveries/:id/extend', async (c) => {
  const { id, agent } = operable(c)
  const { token, seconds, progress } = await readJson(c, extendRequest)
  const mailbox = c.get('platform').agent(agent)
  const extended = await mailbox.extend(id, token, seconds * 1_000, progress)
  if (extended.status === 'extended') {
    if (extended.workflow !== undefined)
      c.get('platform').waitUntil(prolong(c.get('platform'), extended.workflow, token, seconds * 1_000))
    return c.json({ id, deadline: new Date(extended.deadlineAt).toISOString() }, 200)
  }
  // The mailbox only knows that no lease has this token; why is on the receipt.
  const receipt = await mailbox.receipt(id)
  if (receipt === undefined) return notFound(id)
  return isAtEnd(receipt) ? alreadySettled(id, receipt.status, receipt.result) : staleLease(id)
})

interface Target {
  readonly id: string
  readonly agent: string
}

/** The receipt asked for, if the caller is its sender, its addressee or an admin (S2). */
async function readable(c: Context<App>, action: string): Promise<Receipt> {
  const { id, agent } = targetOf(c)
  const receipt = await c.get('platform').agent(agent).receipt(id, c.get('principal'))
  if (receipt === undefined) return notFound(id)
  if (!mayRead(c.get('principal'), { agent, source: receipt.message.source })) {
    refuse({ code: 'forbidden', action, subject: id })
  }
  return receipt
}

/** The delivery asked for, if its mailbox is the caller's own. A token alone opens nothing. */
function operable(c: Context<App>): Target {
  const target = targetOf(c)
  if (!mayOperate(c.get('principal'), target.agent))
    refuse({ code: 'forbidden', action: 'settle for', subject: target.agent })
  return target
}

// An id says where its truth lives; one that does not parse names nothing.
function targetOf(c: Context<App>): Target {
  const id = c.req.param('id') ?? ''
  const parsed = parseDeliveryId(id)
  return parsed === undefined ? notFound(id) : { id, agent: parsed.agent }
}

async function report(c: Context<App>, { id, agent }: Target, token: string, outcome: Outcome): Promise<Response> {
  const [settlement] = await settle(c.get('platform'), agent, [{ id, token, outcome, external: true }])
  return answerTo(c, settlement ?? { id, status: 'unknown' })
}

// A client is still there to be told that its agent declares no such resource; from a webhook it would be a note on the receipt.
async function blaming(
  c: Context<App>,
  { agent }: Target,
  outcome: Outcome,
  { name, status, retryAfterSeconds }: z.infer<typeof resourceInput>,
): Promise<Outcome> {
  const declared = (await c.get('platform').agent(agent).describe())?.agent.resources ?? []
  if (!declared.includes(name)) {
    const message = `${agent} does not declare it: name it among its \`resources\``
    refuse({ code: 'invalid_request', issues: [{ path: 'resource.name', message }] })
  }
  const said = reportFrom(name, status, retryAfterSeconds)
  return attributed(outcome, said === undefined ? [] : [said], declared)
}

function answerTo(c: Context<App>, settlement: Settlement): Response {
  const { id } = settlement
  switch (settlement.status) {
    case 'settled':
      return c.json({ id, status: 'settled' }, 200)
    case 'already_settled':
      return alreadySettled(id, settlement.ended, settlement.result)
    case 'stale':
      return staleLease(id)
    case 'unknown':
      return notFound(id)
    default:
      return unreachable(settlement)
  }
}

function requireWithin(what: string, value: unknown, limitBytes: number): void {
  const gotBytes = value === undefined ? 0 : utf8Length(JSON.stringify(value))
  if (gotBytes > limitBytes) refuse({ code: 'too_large', what, limitBytes, gotBytes })
}

const notFound = (id: string): never => refuse({ code: 'not_found', what: 'delivery', id })

const staleLease = (id: string): never =>
  refuse({ code: 'stale_lease', delivery: id, reason: 'This token does not hold the lease in force.' })

const alreadySettled = (id: string, status: string, result: unknown): never =>
  refuse({ code: 'already_settled', delivery: id, ended: status, ...(result === undefined ? {} : { result }) })

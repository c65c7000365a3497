/**
 * Redrive: a dead letter's delivery gets a new life, with its message as it was or as somebody edited it.
 * Never here: what an edit keeps (shared/edit.ts), the index of letters (workers/exhume.ts).
 */
import type { Stored } from './admission.ts'
import { isHere } from './agent.ts'
import { type Delivery, isDeadLetter, step } from './delivery.ts'
import { type Editing, wasMade, withEdit } from './edit.ts'
import { utf8Length } from './json.ts'
import { agentOf, type Draft, deliveryOf, put } from './mailbox.ts'
import { headOf, messageSchema } from './message.ts'

export type Redriven =
  | { readonly status: 'redriven' }
  | { readonly status: 'not_redrivable'; readonly ended: string }
  /** It has that new life already, without this edit. */
  | { readonly status: 'not_edited'; readonly life: number }
  | { readonly status: 'full'; readonly depth: number; readonly max: number }
  | { readonly status: 'unknown' }

/**
 * Gives a dead letter a new life: same id, attempts afresh, at the tail of its line (M3); the same message, unless somebody edited
 * it. `token` names the call: its repeat changes nothing, and is told when the edit that it asks for was not made.
 */
export function redrive(
  draft: Draft,
  id: string,
  token: string,
  stored: Stored,
  now: number,
  editing?: Editing,
): Redriven {
  const agent = agentOf(draft)
  const delivery = deliveryOf(draft, id) ?? stored(id)
  if (!isHere(agent) || delivery === undefined) return { status: 'unknown' }
  const asked = editing?.asked
  if (asked !== undefined && delivery.redrives >= asked.life)
    return wasMade(delivery.edits, asked) ? { status: 'redriven' } : { status: 'not_edited', life: asked.life }
  if (delivery.redriveToken === token) return { status: 'redriven' }
  if (!isDeadLetter(delivery) || delivery.state.purged === true || delivery.incarnation !== agent.incarnation) {
    return { status: 'not_redrivable', ended: delivery.state.at === 'ended' ? delivery.state.status : 'still alive' }
  }
  if (draft.depth >= agent.policy.depth) return { status: 'full', depth: draft.depth, max: agent.policy.depth }
  const { expiresAt: _expired, overdueAt: _told, recalled: _recalled, single: _single, ...old } = delivery
  const { dueSince: _dueSince, ...rest } = old
  draft.sequence += 1
  const revived: Delivery = {
    ...rest,
    sequence: draft.sequence,
    lineAt: now,
    dueAt: now,
    attempt: 0,
    suspect: false,
    releasedAtAccept: false,
    redrives: delivery.redrives + 1,
    redriveToken: token,
    state: { at: 'waiting', ...(editing?.to === undefined ? {} : { leavingFor: editing.to }) },
  }
  if (editing?.body !== undefined) draft.edited.set(id, editing.body)
  const detail = `life ${revived.redrives + 1}; the one before ended as ${delivery.state.reason ?? delivery.state.status}`
  put(
    draft,
    step(editing === undefined ? revived : changed(revived, editing, now), { step: 'redriven', at: now, detail }),
  )
  draft.chores.set(id, null)
  return { status: 'redriven' }
}

function changed(revived: Delivery, editing: Editing, now: number): Delivery {
  const { by, body, to } = editing
  const what = [...(body === undefined ? [] : ['its data']), ...(to === undefined ? [] : [`its addressee: ${to}`])]
  const noted = { ...revived, edits: withEdit(revived.edits, editing, revived.redrives, now) }
  const told = step(noted, { step: 'edited', at: now, detail: `${by} changed ${what.join(' and ')}` })
  if (body === undefined) return told
  return { ...told, head: headOf(messageSchema.parse(JSON.parse(body))), bodyBytes: utf8Length(body) }
}

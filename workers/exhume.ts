/**
 * Exhume: bring dead letters back, or forget them for good. The mailbox decides, the index follows. Every step may be repeated:
 * a redrive is named by the death it undoes, so a crash between the mailbox and the index is completed by the next call.
 * Never here: burying (workers/bury.ts), the platform's own dead-letter route (workers/nudge.ts).
 */
import type { DeadLetter, DeadLetterFilter } from '../shared/dead-letter.ts'
import { askedOf, type EditInput, type Editing, edited, originalOf } from '../shared/edit.ts'
import type { Fault } from '../shared/fault.ts'
import { type LetterName, parseDeadLetterId } from '../shared/ids.ts'
import { boundDepth, utf8Length } from '../shared/json.ts'
import { limits } from '../shared/limits.ts'
import { messageSchema } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'
import { isPublicationId } from '../shared/publication.ts'
import { err, ok, type Result, unreachable } from '../shared/result.ts'
import { conform } from './conform.ts'
import { enqueue } from './enqueue.ts'
import { expand } from './expand.ts'
import { depart } from './reassign.ts'
import { revive } from './revive.ts'

export interface Exhumed {
  readonly id: string
  readonly delivery: string
  readonly status: 'redriven'
  /** It was sent to another agent: the delivery there, once it was accepted. */
  readonly reassignedTo?: string
}

/** What somebody changes of a letter's message, and who. */
export interface Edition {
  readonly asked: EditInput
  readonly by: string
}

export interface ExhumedMany {
  readonly redriven: readonly Exhumed[]
  readonly refused: readonly { readonly id: string; readonly fault: Fault }[]
  readonly cursor?: string
}

// The mailbox does not say when there is room again; a redrive is a person's or a script's, so a short pause is fine.
const fullRetrySeconds = 5

/**
 * Gives a dead letter a new life: mailbox first, index second. Its id names one death of one delivery, so repeating it after
 * it worked answers the same again and changes nothing; with another edit than it worked with, it is told that this was not made.
 */
export async function redrive(
  platform: Platform,
  letterId: string,
  edition?: Edition,
): Promise<Result<Exhumed, Fault>> {
  if (isPublicationId(letterId))
    return edition === undefined ? redrivePublication(platform, letterId) : err(notEditable(letterId))
  const name = parseDeadLetterId(letterId)
  if (name === undefined) return err(noLetter(letterId))
  if (name.effect !== undefined) return refuseEffect(platform, letterId, name)

  const { agent, delivery } = name
  const mailbox = platform.agent(agent)
  const receipt = await mailbox.receipt(delivery)
  if (receipt === undefined) return refuseForgotten(platform, letterId, delivery)
  // A later life than this letter's: it was redriven before, and only the index may not know it yet.
  const isLater = receipt.redrives > name.redrives
  if (isLater && edition === undefined) return exhumed(platform, letterId, delivery)
  if (receipt.redrives < name.redrives) return err(noLetter(letterId))

  const editing = edition === undefined ? ok(undefined) : await edit(platform, name, edition, isLater)
  if (!editing.ok) return editing
  const redriven = await mailbox.redrive(delivery, letterId, editing.value)
  switch (redriven.status) {
    case 'redriven':
      enqueue(platform, agent, redriven.references ?? [])
      if (editing.value?.to !== undefined) await sendOn(platform, agent, delivery)
      return exhumed(platform, letterId, delivery)
    case 'not_edited':
      await platform.deadLetters().remove(letterId)
      return err({ code: 'not_redrivable', delivery, ended: receipt.status, reason: notEdited })
    case 'not_redrivable':
      return err({
        code: 'not_redrivable',
        delivery,
        ended: redriven.ended,
        ...(isDead(redriven.ended) && { reason: bodyGone }),
      })
    case 'full':
      return err({
        code: 'backpressure',
        agent,
        depth: redriven.depth,
        max: redriven.max,
        retryAfterSeconds: fullRetrySeconds,
      })
    case 'unknown':
      return refuseForgotten(platform, letterId, delivery)
    default:
      return unreachable(redriven)
  }
}

/** Redrives what matches, in the order of death, looking at no more than `max`. A refused one spoils none of the others. */
export async function redriveMany(
  platform: Platform,
  filter: DeadLetterFilter,
  max: number,
  cursor?: string,
  edition?: Edition,
): Promise<ExhumedMany> {
  const page = await platform.deadLetters().list(filter, cursor, max)
  const oldestFirst = [...page.items].sort((a, b) => a.at - b.at || (a.sequence ?? 0) - (b.sequence ?? 0))
  const byAgent = Map.groupBy(oldestFirst, (letter) => letter.agent)
  // One after the other within a mailbox, because each joins the tail of its line; mailboxes do not wait for each other.
  const told = await Promise.all([...byAgent.values()].map((letters) => redriveInTurn(platform, letters, edition)))
  const redriven: Exhumed[] = []
  const refused: { id: string; fault: Fault }[] = []
  for (const { id, result } of told.flat()) {
    if (result.ok) redriven.push(result.value)
    else refused.push({ id, fault: result.error })
  }
  return { redriven, refused, ...(page.cursor === undefined ? {} : { cursor: page.cursor }) }
}

async function redriveInTurn(platform: Platform, letters: readonly DeadLetter[], edition: Edition | undefined) {
  const told: { id: string; result: Result<Exhumed, Fault> }[] = []
  for (const { id } of letters) told.push({ id, result: await redrive(platform, id, edition) })
  return told
}

/** Forgets a dead letter and its body for good. Its key stays remembered by the mailbox. */
export async function purge(platform: Platform, letterId: string): Promise<Result<void, Fault>> {
  const name = parseDeadLetterId(letterId)
  const isPublication = isPublicationId(letterId)
  if (name === undefined && !isPublication) return err(noLetter(letterId))
  const index = platform.deadLetters()
  const purged =
    name === undefined
      ? await platform.publication(letterId).purge()
      : name.effect === undefined && (await purgeBody(platform, name))
  // Removing leaves a tombstone that keeps a late burial out: never one for a letter that does not exist yet.
  if (!purged && (await index.get(letterId)) === undefined) return err(noLetter(letterId))
  await index.remove(letterId)
  return ok(undefined)
}

// An older death's letter has no body of its own: the delivery lives, or died again under another name.
async function purgeBody(platform: Platform, { agent, delivery, redrives }: LetterName): Promise<boolean> {
  const mailbox = platform.agent(agent)
  const receipt = await mailbox.receipt(delivery)
  return receipt?.redrives === redrives && mailbox.purge(delivery)
}

async function redrivePublication(platform: Platform, id: string): Promise<Result<Exhumed, Fault>> {
  const revived = await revive(platform, id)
  if (!revived.ok) return revived
  if (revived.value === 'forgotten') return refuseForgotten(platform, id, id)
  const redriven = await exhumed(platform, id, id)
  // Its alarm is the net, as at the first time.
  platform.waitUntil(
    expand(platform, id).catch((error: unknown) =>
      platform.log('expand.failed', { publication: id, error: String(error) }),
    ),
  )
  return redriven
}

async function exhumed(platform: Platform, id: string, delivery: string): Promise<Result<Exhumed, Fault>> {
  await platform.deadLetters().remove(id)
  return ok({ id, delivery, status: 'redriven' })
}

/** The message as it is to be delivered: of a size, a depth and a form as at its publish. */
async function edit(
  platform: Platform,
  { agent, delivery, redrives }: LetterName,
  { asked: wanted, by }: Edition,
  isLater: boolean,
): Promise<Result<Editing | undefined, Fault>> {
  const asked = askedOf(wanted, redrives + 1)
  // Its mailbox knows whether this very edit was made then.
  if (isLater) return ok({ by, asked })
  const { to } = wanted
  if (to !== undefined && !(await isThere(platform, to))) return err({ code: 'agent_not_found', agent: to })
  const sent = to === undefined || to === agent ? {} : { to }
  const text = await platform.agent(agent).body(delivery)
  const before = text === undefined ? undefined : messageSchema.parse(JSON.parse(text))
  const message = before === undefined ? undefined : edited(before, wanted, by)
  // Without its body it cannot be redriven either, and that is told there.
  if (before === undefined || message === undefined) return ok({ by, asked, ...sent })
  const shallow = boundDepth(message)
  if (!shallow.ok) return shallow
  const body = JSON.stringify(message)
  const gotBytes = utf8Length(body)
  if (gotBytes > limits.messageBytes)
    return err({ code: 'too_large', what: 'message', limitBytes: limits.messageBytes, gotBytes })
  // A key of no delivery's, so that the schemas judge it as the new message that it is.
  const incoming = { message, body, key: `${delivery}\nedited`, contentHash: '', hops: 0, brokerMade: true }
  const [judged] = await conform(platform, [ok({ to: { kind: 'agent', agent: to ?? agent }, incoming })])
  return judged === undefined || judged.ok ? ok({ by, asked, ...sent, body, original: originalOf(before) }) : judged
}

async function isThere(platform: Platform, agent: string): Promise<boolean> {
  const find = () => platform.agent(agent).describe()
  return ((await find()) ?? ((await platform.enrolHandler(agent)) ? await find() : undefined)) !== undefined
}

// Its mailbox's alarm is the net.
async function sendOn(platform: Platform, agent: string, delivery: string): Promise<void> {
  const { departures } = await platform.agent(agent).unfinished([delivery])
  await depart(platform, agent, departures)
}

const notEditable = (delivery: string): Fault => ({
  code: 'not_redrivable',
  delivery,
  ended: 'dead_lettered',
  reason: 'Only the message of a delivery can be edited. Publish a corrected one yourself, then purge this entry.',
})

// The delivery did its work; to publish what it asked for would need its agent's permissions as they are today.
async function refuseEffect(
  platform: Platform,
  letterId: string,
  { delivery }: LetterName,
): Promise<Result<never, Fault>> {
  if ((await platform.deadLetters().get(letterId)) === undefined) return err(noLetter(letterId))
  return err({
    code: 'not_redrivable',
    delivery,
    ended: 'completed',
    reason:
      'This is a refused effect of a delivery that did its work. Publish what it asked for yourself, then purge it.',
  })
}

// The index outlives what it points to: the agent was deleted, or the dead letter is past its keeping.
async function refuseForgotten(platform: Platform, letterId: string, delivery: string): Promise<Result<never, Fault>> {
  if ((await platform.deadLetters().get(letterId)) === undefined) return err(noLetter(letterId))
  return err({
    code: 'not_redrivable',
    delivery,
    ended: 'no longer kept',
    reason: 'Its mailbox no longer keeps it. Purge this entry.',
  })
}

// Dead, and still not redrivable: what there was to deliver is no longer there.
const isDead = (ended: string) => ended === 'dead_lettered' || ended === 'expired'
const bodyGone = 'Its body is gone: it was purged, or its agent was deleted.'

const notEdited =
  'It was redriven before, without this change, which was not made. If it dies again, edit its next letter; otherwise publish a corrected message yourself.'

const noLetter = (id: string): Fault => ({ code: 'not_found', what: 'dead letter', id })

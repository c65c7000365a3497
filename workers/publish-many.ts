/**
 * Publish to many: choose the legs once, store the publication (that write is the 202), then have its legs accepted. What is
 * left by a crash, or by their number, is expanded from the `work` queue. Never here: one agent by name (workers/publish.ts).
 */
import type { Incoming } from '../shared/admission.ts'
import type { Fault } from '../shared/fault.ts'
import type { Platform } from '../shared/ports.ts'
import { isCaught, type Opened, type Publication, publicationId, whyOf } from '../shared/publication.ts'
import { err, ok, type Result } from '../shared/result.ts'
import type { Candidates } from '../shared/subscription.ts'
import { type Chosen, choose, type Many } from './choose.ts'
import { expand } from './expand.ts'
import { fatesOf } from './report.ts'
import type { PublishReceipt } from './route.ts'

// Longer than this nobody waits for the legs' mailboxes: the publication is stored, and they are asked on.
const legsPatienceMs = 5_000

/** Stores it, and answers with what is known of its legs by then. `atLeast`: the directory's version that the publisher has seen. */
export async function publishMany(
  platform: Platform,
  many: Many,
  incoming: Incoming,
  atLeast?: number,
): Promise<Result<PublishReceipt, Fault>> {
  await platform.enrolHandlers()
  const { message, key } = incoming
  const { chosen, page } = await choose(platform, many, message, atLeast)
  const id = publicationId(message.source, key)
  // The repeat of one that was accepted is a duplicate, even if by now it would reach nobody.
  if (chosen.fanout === 0 && message.onunroutable === 'reject' && !(await isKnown(platform, id)))
    return err({ code: 'unroutable', destination: message.to ?? message.topic ?? '' })

  const opened = await open(platform, id, many, incoming, chosen)
  if (opened.status === 'conflict') return err({ code: 'key_reused', key, delivery: id })
  const known =
    opened.status === 'opened'
      ? begin(platform, opened.publication, incoming.body, page)
      : standingOf(platform, opened.publication)
  const { publication, standing } = (await withPatience(platform, known)) ?? {
    publication: opened.publication,
    standing: new Map<string, string>(),
  }
  return ok(receiptOf(publication, standing, opened.status === 'duplicate'))
}

async function isKnown(platform: Platform, id: string): Promise<boolean> {
  return (await platform.publication(id).report()) !== undefined
}

function open(platform: Platform, id: string, many: Many, incoming: Incoming, chosen: Chosen): Promise<Opened> {
  const { message, body, key, contentHash, hops, lineage, brokerMade, since } = incoming
  const { data: _data, data_base64: _base64, ...head } = message
  const told = message.onunroutable === 'drop'
  const renewable = !brokerMade && message.deliverymode !== 'exactly_once'
  const from = many.kind === 'all' && many.sender !== undefined ? { sender: many.sender } : {}
  const led = { ...(lineage === undefined ? {} : { lineage }), ...(since === undefined ? {} : { since }) }
  const opening = { id, head, key, contentHash, hops, ...led, ...from, told, renewable, ...chosen }
  return platform.publication(id).open(opening, body)
}

interface Known {
  readonly publication: Publication
  readonly standing: ReadonlyMap<string, string>
}

function begin(
  platform: Platform,
  publication: Publication,
  body: string,
  page: Candidates | undefined,
): Promise<Known | undefined> {
  return expand(platform, publication.id, { publication, body, ...(page === undefined ? {} : { page }) })
}

// A duplicate is told where the first one's deliveries stand now; what that one left undone is gone on with.
async function standingOf(platform: Platform, { id }: Publication): Promise<Known | undefined> {
  const known = await expand(platform, id)
  if (known === undefined || known.publication.plan !== undefined) return known
  const fates = await fatesOf(platform, known.publication.legs)
  const standing = fates.flatMap(({ leg, receipt }) => (receipt === undefined ? [] : [[leg.agent, receipt] as const]))
  return { publication: known.publication, standing: new Map(standing) }
}

function receiptOf(
  publication: Publication,
  standing: ReadonlyMap<string, string>,
  duplicate: boolean,
): PublishReceipt {
  const why = whyOf(publication)
  const deliveries = publication.legs.flatMap(({ agent, state }) =>
    state.status === 'accepted' ? [{ id: state.delivery, agent, status: standing.get(agent) ?? 'held' }] : [],
  )
  return {
    id: publication.head.id,
    deliveries: publication.plan === undefined ? deliveries : [],
    duplicate,
    publication: publication.id,
    fanout: publication.fanout,
    ...(why === undefined ? {} : { why }),
    ...(isCaught(publication) && { caught: true }),
  }
}

async function withPatience<T>(platform: Platform, work: Promise<T>): Promise<T | undefined> {
  // The publication's alarm is the net for whatever fails here.
  const safe = work.catch((error: unknown) => {
    platform.log('publish.legs', { error: String(error) })
    return undefined
  })
  platform.waitUntil(safe)
  let stop: () => void = () => undefined
  const patience = new Promise<undefined>((resolve) => {
    stop = platform.after(legsPatienceMs, () => resolve(undefined))
  })
  const first = await Promise.race([safe, patience])
  stop()
  return first
}

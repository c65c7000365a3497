/**
 * Publish to many: choose the legs once, store the publication (that write is the 202), then have its legs accepted. What is
 * left by a crash, or by their number, is expanded from the `work` queue. Never here: one agent by name (workers/publish.ts).
 */
import type { Incoming } from '../shared/admission.ts'
import type { Fault } from '../shared/fault.ts'
import type { Platform } from '../shared/ports.ts'
import { type Publication, publicationId } from '../shared/publication.ts'
import { err, ok, type Result } from '../shared/result.ts'
import { choose, type Many } from './choose.ts'
import { expand } from './expand.ts'
import type { PublishReceipt } from './route.ts'

// Longer than this nobody waits for the legs' mailboxes: the publication is stored, and they are asked on.
const legsPatienceMs = 5_000

/** Stores it, and answers with what is known of its legs by then. */
export async function publishMany(
  platform: Platform,
  many: Many,
  incoming: Incoming,
): Promise<Result<PublishReceipt, Fault>> {
  await platform.enrolHandlers()
  const { message, key, contentHash, hops, body } = incoming
  const chosen = await choose(platform, many, message)
  const destination = message.to ?? message.topic ?? ''
  if (chosen.fanout === 0 && message.onunroutable === 'reject') return err({ code: 'unroutable', destination })

  const id = publicationId(message.source, key)
  const { data: _data, data_base64: _base64, ...head } = message
  const told = message.onunroutable === 'drop'
  const opened = await platform.publication(id).open({ id, head, key, contentHash, hops, told, ...chosen }, body)
  if (opened.status === 'conflict') return err({ code: 'key_reused', key, delivery: id })
  const expanded = await withPatience(platform, expand(platform, id))
  return ok(
    receiptOf(
      expanded?.publication ?? opened.publication,
      expanded?.standing ?? new Map(),
      opened.status === 'duplicate',
    ),
  )
}

function receiptOf(
  publication: Publication,
  standing: ReadonlyMap<string, string>,
  duplicate: boolean,
): PublishReceipt {
  const deliveries = publication.legs.flatMap(({ agent, state }) =>
    state.status === 'accepted' ? [{ id: state.delivery, agent, status: standing.get(agent) ?? 'held' }] : [],
  )
  return {
    id: publication.head.id,
    deliveries: publication.plan === undefined ? deliveries : [],
    duplicate,
    publication: publication.id,
    fanout: publication.fanout,
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

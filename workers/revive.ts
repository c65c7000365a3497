/**
 * Revive: a publish to many that reached nobody, and became a dead letter, is given new legs: whoever is meant by now. What
 * workers/exhume.ts is to a delivery. Never here: publishing (workers/publish-many.ts).
 */
import type { Fault } from '../shared/fault.ts'
import type { Platform } from '../shared/ports.ts'
import { err, ok, type Result } from '../shared/result.ts'
import { choose, manyOf } from './choose.ts'
import { incomingOf } from './expand.ts'

// Who redrives may have subscribed somebody just now, through another isolate.
const asItIsNow = Number.MAX_SAFE_INTEGER

/**
 * Its legs are chosen anew and stored; the caller has them accepted when the dead letter is gone, because a second death would
 * have the same name. One that was revived before is revived: by now it reaches somebody.
 */
export async function revive(platform: Platform, id: string): Promise<Result<'revived' | 'forgotten', Fault>> {
  const port = platform.publication(id)
  const publication = await port.report()
  if (publication === undefined) return ok('forgotten')
  const unheard = await port.unheard()
  if (unheard === undefined)
    return publication.fanout > 0 ? ok('revived') : err(refusal(id, 'Its body is gone: it was purged.'))

  const { message } = incomingOf(publication, unheard.body)
  const many = manyOf(message, publication.sender)
  const { chosen } =
    many === undefined ? { chosen: { agents: [], fanout: 0 } } : await choose(platform, many, message, asItIsNow)
  if (chosen.fanout === 0) return err(refusal(id, 'It would still reach nobody. Subscribe somebody first.'))
  const { head, key, contentHash, hops, sender, lineage } = publication
  const from = { ...(sender === undefined ? {} : { sender }), ...(lineage === undefined ? {} : { lineage }) }
  const opening = { id, head, key, contentHash, hops, ...from, told: false, renewable: true, ...chosen }
  await port.open(opening, unheard.body)
  return ok('revived')
}

const refusal = (id: string, reason: string): Fault => ({
  code: 'not_redrivable',
  delivery: id,
  ended: 'unroutable',
  reason,
})

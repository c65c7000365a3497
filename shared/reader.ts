/**
 * Who reads in a mailbox: of an agent it is asked what is its own. A new agent of a name finds neither what came to the one before it,
 * nor what became of what that sent. Never here: whether a stranger may read at all (shared/permissions.ts).
 */
import type { Delivery } from './delivery.ts'
import { isOfPredecessor, type Principal } from './permissions.ts'

/** Has the reader to do with this delivery to `agent`, whose mailbox belongs to `incarnation` now? Nobody in particular has with all. */
export function concerns(
  reader: Principal | undefined,
  agent: string,
  incarnation: string | undefined,
  delivery: Pick<Delivery, 'incarnation' | 'head' | 'acceptedAt'>,
): boolean {
  if (reader?.kind !== 'agent') return true
  // Mail that was kept for it is older than it is, and its own.
  if (reader.name === agent) return delivery.incarnation === incarnation
  return !isOfPredecessor(reader, { source: delivery.head.source, at: delivery.acceptedAt })
}

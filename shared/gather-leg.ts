/**
 * A leg's message: what its mailbox is asked to take, and what the mailbox's word means for the gather. Never here: asking a mailbox
 * (workers/offer.ts), what a refusal does to the gather (shared/gather.ts).
 */
import type { Admission, Incoming } from './admission.ts'
import type { Gather, GatherNews, Send } from './gather.ts'
import type { LegFailure } from './leg-failure.ts'
import { printOf } from './lineage.ts'
import { type Message, messageSchema } from './message.ts'

/** A message of a gather, on its way to one agent. `n`: its leg. */
export type Addressed = Send & { readonly agent: string; readonly n: number }

export type Asking = Omit<Incoming, 'key'>

/** What its mailbox is asked to take, but for the key, which the gather that is open gives (`sendKey`). */
export function askingOf(
  { contentHash, hops, lineage, scatter }: Pick<Gather, 'contentHash' | 'hops' | 'lineage' | 'scatter'>,
  { id, agent }: Pick<Addressed, 'id' | 'agent'>,
  asked: Message,
  whenOpen?: Incoming['whenOpen'],
): Asking {
  const message = { ...asked, id, ...(scatter === undefined ? {} : { to: agent }) }
  const led = lineage === undefined ? {} : { lineage: { ...lineage, print: printOf(message) } }
  const refused = whenOpen === undefined ? {} : { whenOpen }
  return { message, body: JSON.stringify(message), contentHash, hops, ...led, brokerMade: true, ...refused }
}

/** The same under the id of this send: an earlier opening of its gather has used the one that it has. */
export function askedAs(asking: Asking, id: string): Asking {
  if (asking.message.id === id) return asking
  // As it travels the data are in the body alone.
  const message = { ...messageSchema.parse(JSON.parse(asking.body)), id }
  const led = asking.lineage === undefined ? {} : { lineage: { ...asking.lineage, print: printOf(message) } }
  return { ...asking, message, body: JSON.stringify(message), ...led }
}

/** What it is to the gather that a mailbox said this of one send. */
export function newsOf(gather: Gather, { id, agent }: Addressed, admission: Admission | undefined): GatherNews {
  const failed = (failure: LegFailure): GatherNews => ({ refused: [{ id, failure }] })
  switch (admission?.status) {
    case 'accepted':
    case 'duplicate':
      return { accepted: [id] }
    // A dead letter already, and its notice on the way here.
    case 'stopped':
      return { accepted: [id] }
    case 'full': {
      // Nobody waits for one part of a scatter: there may be room before its deadline.
      if (gather.scatter !== undefined) return {}
      const { depth, max, retryAfterSeconds } = admission
      return failed({ why: 'backpressure', agent, depth, max, retryAfterSeconds })
    }
    case 'conflict':
      return failed({ why: 'key_reused', agent, delivery: admission.id })
    case 'unknown':
      return failed({ why: 'agent_not_found', agent })
    // At a breaker that is open, of an asker who waits.
    case 'refused': {
      const { retryAfterSeconds, openedAt, cause = 'it was opened by hand' } = admission
      const since = openedAt === undefined ? {} : { openedAt }
      return failed({
        why: 'breaker_open',
        agent,
        retryAfterSeconds,
        ...since,
        error: { code: 'breaker', message: cause },
      })
    }
    case undefined:
      return {}
  }
}

/**
 * A cause by its agent's word: an agent that publishes by itself names what made it do so, and its own mailbox knows whether that
 * came to it. Never here: what follows from it (shared/lineage.ts), or what nobody can see (docs/decisions/0029).
 */
import type { Stored } from './admission.ts'
import type { Cause } from './agent-port.ts'
import { deliveryId, mid, parseDeliveryId } from './ids.ts'
import { type Draft, deliveryOf, leasesOf } from './mailbox.ts'

/**
 * The delivery that is meant by `named`: a message or delivery that the agent is at work on, or by its id one that it had. A
 * message is found by its id alone when the broker made that: then it tells under which source it was sent.
 */
export function claimedCause(draft: Draft, agent: string, named: string, stored: Stored): Cause | undefined {
  for (const lease of leasesOf(draft)) {
    const delivery = deliveryOf(draft, lease.id)
    if (delivery !== undefined && (delivery.id === named || delivery.head.id === named)) return cause(delivery)
  }
  const id = parseDeliveryId(named)?.agent === agent ? named : receivedAs(agent, named)
  const found = id === undefined ? undefined : (deliveryOf(draft, id) ?? stored(id))
  return found === undefined ? undefined : cause(found)
}

function receivedAs(agent: string, messageId: string): string | undefined {
  const [, emitter = ''] = /^(.+)-[1-9][0-9]{0,8}$/.exec(messageId) ?? []
  const source = parseDeliveryId(emitter)?.agent
  return source === undefined ? undefined : deliveryId(agent, mid(source, messageId, 0))
}

const cause = ({ id, hops, lineage, head }: Cause): Cause => ({
  ...{ id, hops, head },
  ...(lineage === undefined ? {} : { lineage }),
})

/**
 * Correlate: find where a conversation is, by its id. There is no index of conversations: an id that the broker or a workflow
 * made says where to look, a publisher's own is looked for among its own messages, and mailboxes are read through, a bounded
 * part of them in a call (docs/decisions/0033). Never here: going on from what was found (workers/explore.ts).
 */
import { parseAddress } from '../shared/causal-graph.ts'
import { causeOf } from '../shared/explanation.ts'
import { isGatherId } from '../shared/gather.ts'
import { deliveryId, mid, parseDeliveryId } from '../shared/ids.ts'
import { limits } from '../shared/limits.ts'
import { workflowAddress } from '../shared/outgoing.ts'
import { mayOperate, ownSource, type Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { publicationId } from '../shared/publication.ts'

export interface Asking {
  readonly correlationid: string
  /** Only this agent's mailbox, and what the caller sent to it. */
  readonly agent?: string | undefined
  /** Where the call before stopped: an agent that was read to its end, or a delivery of one that was not. */
  readonly cursor?: string | undefined
}

export interface Correlated {
  /** Where it is, and where it may be. */
  readonly seeds: readonly string[]
  /** The mailboxes that were read. */
  readonly mailboxes: readonly string[]
  readonly cursor?: string
}

/** Reads as many mailboxes as one call may: the caller's own, or for an admin every one. */
export async function correlate(platform: Platform, principal: Principal, asking: Asking): Promise<Correlated> {
  const { correlationid, agent, cursor: from } = asking
  const seeds = new Set(from === undefined ? byItself(correlationid, ownSource(principal), agent) : [])
  const mailboxes: string[] = []
  const { names, cursor: further } = await mailboxesOf(platform, principal, asking)
  const inside = from === undefined ? undefined : parseDeliveryId(from)
  let calls = 0
  let cursor = from
  for (const name of names) {
    mailboxes.push(name)
    let after = inside?.agent === name ? from : undefined
    do {
      if (calls >= limits.correlationCalls && cursor !== undefined) return { seeds: [...seeds], mailboxes, cursor }
      calls += 1
      const read = await platform.agent(name).correlated(correlationid, after, limits.correlationRows)
      for (const id of read.ids) seeds.add(id)
      after = read.cursor
      cursor = after ?? name
    } while (after !== undefined)
  }
  return { seeds: [...seeds], mailboxes, ...(further === undefined ? {} : { cursor: further }) }
}

// An id may be a workflow's, a gather's or a delivery's own, of a message that a delivery emitted, or of the first message.
function byItself(id: string, source: string, agent: string | undefined): string[] {
  const emitter = parseDeliveryId(/^[a-z0-9-]{1,64}_[a-z2-7]{26}(?=-)/.exec(id)?.[0] ?? '')?.agent
  const cause = emitter === undefined ? undefined : causeOf({ id, source: emitter })
  return [
    isGatherId(id) ? `gather:${id}` : id,
    workflowAddress(id),
    ...(cause === undefined ? [] : [cause.id]),
    publicationId(source, id),
    ...(agent === undefined ? [] : [deliveryId(agent, mid(source, id, 0))]),
  ].filter((address) => parseAddress(address) !== undefined)
}

async function mailboxesOf(
  platform: Platform,
  principal: Principal,
  { agent, cursor }: Asking,
): Promise<{ readonly names: readonly string[]; readonly cursor?: string }> {
  const one = agent ?? (principal.kind === 'agent' ? principal.name : undefined)
  if (one !== undefined) return { names: mayOperate(principal, one) ? [one] : [] }
  if (principal.kind !== 'admin') return { names: [] }
  await platform.enrolHandlers()
  const unfinished = parseDeliveryId(cursor ?? '')?.agent
  const page = await platform.directory().agents(undefined, unfinished ?? cursor, limits.correlationCalls)
  const names = [...(unfinished === undefined ? [] : [unfinished]), ...page.items.map((item) => item.agent)]
  return { names, ...(page.cursor === undefined ? {} : { cursor: page.cursor }) }
}

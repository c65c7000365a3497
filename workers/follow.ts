/**
 * Follow: what led to a message is found, so that the guards can see whether it goes round. What a delivery emits is the broker's
 * own knowledge; what an agent publishes by itself is followed as far as its own mailbox bears it out.
 * Never here: what stops a message (shared/lineage.ts), or what nobody can see (docs/decisions/0029).
 */
import type { Cause } from '../shared/agent-port.ts'
import type { Fault } from '../shared/fault.ts'
import { digest, parseDeliveryId } from '../shared/ids.ts'
import { defaultGuards, type Guards, type Lineage, printOf } from '../shared/lineage.ts'
import type { Message } from '../shared/message.ts'
import type { Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { ok, type Result } from '../shared/result.ts'
import { pathFrom } from '../shared/stop.ts'
import type { Routed } from './route.ts'
import { termsOf } from './terms.ts'

/** What a delivery hands down to the messages that it makes. */
export interface Descent {
  readonly hops: number
  lineageOf(message: Message): Lineage
}

/**
 * What `cause` hands down to these messages. They are counted towards their root, once for the same `journal`; those of a root's own
 * result are not, so that what has no grandchildren costs no call.
 */
export async function descend(
  platform: Platform,
  cause: Cause,
  journal: string,
  messages: readonly { readonly workflowid?: unknown }[],
): Promise<Descent> {
  const path = pathFrom(cause)
  const guards = new Map<unknown, Guards>()
  for (const workflow of new Set([cause.head.workflowid, ...messages.map((m) => m.workflowid)])) {
    const laidDown = workflow === undefined ? undefined : (await termsOf(platform, workflow)).guards
    if (laidDown !== undefined) guards.set(workflow, laidDown)
  }
  const limit = (guards.get(cause.head.workflowid) ?? defaultGuards).messages
  const [root] = path
  const granted =
    root === undefined || path.length === 1
      ? true
      : await platform.agent(agentOf(root.id)).spend(root.id, journal, messages.length, limit)
  if (!granted) platform.log('follow.many', { root: root?.id, cause: cause.id, limit })
  return {
    hops: cause.hops + 1,
    lineageOf: (message) => {
      const own = guards.get(message.workflowid)
      return {
        ...{ path, print: printOf(message) },
        ...(own === undefined ? {} : { guards: own }),
        ...(granted ? {} : { tripped: { guard: 'messages', limit } }),
      }
    },
  }
}

const agentOf = (delivery: string): string => parseDeliveryId(delivery)?.agent ?? ''

/** Messages that an agent publishes by itself, with what led to them where they name it. Others stay as they are. */
export async function follow<T extends Routed>(
  platform: Platform,
  principal: Principal,
  routed: readonly Result<T, Fault>[],
): Promise<readonly Result<T, Fault>[]> {
  const messages = routed.flatMap((one) => (one.ok ? [one.value.incoming.message] : []))
  const descents = await descentsOf(platform, principal, messages)
  if (descents.size === 0) return routed
  return routed.map((one) => {
    if (!one.ok) return one
    const { incoming } = one.value
    const descent = descents.get(incoming.message.causationid ?? '')
    if (descent === undefined) return one
    const lineage = descent.lineageOf(incoming.message)
    return ok({ ...one.value, incoming: { ...incoming, hops: descent.hops, lineage } })
  })
}

/** The same for one message that is not published as it stands. */
export async function followOne(
  platform: Platform,
  principal: Principal,
  message: Message,
): Promise<Descent | undefined> {
  return (await descentsOf(platform, principal, [message])).get(message.causationid ?? '')
}

async function descentsOf(
  platform: Platform,
  principal: Principal,
  messages: readonly Message[],
): Promise<ReadonlyMap<string, Descent>> {
  const descents = new Map<string, Descent>()
  const named = Map.groupBy(messages, (m) => m.causationid ?? '')
  named.delete('')
  if (principal.kind !== 'agent' || named.size === 0) return descents
  const ids = [...named.keys()]
  try {
    const causes = await platform.agent(principal.name).causes(ids)
    for (const [place, id] of ids.entries()) {
      const cause = causes[place]
      const caused = named.get(id) ?? []
      const journal = digest('publish', principal.name, ...caused.map((m) => m.id))
      if (cause !== undefined) descents.set(id, await descend(platform, cause, journal, caused))
    }
  } catch (error) {
    // A guard that cannot look must not keep a message from being accepted.
    platform.log('follow.failed', { agent: principal.name, causes: ids, error: String(error) })
  }
  return descents
}

/**
 * Tell end: whom a message's sender named in `receiptto` hears how a delivery of it ended, as mail of the broker itself. Out of the
 * journal of the end, and so once, and as often as it takes (M1, M2, E1). Never here: what is told (shared/news.ts).
 */
import type { Unfinished } from '../shared/agent-port.ts'
import type { Effect, EffectStatus } from '../shared/effects.ts'
import { problemOf } from '../shared/fault.ts'
import { destinationOf } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'
import { effectGiveUpMs } from '../shared/upkeep.ts'
import { accept } from './accept.ts'
import { enqueue } from './enqueue.ts'
import { publishMany } from './publish-many.ts'
import { wordOf } from './stop.ts'

/** Undefined: its mailbox is full, and it is told later. Unlike an answer's waiter, who is gone was named by somebody: that is told. */
export async function tellEnd(
  platform: Platform,
  one: Unfinished,
  { publish }: Effect,
): Promise<EffectStatus | undefined> {
  const incoming = wordOf(platform, one, publish)
  const to = destinationOf(incoming.message)
  if (to.kind === 'topic') {
    const published = await publishMany(platform, to, incoming)
    if (published.ok) return { status: 'carried', deliveries: published.value.deliveries.map(({ id }) => id) }
    return refused(published.error.code, problemOf(published.error).body.detail)
  }
  if (to.kind !== 'agent') return refused('invalid_request', '`receiptto` is an agent or a topic')
  const answer = await accept(platform, to.agent, [incoming], `end.${incoming.key}`)
  enqueue(platform, to.agent, answer.references)
  const [admission] = answer.admissions
  switch (admission?.status) {
    case 'accepted':
    case 'duplicate':
      return { status: 'carried', deliveries: [admission.id] }
    case 'unknown':
      return refused('agent_not_found', `no agent is registered as ${to.agent}`)
    case 'conflict':
    case 'stopped':
      return refused('key_reused', `${admission.id} holds this id with other content`)
    default:
      return platform.now() - one.openedAt < effectGiveUpMs
        ? undefined
        : refused('backpressure', `${to.agent} was full for a day`)
  }
}

const refused = (reason: string, detail: string): EffectStatus => ({ status: 'refused', reason, detail })

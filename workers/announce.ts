/**
 * Announce: an agent's breaker moved, and whoever subscribes to `switchboard.agent.<name>` hears of it, once. Ids only, no data:
 * what was in anybody's message is nobody else's (S2). Never here: deciding that it moved (shared/breaker.ts).
 */
import type { Incoming } from '../shared/admission.ts'
import { type Breaker, movesOf } from '../shared/breaker.ts'
import { composeMessage, contentHash, type PublishInput } from '../shared/message.ts'
import { brokerSource } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { agentTopic } from '../shared/topic.ts'
import { continueTrace } from '../shared/trace.ts'
import { publishMany } from './publish-many.ts'

type Move = ReturnType<typeof movesOf>[number]

/** Says what the breaker did that `isMeant` picks. Told twice, it is a duplicate to whoever has it. */
export async function announce(
  platform: Platform,
  agent: string,
  breaker: Breaker | undefined,
  isMeant: (move: Move) => boolean,
): Promise<void> {
  const moves = breaker === undefined ? [] : movesOf(breaker).filter(isMeant)
  if (moves.length === 0) return
  // An agent that is down is not told so: that mail would only wait behind its breaker, and move it again.
  const audience = { kind: 'topic', topic: agentTopic(agent), except: agent } as const
  const { total } = await platform.directory().candidates(audience, undefined, 1)
  if (total === 0) return
  for (const move of moves) await publishMany(platform, audience, announcementOf(platform, agent, move))
}

function announcementOf(platform: Platform, agent: string, { epoch, at, to }: Move): Incoming {
  // Another incarnation counts its epochs anew, at another time.
  const key = `${agent}-breaker-${epoch}-${at}`
  const input: PublishInput = {
    topic: agentTopic(agent),
    type: `${brokerSource}.breaker.${to}`,
    id: key,
    subject: agent,
    time: new Date(at).toISOString(),
    onunroutable: 'drop',
    // They travel each by itself: this says which came first.
    epoch,
  }
  const { traceparent } = continueTrace({ traceparent: undefined, tracestate: undefined }, (n) => platform.hex(n))
  const message = composeMessage(input, { source: brokerSource, freshId: key, now: at, traceparent })
  const body = JSON.stringify(message)
  return { message, body, key, contentHash: contentHash(input), hops: 0, brokerMade: true }
}

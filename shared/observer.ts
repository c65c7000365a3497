/**
 * An observer: an agent that hears what another one says of itself, by name of both. What an agent says is what it publishes to
 * its own topic, `agents.<name>`, where nobody else may publish: whole events, with their data. What the broker says of an agent
 * is on `switchboard.agent.<name>`, ids only, and needs a permission of its own. Never here: subscriptions, which observers
 * are made of (shared/subscription.ts).
 */
import * as z from 'zod'
import { filterSchema } from './filter.ts'
import { digest } from './ids.ts'
import { agentTopic } from './topic.ts'
import { viewShape } from './view.ts'

const prefix = 'agents'

/** Where an agent tells its observers. */
export const ownTopic = (agent: string): string => `${prefix}.${agent}`

/** Whose own topic this is, or a topic below it; undefined when it is nobody's. */
export function ownerOf(topic: string): string | undefined {
  const [first, owner] = topic.split('.')
  return first === prefix ? owner : undefined
}

/** The body of PUT /v1/agents/{agent}/observers/{observer}. */
export const observerInput = z
  .strictObject({
    filter: filterSchema.optional(),
    ...viewShape,
    announcements: z
      .boolean()
      .default(false)
      .describe(
        'Also what the broker says of the agent: its breaker, its dead letters. Ids only; needs a permission that names `switchboard`.',
      ),
  })
  .default({ announcements: false })
export type ObserverInput = z.infer<typeof observerInput>

/** The two subscriptions that an observer is: the same names for the same pair, so that attaching twice is attaching once. */
export function observing(agent: string, observer: string) {
  return {
    events: { id: `obs-${digest('observer', agent, observer)}`, topic: ownTopic(agent) },
    announcements: { id: `oba-${digest('observer', agent, observer)}`, topic: agentTopic(agent) },
  }
}

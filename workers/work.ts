/**
 * Consumes `work`: what frees others, on a queue of its own so that it never waits behind what it frees. Effects, burials and
 * moves that somebody began and did not finish, legs of publications and gathers, the rest of a sweep, and challenges that are due.
 * Never here: the first try of any of them.
 */
import { agentIn } from '../shared/agent-text.ts'
import type { Platform } from '../shared/ports.ts'
import { workReference } from '../shared/reference.ts'
import { announceOverdue, announcePause } from './alert.ts'
import { announce, announceResource } from './announce.ts'
import { challenge } from './challenge.ts'
import type { QueuedMessage } from './consume.ts'
import { carryOut } from './effects.ts'
import { enqueue } from './enqueue.ts'
import { expand } from './expand.ts'
import { fireAll } from './fire.ts'
import { gather } from './gather.ts'
import { perform } from './perform.ts'
import { depart } from './reassign.ts'
import { sweepOn } from './sweep.ts'
import { tellApprovals } from './tell-approval.ts'
import { tellPromise } from './tell-promise.ts'

const retryDelaySeconds = 5

/** Never throws: each message is acked or retried by itself. */
export async function work(platform: Platform, messages: readonly QueuedMessage[]): Promise<void> {
  await Promise.all(
    messages.map(async (message) => {
      const parsed = workReference.safeParse(message.body)
      if (!parsed.success) {
        platform.log('work.unreadable', { attempts: message.attempts })
        message.retry({ delaySeconds: retryDelaySeconds })
        return
      }
      try {
        if ('verify' in parsed.data) await challenge(platform, parsed.data.agent)
        else if ('publication' in parsed.data)
          await expand(platform, parsed.data.publication, undefined, parsed.data.after)
        else if ('workflow' in parsed.data) await perform(platform, parsed.data.workflow)
        else if ('sweep' in parsed.data) await sweepOn(platform, parsed.data.sweep)
        else if ('gather' in parsed.data) await gather(platform, parsed.data.gather)
        else if ('promise' in parsed.data) await tellPromise(platform, parsed.data.promise)
        else if ('approvals' in parsed.data) await tellApprovals(platform, parsed.data.approvals)
        else if ('schedules' in parsed.data) await fireAll(platform, parsed.data.schedules)
        else if ('resource' in parsed.data) await tellResourceMove(platform, parsed.data.resource, parsed.data.announce)
        else if ('overdue' in parsed.data) await announceOverdue(platform, parsed.data.agent, parsed.data.overdue)
        else if ('pausedSince' in parsed.data) await announcePause(platform, parsed.data.agent, parsed.data.pausedSince)
        else if ('announce' in parsed.data) await tellMove(platform, parsed.data.agent, parsed.data.announce)
        else await finish(platform, parsed.data.agent, parsed.data.deliveries)
        message.ack()
      } catch (error) {
        platform.log('work.failed', { ...parsed.data, error: String(error) })
        message.retry({ delaySeconds: retryDelaySeconds * Math.min(12, message.attempts) })
      }
    }),
  )
}

async function tellMove(platform: Platform, agent: string, { after, upTo }: { after: number; upTo: number }) {
  const breaker = await platform.agent(agent).breaker()
  await announce(platform, agent, breaker, ({ epoch }) => epoch > after && epoch <= upTo)
}

async function tellResourceMove(platform: Platform, name: string, { after, upTo }: { after: number; upTo: number }) {
  const resource = platform.resource(name)
  const breaker = (await resource.report())?.breaker
  await announceResource(platform, name, breaker, ({ epoch }) => epoch > after && epoch <= upTo)
  await resource.announced(upTo)
}

async function finish(platform: Platform, agent: string, deliveries: readonly string[]): Promise<void> {
  const answer = await platform.agent(agent).unfinished(deliveries)
  enqueue(platform, agent, answer.references)
  await carryOut(platform, agent, agentIn(answer.agent), answer.unfinished)
  await depart(platform, agent, answer.departures)
}

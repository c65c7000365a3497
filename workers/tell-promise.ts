/**
 * Tell of a promise how it ended: whom its maker named hears of it, under the maker's source and permissions. The message has
 * an id of its own, so that one told twice is a duplicate downstream (M2). Comes from the gateway, and from the `work` queue
 * with the promise's alarm as the net. Never here: how it ended (shared/promise.ts).
 */
import { promiseEnd } from '../shared/api-promises.ts'
import type { EffectStatus } from '../shared/effects.ts'
import { replyDestination } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'
import { type PromiseRecord, promiseStatusOf } from '../shared/promise.ts'
import { publish } from './publish.ts'
import { speakerOf } from './speaker.ts'
import { toldState } from './tell-approval.ts'

/** Tells what is owed, and gives the promise as it then stands; undefined when there is none. */
export async function tellPromise(platform: Platform, id: string): Promise<PromiseRecord | undefined> {
  const promise = await platform.promise(id).find()
  if (promise?.news?.status !== 'pending' || promise.notify === undefined) return promise
  const state = await say(platform, promise, promise.notify)
  platform.log('promise.told', { promise: id, status: state.status })
  return platform.promise(id).told(state)
}

async function say(platform: Platform, promise: PromiseRecord, notify: string): Promise<EffectStatus> {
  const speaker = await speakerOf(platform, promise, 'promise')
  if (!speaker.ok) return { status: 'refused', reason: 'creator_gone', detail: speaker.error }
  const { id, correlationid = id, outcome, openedAt } = promise
  const status = promiseStatusOf(promise)
  // A statechart's events have no dots, so that its keys may.
  const type = notify.startsWith('workflow:') ? `promise_${status}` : `switchboard.promise.${status}`
  const message = { id: `${id}-ended-${openedAt}`, correlationid, subject: id, type, data: promiseEnd(promise) }
  const [answer] = await publish(platform, speaker.value, [{ ...replyDestination(notify), ...message }], {
    brokerMade: true,
  })
  return answer === undefined ? { status: 'pending' } : toldState(answer, platform.now() - (outcome?.at ?? 0))
}

/**
 * Take: ask the mailbox for the deliveries one was told of, unless the deployment is stopped. It gives leases with bodies, or nothing.
 * Never here: its reasons (shared/release.ts).
 */

import type { TakeAnswer } from '../shared/agent-port.ts'
import type { Platform } from '../shared/ports.ts'
import { enqueue } from './enqueue.ts'
import { stoppedBecause } from './switch.ts'

const nothing: TakeAnswer = { agent: undefined, leases: [], unfinished: [], rest: [], references: [] }

/** For a call that takes beside something else; undefined while nothing may be taken. */
export async function takeToken(platform: Platform): Promise<string | undefined> {
  return (await stoppedBecause(platform)) === undefined ? platform.token() : undefined
}

/** `token` is made here, for this call and the platform's repeats of it. */
export async function take(
  platform: Platform,
  agent: string,
  deliveries: readonly string[],
  alone: boolean,
): Promise<TakeAnswer> {
  const stopped = await stoppedBecause(platform)
  if (stopped !== undefined) {
    // The mailbox repeats what nobody took.
    platform.log('take.stopped', { agent, asked: deliveries.length, stopped })
    return nothing
  }
  const answer = await platform.agent(agent).take(deliveries, platform.token(), alone)
  platform.log('take', { agent, asked: deliveries.length, leased: answer.leases.map((l) => l.id) })
  enqueue(platform, agent, answer.references)
  return answer
}

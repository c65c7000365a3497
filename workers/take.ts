/** Take: ask the mailbox for the deliveries one was told of. It gives leases with bodies, or nothing. Never here: its reasons (shared/release.ts). */

import type { TakeAnswer } from '../shared/agent-port.ts'
import type { Platform } from '../shared/ports.ts'
import { enqueue } from './enqueue.ts'

/** `token` is made here, for this call and the platform's repeats of it. */
export async function take(
  platform: Platform,
  agent: string,
  deliveries: readonly string[],
  alone: boolean,
): Promise<TakeAnswer> {
  const answer = await platform.agent(agent).take(deliveries, platform.token(), alone)
  platform.log('take', { agent, asked: deliveries.length, leased: answer.leases.map((l) => l.id) })
  enqueue(platform, agent, answer.references)
  return answer
}

/** Accept: ask the mailbox. Its answer is the 202. Never here: what it decides (shared/admission.ts). */
import type { Incoming } from '../shared/admission.ts'
import type { AcceptAnswer } from '../shared/agent-port.ts'
import { headOf } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'

/**
 * Has the messages accepted by one agent's mailbox. A handler of this deployment that nobody has written to yet is enrolled
 * on the way. `token` names the call: repeated, it gets the same answer. `takeToken`: what goes at once is leased for the caller,
 * if its attempts take no longer than `longestMs`.
 */
export async function accept(
  platform: Platform,
  agent: string,
  incoming: readonly Incoming[],
  token: string,
  takeToken?: string,
  longestMs?: number,
): Promise<AcceptAnswer> {
  const carried = incoming.map(once)
  const ask = () => platform.agent(agent).accept(carried, token, takeToken, longestMs)
  const answer = await ask()
  const unknown = answer.admissions.some((a) => a.status === 'unknown')
  const settled = unknown && (await platform.enrolHandler(agent)) ? await ask() : answer
  noteAccepted(platform, agent, incoming, settled)
  return settled
}

/** Says in the log and the trace what a mailbox answered. */
export function noteAccepted(
  platform: Platform,
  agent: string,
  incoming: readonly Pick<Incoming, 'message'>[],
  { admissions }: AcceptAnswer,
): void {
  incoming.forEach(({ message }, place) => {
    if (admissions[place]?.status === 'accepted') platform.tracing?.sent(message)
  })
  platform.log('accept', { agent, admissions: admissions.map((a) => ('id' in a ? `${a.status} ${a.id}` : a.status)) })
}

/** As it travels: the data are in the body, and twice only where the mailbox has to measure what a view makes of them. */
export function once<T extends Pick<Incoming, 'message'>>(one: T): T {
  const { select, maxbytes } = one.message
  return select === undefined && maxbytes === undefined ? { ...one, message: headOf(one.message) } : one
}

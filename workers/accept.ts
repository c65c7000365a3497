/** Accept: ask the mailbox. Its answer is the 202. Never here: what it decides (shared/admission.ts). */
import type { Incoming } from '../shared/admission.ts'
import type { AcceptAnswer } from '../shared/agent-port.ts'
import { headOf } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'

/**
 * Has the messages accepted by one agent's mailbox. A handler of this deployment that nobody has written to yet is enrolled
 * on the way. `token` names the call: repeated, it gets the same answer. `takeToken`: what goes at once is leased for the caller.
 */
export async function accept(
  platform: Platform,
  agent: string,
  incoming: readonly Incoming[],
  token: string,
  takeToken?: string,
): Promise<AcceptAnswer> {
  const carried = incoming.map(once)
  const ask = () => platform.agent(agent).accept(carried, token, takeToken)
  const answer = await ask()
  const unknown = answer.admissions.some((a) => a.status === 'unknown')
  const settled = unknown && (await platform.enrolHandler(agent)) ? await ask() : answer
  incoming.forEach(({ message }, place) => {
    if (settled.admissions[place]?.status === 'accepted') platform.tracing?.sent(message)
  })
  platform.log('accept', {
    agent,
    admissions: settled.admissions.map((a) => ('id' in a ? `${a.status} ${a.id}` : a.status)),
  })
  return settled
}

// The data are in the body: they travel twice only where the mailbox has to measure what a view makes of them.
function once(one: Incoming): Incoming {
  const { select, maxbytes } = one.message
  return select === undefined && maxbytes === undefined ? { ...one, message: headOf(one.message) } : one
}

/**
 * Shake hands: find the agent → have it answer, if it negotiates itself and is there; else answer from its card → keep.
 * Never here: what an answer comes to (shared/handshake.ts), HTTP (workers/routes/handshakes.ts).
 */
import type { AgentRecord } from '../shared/agent.ts'
import { cardOf, etagOf } from '../shared/card.ts'
import type { Fault } from '../shared/fault.ts'
import type { Figures } from '../shared/figures.ts'
import { type Handshake, type HandshakeInput, handshakeId, negotiate, type Standing } from '../shared/handshake.ts'
import { agentName } from '../shared/ids.ts'
import { allows, ownSource, type Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { err, ok, type Result } from '../shared/result.ts'

export interface Kept {
  readonly handshake: Handshake
  readonly standing: Standing
}

/** With the same key and offer it is the same handshake, answered once. */
export async function shake(
  platform: Platform,
  principal: Principal,
  name: string,
  input: HandshakeInput,
  key: string,
): Promise<Result<Kept, Fault>> {
  if (!allows(principal, 'send', name)) return err({ code: 'forbidden', action: 'send to', subject: name })
  const unknown = err<Fault>({ code: 'agent_not_found', agent: name })
  const described = await describe(platform, name)
  if (described === undefined) return unknown
  const source = ownSource(principal)
  const id = handshakeId(name, source, key, input)
  const known = await platform.agent(name).handshake(id)
  if (known !== undefined) return ok(known)
  const { protocolVersions, capabilities } = input
  const offer = { protocolVersions, capabilities }
  const card = cardOf(described.agent)
  const kept = await platform.agent(name).shake(
    {
      v: 1,
      id,
      agent: name,
      incarnation: described.agent.incarnation,
      source,
      offer,
      verdict: negotiate(offer, card),
      answeredBy: 'registration',
      etag: etagOf(card),
    },
    input.expiresInSeconds * 1_000,
  )
  return kept === undefined ? unknown : ok(kept)
}

async function describe(
  platform: Platform,
  name: string,
): Promise<{ readonly agent: AgentRecord; readonly figures: Figures } | undefined> {
  // What is no agent's name has no object: asking for one would make it.
  if (!agentName.safeParse(name).success) return undefined
  const described = await platform.agent(name).describe()
  if (described !== undefined) return described
  // An agent of this Worker's own code need not have been asked for before.
  return (await platform.enrolHandler(name)) ? platform.agent(name).describe() : undefined
}

/**
 * Shake hands: find the agent → have it answer, if it negotiates itself and is there; else answer from its card → keep.
 * Never here: what an answer comes to (shared/handshake.ts), HTTP (workers/routes/handshakes.ts).
 */
import type { AgentRecord } from '../shared/agent.ts'
import { type Card, cardOf, etagOf } from '../shared/card.ts'
import { type Fault, problemOf } from '../shared/fault.ts'
import type { Figures } from '../shared/figures.ts'
import {
  type Handshake,
  type HandshakeInput,
  handshakeId,
  handshakeType,
  negotiate,
  type Offer,
  type Shaken,
  type Standing,
  type Verdict,
  verdictOfReply,
} from '../shared/handshake.ts'
import { agentName } from '../shared/ids.ts'
import { allows, ownSource, type Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { faultOfRequest, replyOf } from '../shared/request.ts'
import { err, ok, type Result } from '../shared/result.ts'
import type { Waiting } from './poll.ts'
import { type AskOptions, ask, awaitReply } from './request.ts'

export interface Kept {
  readonly handshake: Handshake
  readonly standing: Standing
}

export interface ShakeOptions {
  /** With the same key and offer it is the same handshake, answered once. */
  readonly key: string
  /** How long an agent that negotiates itself is waited for. */
  readonly waiting: Waiting
  readonly express?: AskOptions['express']
}

export async function shake(
  platform: Platform,
  principal: Principal,
  name: string,
  input: HandshakeInput,
  options: ShakeOptions,
): Promise<Result<Kept, Fault>> {
  if (!allows(principal, 'send', name)) return err({ code: 'forbidden', action: 'send to', subject: name })
  const unknown = err<Fault>({ code: 'agent_not_found', agent: name })
  const described = await describe(platform, name)
  if (described === undefined) return unknown
  const source = ownSource(principal)
  const id = handshakeId(name, source, options.key, input)
  const known = await platform.agent(name).handshake(id)
  if (known !== undefined) return ok(known)
  const { protocolVersions, capabilities } = input
  const offer = { protocolVersions, capabilities }
  const card = cardOf(described.agent)
  const answer = await answered(
    platform,
    principal,
    { id, name, offer, card, parked: described.figures.parked },
    options,
  )
  const { incarnation } = described.agent
  const kept = await platform
    .agent(name)
    .shake(
      { v: 1, id, agent: name, incarnation, source, offer, ...answer, etag: etagOf(card) },
      input.expiresInSeconds * 1_000,
    )
  return kept === undefined ? unknown : ok(kept)
}

interface Question {
  readonly id: string
  readonly name: string
  readonly offer: Offer
  readonly card: Card
  /** Why the agent takes no mail, when it takes none. */
  readonly parked?: string | undefined
}

async function answered(
  platform: Platform,
  principal: Principal,
  question: Question,
  options: ShakeOptions,
): Promise<Pick<Shaken, 'verdict' | 'answeredBy' | 'because'>> {
  const { offer, card, parked } = question
  const own = { verdict: negotiate(offer, card), answeredBy: 'registration' } as const
  if (card.handshake !== 'agent') return own
  if (parked !== undefined) return { ...own, because: parked }
  if (options.waiting.seconds <= 0) return { ...own, because: 'the caller did not wait for the agent' }
  const said = await askAgent(platform, principal, question, options)
  return said.ok ? { verdict: said.value, answeredBy: 'agent' } : { ...own, because: said.error }
}

/** The agent's own verdict, or why there is none. */
async function askAgent(
  platform: Platform,
  principal: Principal,
  { id, name, offer, card }: Question,
  { waiting, express }: ShakeOptions,
): Promise<Result<Verdict, string>> {
  const request = {
    to: name,
    type: handshakeType,
    data: { sessionId: id, ...offer },
    timeoutSeconds: waiting.seconds,
    whenOpen: 'refuse',
  }
  const options = { idempotencyKey: id, waits: true, ...(express === undefined ? {} : { express }) }
  const asked = await ask(platform, principal, request, options)
  if (!asked.ok) return err(problemOf(asked.error).body.detail)
  // A second more than the request has: so it has ended when we stop asking.
  const report = await awaitReply(platform, asked.value, { ...waiting, seconds: waiting.seconds + 1 })
  const fault = report === undefined ? undefined : faultOfRequest(report.gather)
  if (fault !== undefined) return err(problemOf(fault).body.detail)
  const reply = report === undefined ? undefined : replyOf(report)
  return reply === undefined ? err('it did not answer in time') : verdictOfReply(reply.data, offer, card)
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

/**
 * A handshake: two agents agree on a protocol version and on capabilities before they work together, and what they agreed on
 * is kept. The agent that is asked answers itself, if its registration says so, or the broker answers from its card.
 *
 *   made ──► in_force ──► stale (its card changed) ──► in_force again, should the card be as it was
 *               └───────────┴──► expired (its time is over)
 *
 * T6 versions and capabilities do arrive, and no two handshakes share an id. Never here: asking the agent (workers/shake.ts).
 */
import * as z from 'zod'
import { abilitiesOf, type Card, capabilityList, protocolVersion } from './card.ts'
import { agentName, digest } from './ids.ts'
import { canonical } from './json.ts'
import { limits } from './limits.ts'
import { err, ok, type Result } from './result.ts'

const versions = z.array(protocolVersion).min(1).max(limits.protocolVersions)

/** The body of POST /v1/agents/{agent}/handshake. */
export const handshakeInput = z.strictObject({
  protocolVersions: versions.describe('What the caller speaks, in any order.'),
  capabilities: capabilityList
    .default([])
    .describe('What it needs of the agent: capabilities, or skills by their ids.'),
  expiresInSeconds: z
    .number()
    .min(1)
    .max(limits.handshakeSeconds)
    .default(86_400)
    .describe('For so long the handshake is in force, unless the agent’s card changes before.'),
})
export type HandshakeInput = z.infer<typeof handshakeInput>

/** What was asked for. */
export type Offer = Pick<HandshakeInput, 'protocolVersions' | 'capabilities'>

const supported = z.strictObject({ protocolVersions: z.array(z.string()), capabilities: z.array(z.string()) })

/** What came of it. */
export const verdictSchema = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('accepted'), version: z.string(), agreed: z.array(z.string()) }),
  /** The version fits, some of the capabilities are not there. */
  z.strictObject({
    status: z.literal('counter'),
    version: z.string(),
    agreed: z.array(z.string()),
    missing: z.array(z.string()),
  }),
  z.strictObject({
    status: z.literal('rejected'),
    agreed: z.tuple([]),
    reason: z.string(),
    missing: z.array(z.string()).exactOptional(),
    /** What the agent could have been asked for. */
    supported,
  }),
])
export type Verdict = z.infer<typeof verdictSchema>

export const handshakeRecord = z.strictObject({
  v: z.literal(1),
  id: z.string(),
  agent: z.string(),
  /** A new agent of the same name has agreed on nothing. */
  incarnation: z.string(),
  /** Who asked, as messages name their source. */
  source: z.string(),
  offer: z.strictObject({ protocolVersions: z.array(z.string()), capabilities: z.array(z.string()) }),
  verdict: verdictSchema,
  answeredBy: z.enum(['agent', 'registration']),
  /** Why the registration answered for an agent that negotiates itself. */
  because: z.string().exactOptional(),
  /** Of the card that was negotiated over. */
  etag: z.string(),
  at: z.number(),
  expiresAt: z.number(),
})
export type Handshake = z.infer<typeof handshakeRecord>

/** A handshake before its agent's object has put it on its clock. */
export type Shaken = Omit<Handshake, 'at' | 'expiresAt'>

/** A stored record, parsed as the network is. */
export const readHandshake = (stored: unknown): Handshake => handshakeRecord.parse(JSON.parse(String(stored)))

// --- identity ---------------------------------------------------------------------------------------------------------

/** Says where the handshake lies, and is no delivery's id: no agent's name ends in `_hs`. Repeated with one key, it is one handshake. */
export function handshakeId(agent: string, source: string, key: string, offer: Offer): string {
  const { protocolVersions, capabilities } = offer
  return `${agent}_hs_${digest(agent, source, key, canonical({ protocolVersions, capabilities }))}`
}

/** The agent whose object holds it; undefined for what is no such id. */
export function agentOfHandshake(id: string): string | undefined {
  const [, agent] = /^(.+)_hs_[a-z2-7]{26}$/.exec(id) ?? []
  return agentName.safeParse(agent).success ? agent : undefined
}

// --- negotiating ------------------------------------------------------------------------------------------------------

/** By number, part for part; a part that is not there counts as 0. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a.split('.').map(Number), b.split('.').map(Number)]
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0)
    if (difference !== 0) return Math.sign(difference)
  }
  return 0
}

/** The highest version that both speak, whichever of the two asks. Where the spellings differ (`1`, `1.0`), the longer one. */
export function highestCommon(ours: readonly string[], theirs: readonly string[]): string | undefined {
  const common = ours.flatMap((our) => {
    const same = theirs.filter((their) => compareVersions(our, their) === 0)
    return same.length === 0 ? [] : [our, ...same]
  })
  return common.sort((a, b) => compareVersions(a, b) || a.length - b.length).at(-1)
}

/** The broker's answer for an agent, from its card. */
export function negotiate(offer: Offer, card: Card): Verdict {
  const version = highestCommon(card.protocolVersions, offer.protocolVersions)
  const abilities = abilitiesOf(card)
  if (version === undefined) return rejected('version_mismatch', card)
  const asked = [...new Set(offer.capabilities)]
  const agreed = asked.filter((capability) => abilities.includes(capability))
  const missing = asked.filter((capability) => !abilities.includes(capability))
  if (missing.length === 0) return { status: 'accepted', version, agreed }
  return agreed.length === 0
    ? { ...rejected('capability_mismatch', card), missing }
    : { status: 'counter', version, agreed, missing }
}

function rejected(reason: string, card: Card): Extract<Verdict, { status: 'rejected' }> {
  const { protocolVersions } = card
  const capabilities = [...abilitiesOf(card)]
  return {
    status: 'rejected',
    agreed: [],
    reason,
    supported: { protocolVersions: [...protocolVersions], capabilities },
  }
}

// --- an agent that answers itself -------------------------------------------------------------------------------------

/** The type of the request that an agent gets which negotiates itself. */
export const handshakeType = 'switchboard.handshake'

const agentReply = z.object({
  status: z.enum(['accepted', 'counter', 'rejected']),
  version: z.string().optional(),
  agreed: z.array(z.string()).optional(),
  reason: z.string().min(1).max(limits.errorMessageLength).optional(),
})

/**
 * What the agent's own reply comes to. It may agree to less than its card says or to more, but only to what was asked; what
 * is not an answer to this handshake is told as a sentence.
 */
export function verdictOfReply(data: unknown, offer: Offer, card: Card): Result<Verdict, string> {
  const parsed = agentReply.safeParse(data)
  if (!parsed.success) return err('its reply is no answer to a handshake')
  const { status, version, reason } = parsed.data
  if (status === 'rejected') return ok(rejected(reason ?? 'refused', card))
  const asked = [...new Set(offer.capabilities)]
  const agreed = asked.filter((capability) => (parsed.data.agreed ?? asked).includes(capability))
  if ((parsed.data.agreed ?? []).some((capability) => !asked.includes(capability)))
    return err('its reply agrees to capabilities that were not asked for')
  if (version === undefined || !offer.protocolVersions.some((offered) => offered === version))
    return err('its reply names no version that was asked for')
  const missing = asked.filter((capability) => !agreed.includes(capability))
  return ok(
    missing.length === 0 ? { status: 'accepted', version, agreed } : { status: 'counter', version, agreed, missing },
  )
}

// --- how long it holds ------------------------------------------------------------------------------------------------

export type Standing = 'in_force' | 'stale' | 'expired'

/** From each state and each event, where it may lead. */
export const handshakeTable = {
  in_force: { card_changed: ['stale'], card_restored: ['in_force'], time: ['in_force', 'expired'] },
  stale: { card_changed: ['stale'], card_restored: ['in_force'], time: ['stale', 'expired'] },
  expired: { card_changed: ['expired'], card_restored: ['expired'], time: ['expired'] },
} as const satisfies Record<Standing, Record<string, readonly Standing[]>>

/** Derived, never stored: by the clock, and by the card as it is now. */
export function standingOf(handshake: Handshake, etagNow: string, now: number): Standing {
  if (handshake.expiresAt <= now) return 'expired'
  return handshake.etag === etagNow ? 'in_force' : 'stale'
}

/** What a caller sees of it. */
export function publicHandshake(handshake: Handshake, standing: Standing) {
  const { id, agent, source, offer, verdict, answeredBy, because, etag, at, expiresAt } = handshake
  return {
    sessionId: id,
    agent,
    source,
    ...verdict,
    answeredBy,
    ...(because === undefined ? {} : { because }),
    asked: offer,
    etag,
    standing,
    at: new Date(at).toISOString(),
    expiresAt: new Date(expiresAt).toISOString(),
  }
}

/**
 * An agent: a named participant with a mailbox. What an operator sends (`Registration`), and the record that is its truth
 * (`AgentRecord`), which lives in its own object and travels with the lease. Never here: its mail (shared/mailbox.ts).
 */
import * as z from 'zod'
import { secretSchema } from './agent-secret.ts'
import { neededUntil } from './callback.ts'
import { cardOf, cardParts, cardPartsOf, cardRecord, etagOf } from './card.ts'
import { catchUpPolicy } from './catch-up-policy.ts'
import { canonical } from './json.ts'
import { limits } from './limits.ts'
import { permissionsInput, permissionsSchema, resolvePermissions } from './permissions.ts'
import { type AgentKind, agentKind, policyInput, policySchema, resolvePolicy } from './policy.ts'
import { resourceNames } from './resource-report.ts'
import { headersInForce, webhookHeaders } from './webhook-headers.ts'

const label = z.string().min(1).max(limits.typeLength)

/** The body of PUT /v1/agents/{agent}. */
export const registration = z
  .strictObject({
    kind: agentKind,
    url: z.string().min(1).max(limits.urlLength).optional(),
    /** Left out, those of the same url stay. */
    headers: webhookHeaders.optional(),
    capabilities: z.array(label).max(limits.capabilitiesPerAgent).optional(),
    accepts: z.array(label).max(limits.capabilitiesPerAgent).optional(),
    ...cardParts,
    /** What it shares with others and may be down, such as `openai/gpt-5`: its mail waits while one of them is. */
    resources: resourceNames.optional(),
    policy: policyInput.optional(),
    permissions: permissionsInput.optional(),
  })
  .superRefine((r, ctx) => {
    if (r.kind === 'webhook' && r.url === undefined)
      ctx.addIssue({ code: 'custom', path: ['url'], message: 'a webhook agent needs a url' })
    for (const part of ['url', 'headers'] as const)
      if (r.kind !== 'webhook' && r[part] !== undefined)
        ctx.addIssue({ code: 'custom', path: [part], message: `a ${r.kind} agent has no ${part}` })
    if (r.policy?.batch !== undefined && r.kind === 'pull')
      ctx.addIssue({
        code: 'custom',
        path: ['policy', 'batch'],
        message: 'a pull agent leases as many as it asks for (`max`); nothing is batched for it',
      })
    if (r.policy?.batch?.format === 'numbered-text' && r.policy.ack === 'later')
      ctx.addIssue({
        code: 'custom',
        path: ['policy', 'batch', 'format'],
        message: 'a numbered text names no deliveries that could be acked later; use `json`',
      })
    if (r.policy?.batch !== undefined && r.policy.maxAttempts === 1)
      ctx.addIssue({
        code: 'custom',
        path: ['policy', 'maxAttempts'],
        message: 'the last attempt is made alone, so with one attempt there would be no batch; at least 2',
      })
  })
export type Registration = z.infer<typeof registration>

/** Can several messages be handed to it in one call? A handler says so with \`handleBatch\`, which goes with the policy. */
export function takesBatches({ kind, policy }: Pick<AgentRecord, 'kind' | 'policy'>): boolean {
  return kind === 'webhook' || (kind === 'handler' && policy.batch !== undefined)
}

export const agentRecord = z.strictObject({
  v: z.literal(1),
  name: z.string(),
  kind: agentKind,
  url: z.string().optional(),
  /** Webhooks: what its calls have beside ours. Absent: none. */
  headers: z.record(z.string(), z.string()).exactOptional(),
  capabilities: z.array(z.string()),
  accepts: z.array(z.string()),
  ...cardRecord,
  /** Absent: none. */
  resources: z.array(z.string()).exactOptional(),
  policy: policySchema,
  permissions: permissionsSchema,
  /** A deleted agent's name may be taken again: the new one is another incarnation and inherits nothing. */
  incarnation: z.string(),
  secrets: z.array(secretSchema),
  /** Webhooks: until the challenge was answered, mail waits. */
  verified: z.boolean(),
  /** Webhooks, unverified: when the challenge is due again. */
  verifyAt: z.number().optional(),
  paused: z.strictObject({ since: z.number(), reason: z.string(), until: z.number().optional() }).optional(),
  /** A 429 or Retry-After holds the whole agent until then, at no attempt. */
  heldUntil: z.number().optional(),
  /** Who asked for it, when it was not the agent itself. */
  heldBecause: z.string().exactOptional(),
  /** It left, and its mail is kept until then (shared/kept-mail.ts). */
  left: z.strictObject({ since: z.number(), until: z.number() }).exactOptional(),
  /** It came back then, and what it does not want is being put aside (shared/catch-up.ts). */
  catchingUp: z.strictObject({ how: catchUpPolicy, from: z.number() }).exactOptional(),
  /** Of a callback's mailbox: until then somebody may have something to be told there (shared/callback.ts). */
  neededUntil: z.number().exactOptional(),
  /** The calls that resumed it last, the newest at the end: a repeat of one lifts and puts aside nothing that came in between. */
  resumeTokens: z.array(z.string()).exactOptional(),
  /** The same, as older records have it: of one call. */
  catchUpToken: z.string().exactOptional(),
  createdAt: z.number(),
  updatedAt: z.number(),
  /** The highest sequence number given, saved when the rows that show it are dropped. */
  sequence: z.int(),
})
export type AgentRecord = z.infer<typeof agentRecord>

/** A stored record, parsed as the network is. */
export const readAgent = (stored: unknown): AgentRecord => agentRecord.parse(JSON.parse(String(stored)))

export interface Enrolment {
  readonly name: string
  readonly registration: Registration
  /** Used if the agent is new: chosen by the caller, because chance is an argument here. */
  readonly freshIncarnation: string
  readonly freshSecret: string
  /** Development: no challenge. */
  readonly trusted: boolean
  /** Of a callback's mailbox: for so long it is needed. */
  readonly neededMs?: number
  readonly now: number
}

/** Creates or updates. A changed url must prove itself again; secrets, pauses, mail and what is not said of permissions stay. */
export function enrol(current: AgentRecord | undefined, e: Enrolment): AgentRecord {
  const { registration: r } = e
  const sameUrl = current?.kind === r.kind && current.url === r.url
  const verified = r.kind !== 'webhook' || e.trusted || (sameUrl && current.verified)
  const secrets = current?.secrets ?? []
  const until = e.neededMs === undefined ? current?.neededUntil : neededUntil(current, e.neededMs, e.now)
  const kept =
    current === undefined
      ? {}
      : {
          ...(current.paused && { paused: current.paused }),
          ...(current.heldUntil && { heldUntil: current.heldUntil }),
          ...(current.heldBecause && { heldBecause: current.heldBecause }),
          ...(current.catchingUp && { catchingUp: current.catchingUp }),
          ...(current.catchUpToken && { catchUpToken: current.catchUpToken }),
          ...(current.resumeTokens && { resumeTokens: current.resumeTokens }),
        }
  return {
    v: 1,
    name: e.name,
    kind: r.kind,
    ...(r.url === undefined ? {} : { url: r.url }),
    ...headersInForce(r.headers, current?.headers, sameUrl),
    capabilities: r.capabilities ?? [],
    accepts: r.accepts ?? [],
    ...cardPartsOf(r),
    ...(r.resources === undefined || r.resources.length === 0 ? {} : { resources: r.resources }),
    policy: resolvePolicy(r.kind, r.policy),
    permissions: resolvePermissions(e.name, r.permissions, current?.permissions),
    incarnation: current?.incarnation ?? e.freshIncarnation,
    secrets: r.kind === 'webhook' && secrets.length === 0 ? [{ secret: e.freshSecret, createdAt: e.now }] : secrets,
    verified,
    ...(verified ? {} : { verifyAt: e.now + verifyRetryMs }),
    ...kept,
    ...(until === undefined ? {} : { neededUntil: until }),
    createdAt: current?.createdAt ?? e.now,
    updatedAt: e.now,
    sequence: current?.sequence ?? 0,
  }
}

/** Would registering this change nothing? Then nothing is written. */
export function isRegisteredAs(current: AgentRecord, r: Registration): boolean {
  const { name, incarnation, updatedAt } = current
  const same = { name, registration: r, freshIncarnation: incarnation, freshSecret: '', trusted: current.verified }
  return canonical(enrol(current, { ...same, now: updatedAt })) === canonical(current)
}

/** The challenge is retried hourly (docs/protocol.md, "Challenge"). */
export const verifyRetryMs = 3_600_000

/** Any 2xx whose JSON body repeats the value in `challenge`. An answer that merely echoes the event proves nothing. */
export function isChallengeAnswered(status: number, body: string, sent: string): boolean {
  if (status < 200 || status > 299) return false
  try {
    const answer: unknown = JSON.parse(body)
    return typeof answer === 'object' && answer !== null && 'challenge' in answer && answer.challenge === sent
  } catch {
    return false
  }
}

/** The webhook answered its challenge. The answer may be late: it counts only for the url that gave it. */
export function verify(agent: AgentRecord, url: string): AgentRecord {
  if (agent.url !== url) return agent
  const { verifyAt: _verifyAt, ...rest } = agent
  return { ...rest, verified: true }
}

type Pause = NonNullable<AgentRecord['paused']>

/** A pause with an end is over when its time is, without anybody lifting it. */
function isPaused(agent: AgentRecord, now: number): agent is AgentRecord & { paused: Pause } {
  return agent.paused !== undefined && (agent.paused.until === undefined || agent.paused.until > now)
}

/** Is this call one of those that resumed it last? */
export function hasResumed(agent: AgentRecord, token: string | undefined): boolean {
  if (token === undefined) return false
  return agent.catchUpToken === token || agent.resumeTokens?.includes(token) === true
}

export function withResumed(agent: AgentRecord, token: string | undefined): AgentRecord {
  if (token === undefined) return agent
  return { ...agent, resumeTokens: [...(agent.resumeTokens ?? []), token].slice(-limits.resumesRemembered) }
}

/** Paused, with this reason from now on. Who is paused already has been since then. */
export function paused(agent: AgentRecord, reason: string, forMs: number | undefined, now: number): AgentRecord {
  const since = isPaused(agent, now) ? agent.paused.since : now
  return { ...agent, paused: { since, reason, ...(forMs === undefined ? {} : { until: now + forMs }) } }
}

const iso = (at: number) => new Date(at).toISOString()

function shownPause({ since, reason, until }: Pause) {
  return { since: iso(since), reason, ...(until === undefined ? {} : { until: iso(until) }) }
}

/** Is it registered? Whoever left is known to its mailbox only. */
export function isHere(agent: AgentRecord | undefined): agent is AgentRecord {
  return agent !== undefined && agent.left === undefined
}

/** Why this agent's mail is parked now, if it is. */
export function parkedBecause(agent: AgentRecord, now: number): string | undefined {
  if (agent.left !== undefined) return `left: kept until ${new Date(agent.left.until).toISOString()}`
  if (isPaused(agent, now)) return `paused: ${agent.paused.reason}`
  if (agent.catchingUp !== undefined) return 'catching up: what it does not want of its mail is being put aside'
  if (!agent.verified) return 'unverified: the webhook has not answered its challenge'
  if (agent.heldUntil !== undefined && agent.heldUntil > now)
    return `held: ${agent.heldBecause ?? 'the agent asked for quiet'} until ${new Date(agent.heldUntil).toISOString()}`
  return undefined
}

/** When a parked agent's mail is due to be looked at again; undefined when only a person can tell. */
export function unparkAt(agent: AgentRecord, now: number): number | undefined {
  if (agent.catchingUp !== undefined) return now
  if (isPaused(agent, now)) return agent.paused.until
  if (!agent.verified) return undefined
  return agent.heldUntil !== undefined && agent.heldUntil > now ? agent.heldUntil : undefined
}

/** What may be seen of an agent: everything but its secrets. Its URL may be one itself, and is for whoever may operate it. */
export function publicAgent(agent: AgentRecord, now: number, isOperator: boolean) {
  const card = cardOf(agent)
  return {
    agent: agent.name,
    kind: agent.kind as AgentKind,
    ...(isOperator && agent.url !== undefined ? { url: agent.url } : {}),
    ...(isOperator && agent.headers !== undefined ? { headers: Object.keys(agent.headers) } : {}),
    capabilities: agent.capabilities,
    accepts: agent.accepts,
    protocolVersions: card.protocolVersions,
    skills: card.skills,
    handshake: card.handshake,
    etag: etagOf(card),
    resources: agent.resources ?? [],
    policy: agent.policy,
    permissions: agent.permissions,
    verified: agent.verified,
    ...(isPaused(agent, now) ? { paused: shownPause(agent.paused) } : {}),
    ...(agent.heldUntil !== undefined && agent.heldUntil > now
      ? { heldUntil: new Date(agent.heldUntil).toISOString() }
      : {}),
    ...(agent.catchingUp === undefined
      ? {}
      : { catchingUp: { ...agent.catchingUp, from: iso(agent.catchingUp.from) } }),
    createdAt: new Date(agent.createdAt).toISOString(),
    updatedAt: new Date(agent.updatedAt).toISOString(),
  }
}

/**
 * Authorise: who calls? A bearer key (the admin's, an agent's or an app's), or a webhook that an agent signed. Never here: what
 * the caller may do (shared/permissions.ts), and nothing is ever read from the query string, which ends up in logs.
 */
import type { AgentRecord } from '../shared/agent.ts'
import { liveSecrets } from '../shared/agent-secret.ts'
import { wireBytes } from '../shared/api-messages.ts'
import { type FoundKey, principalOf } from '../shared/directory.ts'
import type { Fault } from '../shared/fault.ts'
import { agentName, parseDeliveryId } from '../shared/ids.ts'
import { keyHash, sameHash } from '../shared/keys.ts'
import { limits } from '../shared/limits.ts'
import type { Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { defaultPublishRate, type Meter } from '../shared/publish-rate.ts'
import { err, ok, type Result } from '../shared/result.ts'
import { verify } from '../shared/signature.ts'
import { noteSchemas } from './conform.ts'
import { Recent } from './recent.ts'
import { noteSwitch } from './switch.ts'

/** A revoked key, a narrowed permission and a retired secret may work for so long in an isolate that used them just before. */
export const staleMs = 5_000
/** An unknown key is asked for again soon, but a flood of guesses does not reach the directory one by one. */
const unknownMs = 1_000

/** What authorise remembers. One per isolate; a fresh one remembers nothing. */
export interface Acquaintances {
  readonly keys: Recent<FoundKey>
  readonly strangers: Recent<true>
  /** Of a key that was presented: its hash. To make one costs more than whatever else is asked of a known key. */
  readonly hashes: Recent<string>
  readonly agents: Recent<AgentRecord>
  /** By key: until when what it published is paid (workers/meter.ts). */
  readonly spent: Recent<number>
}

export function newAcquaintances(): Acquaintances {
  return {
    keys: new Recent(10_000),
    strangers: new Recent(1_000),
    hashes: new Recent(1_000),
    agents: new Recent(1_000),
    spent: new Recent(10_000),
  }
}

/** The call, as narrow as it is needed. */
export interface Call {
  readonly method: string
  readonly path: string
  header(name: string): string | undefined
  /** The raw bytes; refused when there are more. */
  body(limitBytes: number): Promise<Uint8Array>
}

export interface Authorised {
  readonly principal: Principal
  /** What it may publish, and under which name that is counted. The admin's key is not counted. */
  readonly meter?: Meter
  /** Of a signed call: its webhook-id, which names it across repeats, and the bytes that were verified. */
  readonly signed?: { readonly id: string; readonly body: Uint8Array }
}

export async function authorise(
  platform: Platform,
  call: Call,
  known: Acquaintances,
): Promise<Result<Authorised, Fault>> {
  const authorization = call.header('authorization')
  if (authorization !== undefined) return byKey(platform, authorization, known)
  if (call.header('webhook-signature') !== undefined) return bySignature(platform, call, known)
  return unauthenticated('No key was sent.')
}

const unauthenticated = (reason: string) => err<Fault>({ code: 'unauthenticated', reason })
const invalidSignature = (reason: string) => err<Fault>({ code: 'invalid_signature', reason })

// --- by key -----------------------------------------------------------------------------------------------------------

const bearer = /^Bearer +([^\s]{1,512})$/i

async function byKey(
  platform: Platform,
  authorization: string,
  known: Acquaintances,
): Promise<Result<Authorised, Fault>> {
  const key = bearer.exec(authorization.trim())?.[1]
  if (key === undefined) return unauthenticated('Authorization is not of the form `Bearer <key>`.')
  const hash = hashOf(key, platform.now(), known)
  const { adminKey } = platform.settings
  if (adminKey !== undefined && sameHash(hash, hashOf(adminKey, platform.now(), known)))
    return ok({ principal: { kind: 'admin' } })
  const record = await findKey(platform, hash, known)
  const principal = record === undefined ? undefined : principalOf(record)
  if (record === undefined || principal === undefined)
    return unauthenticated('This key is not known; it may have been revoked.')
  if (record.expiresAt !== undefined && record.expiresAt <= platform.now())
    return unauthenticated(`This key expired at ${new Date(record.expiresAt).toISOString()}.`)
  return ok({ principal, meter: { key: record.id, rate: record.rate ?? defaultPublishRate, spent: known.spent } })
}

function hashOf(key: string, now: number, { hashes }: Acquaintances): string {
  const hash = hashes.get(key, now) ?? keyHash(key)
  hashes.set(key, hash, now + staleMs)
  return hash
}

async function findKey(platform: Platform, hash: string, known: Acquaintances): Promise<FoundKey | undefined> {
  const now = platform.now()
  const recent = known.keys.get(hash, now)
  if (recent !== undefined || known.strangers.get(hash, now) === true) return recent
  const found = await platform.directory().findKey(hash)
  if (found !== undefined) noteSchemas(platform, found.schemasVersion ?? 0)
  if (found !== undefined) noteSwitch(platform, found.stopped, now)
  if (found === undefined) known.strangers.set(hash, true, now + unknownMs)
  else known.keys.set(hash, found, now + staleMs)
  return found
}

// --- by signature -----------------------------------------------------------------------------------------------------

/** A signature covers the body and not the path, so it serves for one kind of call only: publishing. */
const signedPaths: ReadonlyMap<string, number> = new Map([
  ['/v1/messages', wireBytes],
  ['/v1/messages/batch', limits.batchBytes],
])

// Headers beside the signature are not signed: whoever could change one must gain nothing by it.
const unsignedHeaders = ['ce-specversion', 'ce-type', 'ce-id', 'ce-source', 'ce-to'] as const

async function bySignature(platform: Platform, call: Call, known: Acquaintances): Promise<Result<Authorised, Fault>> {
  const limitBytes = call.method === 'POST' ? signedPaths.get(call.path) : undefined
  if (limitBytes === undefined) return unauthenticated('A signed webhook may publish messages, and nothing else.')
  const name = call.header('switchboard-agent')
  if (name === undefined) return unauthenticated('A signed webhook names its agent in `switchboard-agent`.')
  const headers = {
    id: call.header('webhook-id') ?? '',
    timestamp: call.header('webhook-timestamp') ?? '',
    signature: call.header('webhook-signature') ?? '',
  }
  if (unsignedHeaders.some((header) => call.header(header) !== undefined))
    return invalidSignature('`ce-` headers are not covered by the signature: send the event as structured JSON.')
  if ((call.header('idempotency-key') ?? headers.id) !== headers.id)
    return invalidSignature(
      'Idempotency-Key is not covered by the signature: leave it out, webhook-id serves as the key.',
    )

  const agent = await findAgent(platform, name, known)
  // An unknown agent fails as a wrong signature does, so that nobody learns by trying who is registered.
  const secrets = agent === undefined ? [] : liveSecrets(agent, platform.now())
  const body = await call.body(limitBytes)
  // A byte order mark is part of what was signed, so it must not be dropped; what is not UTF-8 fits no signature.
  const text = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(body)
  const verified = verify(secrets, headers, text, platform.now())
  if (!verified.ok) return verified
  if (agent === undefined) return invalidSignature('No signature in webhook-signature fits.')
  // What Switchboard sent to the agent is signed with the same secret; sent back, it must not pass for the agent's own.
  if (parseDeliveryId(headers.id)?.agent === agent.name)
    return invalidSignature('This webhook-id is a delivery that Switchboard made. Choose your own.')
  return ok({
    principal: { kind: 'agent', name: agent.name, permissions: agent.permissions, since: agent.createdAt },
    meter: { key: `agent/${agent.name}`, rate: defaultPublishRate, spent: known.spent },
    signed: { id: headers.id, body },
  })
}

async function findAgent(platform: Platform, name: string, known: Acquaintances): Promise<AgentRecord | undefined> {
  if (!agentName.safeParse(name).success) return undefined
  const now = platform.now()
  const recent = known.agents.get(name, now)
  if (recent !== undefined || known.strangers.get(`agent/${name}`, now) === true) return recent
  const described = await platform.agent(name).describe()
  if (described === undefined) known.strangers.set(`agent/${name}`, true, now + unknownMs)
  else known.agents.set(name, described.agent, now + staleMs)
  return described?.agent
}

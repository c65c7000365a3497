/**
 * Conform: does a message fit the schemas that are registered for its type and topic? Asked before anything is stored, of what
 * this isolate remembers. Never here: what a schema says (shared/json-schema.ts).
 */
import { endedStatus } from '../shared/delivery.ts'
import type { Fault } from '../shared/fault.ts'
import { deliveryId, mid } from '../shared/ids.ts'
import { utf8Length } from '../shared/json.ts'
import type { Platform } from '../shared/ports.ts'
import { publicationId } from '../shared/publication.ts'
import { err, ok, type Result } from '../shared/result.ts'
import { Rules, type SchemaWarning, type Violation } from '../shared/schema.ts'
import type { Routed } from './route.ts'

/** A schema that was put or deleted may be unknown to an isolate for so long; the one that did it knows at once. */
export const schemasStaleMs = 5_000

/** A message that may be accepted, and what its publisher should be told all the same. */
export type Conforming = Routed & { readonly warnings?: readonly SchemaWarning[] }

/** Judges each by itself; what was refused before stays so. Without a schema that is for it, a message costs no call. */
export async function conform(
  platform: Platform,
  routed: readonly Result<Routed, Fault>[],
): Promise<readonly Result<Conforming, Fault>[]> {
  if (!routed.some((one) => one.ok)) return routed
  const rules = await rulesInForce(platform)
  return Promise.all(routed.map(async (one) => (one.ok ? judge(platform, rules, one.value) : one)))
}

async function judge(platform: Platform, rules: Rules, routed: Routed): Promise<Result<Conforming, Fault>> {
  const { message, body } = routed.incoming
  const violations = rules.violations(message, utf8Length(body))
  if (violations.length === 0) return ok(routed)
  platform.log('conform', {
    message: message.id,
    source: message.source,
    violations: violations.map(({ schema, mismatches }) => `${schema.name} ${mismatches[0]?.pointer ?? ''}`),
  })
  const strict = violations.find(({ schema }) => schema.enforce === 'reject')
  if (strict === undefined) return ok({ ...routed, warnings: violations.map(told) })
  // The repeat of one that was accepted is a duplicate, whatever schema has come since: an effect must not be told as
  // refused that was carried.
  return (await isKnown(platform, routed)) ? ok(routed) : err({ code: 'schema_mismatch', ...told(strict) })
}

const told = ({ schema, mismatches }: Violation): SchemaWarning => ({ schema: schema.name, mismatches })

async function isKnown(platform: Platform, { to, incoming }: Routed): Promise<boolean> {
  const { message, key, brokerMade } = incoming
  if (to.kind !== 'agent')
    return (await platform.publication(publicationId(message.source, key)).report()) !== undefined
  const receipt = await platform.agent(to.agent).receipt(deliveryId(to.agent, mid(message.source, key, 0)))
  if (receipt === undefined) return false
  // A publisher's key is free again when its message died; then this is a new message.
  return brokerMade || receipt.status === 'completed' || !endedStatus.safeParse(receipt.status).success
}

// --- what is in force -------------------------------------------------------------------------------------------------

const none = new Rules({ version: 0, items: [] })

async function rulesInForce(platform: Platform): Promise<Rules> {
  const now = platform.now()
  const { schemas } = platform.isolate
  if (schemas.rules !== undefined && now < schemas.until) return schemas.rules
  const rules = await askedAnew(platform, schemas.rules)
  schemas.rules = rules
  schemas.until = now + schemasStaleMs
  return rules
}

// A directory that does not answer stops nobody who knew the schemas before.
async function askedAnew(platform: Platform, known: Rules | undefined): Promise<Rules> {
  try {
    const { version, items } = await platform.directory().schemasSince(known?.version)
    return items === undefined ? (known ?? none) : new Rules({ version, items })
  } catch (error) {
    if (known === undefined) throw error
    platform.log('conform.stale', { version: known.version, error: String(error) })
    return known
  }
}

/**
 * The directory told their version with a key that it was asked for: what is remembered holds on, or is read anew when it is
 * next needed. So a publisher's key and the schemas cost one call together.
 */
export function noteSchemas(platform: Platform, version: number): void {
  const { schemas } = platform.isolate
  if (version === 0) schemas.rules = none
  if (schemas.rules?.version === version) schemas.until = platform.now() + schemasStaleMs
  else schemas.until = 0
}

/** This isolate changed them itself. */
export function forgetSchemas(platform: Platform): void {
  platform.isolate.schemas.until = 0
}

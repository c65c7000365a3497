/**
 * The secrets that an agent's webhooks are signed with, and how one takes the place of another. Never here: signing
 * (shared/signature.ts), what a secret looks like (shared/keys.ts).
 */
import * as z from 'zod'
import { limits } from './limits.ts'

/** The newest signs first; an older one keeps signing beside it until `retireAt`. */
export const secretSchema = z.strictObject({
  secret: z.string(),
  createdAt: z.number(),
  retireAt: z.number().optional(),
  /** A digest of who asked for it and of the Idempotency-Key of that call. */
  named: z.string().exactOptional(),
})

interface Signer {
  readonly secrets: readonly z.infer<typeof secretSchema>[]
}

/** Adds a secret in front; the others sign beside it for `overlapMs`, then retire. A call that made one of them adds none. */
export function rotateSecret<A extends Signer & { readonly updatedAt: number }>(
  agent: A,
  fresh: string,
  overlapMs: number,
  now: number,
  named?: string,
): A {
  // The platform's own repeat, or the caller's.
  if (agent.secrets[0]?.secret === fresh) return agent
  if (named !== undefined && agent.secrets.some((known) => known.named === named)) return agent
  const older = agent.secrets
    .filter((s) => s.retireAt === undefined || s.retireAt > now)
    .map((s) => ({ ...s, retireAt: Math.min(s.retireAt ?? Number.POSITIVE_INFINITY, now + overlapMs) }))
  return {
    ...agent,
    secrets: [{ secret: fresh, createdAt: now, ...(named === undefined ? {} : { named }) }, ...older].slice(
      0,
      limits.secretsPerAgent,
    ),
    updatedAt: now,
  }
}

/** The secrets that sign now, newest first. */
export function liveSecrets({ secrets }: Signer, now: number): string[] {
  return secrets.filter((s) => s.retireAt === undefined || s.retireAt > now).map((s) => s.secret)
}

/**
 * Mint: a new key, and the record that is kept of it. Never here: storing it, or showing it to anybody but the caller.
 */
import type { KeyRecord } from '../shared/directory.ts'
import { keyBytes, keyHash, keyId, keyText, namedKeyId } from '../shared/keys.ts'
import type { Permissions } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import type { PublishRate } from '../shared/publish-rate.ts'

export interface Minting {
  readonly permissions: Permissions
  readonly incarnation?: string
  readonly expiresInSeconds?: number | undefined
  readonly rate?: PublishRate | undefined
  /** The Idempotency-Key of its call. */
  readonly named?: string | undefined
}

export interface Minted {
  readonly key: string
  readonly record: KeyRecord
}

/** The key itself exists only in this answer. */
export function mint(platform: Platform, owner: `agent/${string}` | `app/${string}`, more: Minting): Minted {
  const subject = owner.startsWith('app/') ? 'app' : owner.slice('agent/'.length)
  const key = keyText(subject, platform.hex(keyBytes))
  const hash = keyHash(key)
  const { permissions, incarnation, expiresInSeconds, rate, named } = more
  const now = platform.now()
  const record: KeyRecord = {
    v: 1,
    id: named === undefined ? keyId(hash) : namedKeyId(owner, named),
    hash,
    owner,
    ...(incarnation === undefined ? {} : { incarnation }),
    permissions,
    ...(rate === undefined ? {} : { rate }),
    createdAt: now,
    ...(expiresInSeconds === undefined ? {} : { expiresAt: now + expiresInSeconds * 1_000 }),
  }
  return { key, record }
}

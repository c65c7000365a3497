/** Keys and secrets: their form, what is kept of them, and how they are compared. */
import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import { type KeyRecord, principalOf, publicKey } from '../../shared/directory.ts'
import { keyHash, keyId, keyText, sameHash, secretText } from '../../shared/keys.ts'
import { resolvePermissions } from '../../shared/permissions.ts'
import { sign } from '../../shared/signature.ts'

const random = 'ff'.repeat(31)

describe('a key', () => {
  it('says whose it is and has 43 URL-safe characters', () => {
    expect(keyText('ann', `${random}3e`)).toMatch(/^sk_ann_[A-Za-z0-9_-]{43}$/)
    expect(keyText('ann', `${random}3e`)).not.toBe(keyText('ann', `${random}3f`))
  })

  it('is kept as SHA-256 in hex, and named by the beginning of that', () => {
    // The digest of "abc" in FIPS 180-2, appendix B.1.
    const hash = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    expect([keyHash('abc'), keyId(hash)]).toEqual([hash, 'key_ba7816bf8f01cfea'])
  })

  it.each([
    ['', '', true],
    ['ab', 'ab', true],
    ['ab', 'ac', false],
    ['ab', 'bb', false],
    ['ab', 'abc', false],
    ['abc', 'ab', false],
    ['', 'a', false],
  ])('hash `%s` and `%s` are the same: %s', (a, b, same) => {
    expect(sameHash(a, b)).toBe(same)
  })
})

it('a secret is one that the official library takes', () => {
  const secret = secretText('0123456789abcdef'.repeat(4))
  const at = Math.floor(Date.now() / 1_000)
  const headers = {
    'webhook-id': 'id',
    'webhook-timestamp': String(at),
    'webhook-signature': sign([secret], 'id', at, '{}'),
  }
  expect(new Webhook(secret).verify('{}', headers)).toEqual({})
})

describe('the record of a key', () => {
  const record = (owner: string): KeyRecord => ({
    v: 1,
    id: 'key_1',
    hash: 'secret-hash',
    owner,
    permissions: resolvePermissions('x'),
    createdAt: 0,
  })

  it('tells who it speaks for', () => {
    const permissions = resolvePermissions('x')
    expect(principalOf(record('agent/ann'))).toEqual({ kind: 'agent', name: 'ann', permissions })
    expect(principalOf(record('app/ci'))).toEqual({ kind: 'app', name: 'ci', permissions })
  })

  it.each(['admin', 'admin/', '/ann', 'robot/ann', ''])('speaks for nobody when its owner is `%s`', (owner) => {
    expect(principalOf(record(owner))).toBeUndefined()
  })

  it('shows neither the hash nor, for an agent, permissions that are its agent`s to have', () => {
    expect(publicKey(record('agent/ann'))).toEqual({
      id: 'key_1',
      owner: 'agent/ann',
      createdAt: '1970-01-01T00:00:00.000Z',
    })
    expect(Object.keys(publicKey(record('app/ci')))).toEqual(['id', 'owner', 'permissions', 'createdAt'])
  })
})

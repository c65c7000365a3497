/**
 * What a directory must do, over whatever SQLite it stands on: workerd's (test/durable-objects/directory.test.ts) and the
 * simulator's (test/simulator/objects.test.ts). Time is an argument. Never here: HTTP.
 */
import { expect, it } from 'vitest'
import type { DirectoryObject } from '../../durable-objects/directory.ts'
import type { KeyRecord, RegisteredAgent } from '../../shared/directory.ts'
import { resolvePermissions } from '../../shared/permissions.ts'

export interface Clock {
  at: number
}

/** Runs `work` on an empty directory whose clock the test sets. */
export type WithDirectory = (work: (directory: DirectoryObject, clock: Clock) => void) => Promise<void>

export function agentEntry(agent: string, more: Partial<RegisteredAgent> = {}): RegisteredAgent {
  return {
    v: 1,
    agent,
    kind: 'pull',
    capabilities: [],
    incarnation: `${agent}-1`,
    verified: true,
    permissions: resolvePermissions(agent),
    updatedAt: 1_000,
    ...more,
  }
}

export function agentKey(agent: string, n: number, more: Partial<KeyRecord> = {}): KeyRecord {
  return {
    v: 1,
    id: `key_${agent}_${n}`,
    hash: `hash-${agent}-${n}`,
    owner: `agent/${agent}`,
    incarnation: `${agent}-1`,
    permissions: resolvePermissions(agent),
    createdAt: 1_000,
    ...more,
  }
}

export function appKey(name: string, n: number, more: Partial<KeyRecord> = {}): KeyRecord {
  const { incarnation: _none, ...key } = agentKey(name, n)
  return { ...key, owner: `app/${name}`, ...more }
}

const max = 20

export function agentLaws(withDirectory: WithDirectory): void {
  const law = (name: string, work: Parameters<WithDirectory>[0]) => it(name, () => withDirectory(work))

  law('an agent put twice is one entry', (directory) => {
    directory.putAgent(agentEntry('ann'))
    directory.putAgent(agentEntry('ann'))
    expect(directory.agents(undefined, undefined, 10)).toEqual({ items: [agentEntry('ann')] })
  })

  law('a newer entry replaces an older one, and a late older one changes nothing', (directory) => {
    directory.putAgent(agentEntry('ann', { updatedAt: 2_000, capabilities: ['new'] }))
    directory.putAgent(agentEntry('ann', { updatedAt: 1_999, capabilities: ['old'] }))
    expect(directory.findAgent('ann')?.capabilities).toEqual(['new'])
  })

  law('a late entry from before the challenge does NOT take the verification back', (directory) => {
    directory.putAgent(agentEntry('ann', { verified: false }))
    directory.putAgent(agentEntry('ann', { verified: true }))
    directory.putAgent(agentEntry('ann', { verified: false }))
    expect(directory.findAgent('ann')?.verified).toBe(true)
    directory.putAgent(agentEntry('ann', { verified: false, updatedAt: 1_001 }))
    expect(directory.findAgent('ann')?.verified).toBe(false)
  })

  law('an unknown agent is not found, and asking for it leaves nothing', (directory) => {
    expect(directory.findAgent('nobody')).toBeUndefined()
    expect(directory.agents(undefined, undefined, 10)).toEqual({ items: [] })
  })

  law('pages meet without gap or overlap, and the last one has no cursor', (directory) => {
    const names = Array.from({ length: 7 }, (_, i) => `agent-${i}`)
    for (const name of names.toReversed()) directory.putAgent(agentEntry(name))
    const seen: string[] = []
    let cursor: string | undefined
    let pages = 0
    do {
      const page: ReturnType<DirectoryObject['agents']> = directory.agents(undefined, cursor, 3)
      seen.push(...page.items.map((one) => one.agent))
      cursor = page.cursor
      pages += 1
    } while (cursor !== undefined)
    expect(seen).toEqual(names)
    expect(pages).toBe(3)
    expect(directory.agents(undefined, undefined, 7).cursor).toBeUndefined()
  })

  law('a capability finds those that have exactly it', (directory) => {
    directory.putAgent(agentEntry('ann', { capabilities: ['summarise', 'translate'] }))
    directory.putAgent(agentEntry('bob', { capabilities: ['translate-fast'] }))
    directory.putAgent(agentEntry('cid', { capabilities: ['translate'] }))
    expect(directory.agents('translate', undefined, 10).items.map((one) => one.agent)).toEqual(['ann', 'cid'])
    expect(directory.agents('translate', 'ann', 10).items.map((one) => one.agent)).toEqual(['cid'])
    expect(directory.agents("'; DROP TABLE agents; --", undefined, 10).items).toEqual([])
  })

  law('removing an agent of another incarnation removes nothing (a late DELETE meets a new agent)', (directory) => {
    directory.putAgent(agentEntry('ann', { incarnation: 'second' }))
    directory.putKey(agentKey('ann', 1, { incarnation: 'second' }), { max })
    directory.removeAgent('ann', 'first')
    expect(directory.findAgent('ann')).toBeDefined()
    expect(directory.findKey('hash-ann-1')).toBeDefined()
    directory.removeAgent('ann', 'second')
    expect(directory.findAgent('ann')).toBeUndefined()
    expect(directory.keys('agent/ann')).toEqual([])
  })
}

export function keyLaws(withDirectory: WithDirectory): void {
  const law = (name: string, work: Parameters<WithDirectory>[0]) => it(name, () => withDirectory(work))

  law('the first key is stored once; a second first one is refused, its own repeat is not', (directory) => {
    directory.putAgent(agentEntry('ann'))
    expect(directory.putKey(agentKey('ann', 1), { first: true, max })).toBe('stored')
    expect(directory.putKey(agentKey('ann', 2), { first: true, max })).toBe('has_keys')
    expect(directory.putKey(agentKey('ann', 1), { first: true, max })).toBe('stored')
    expect(directory.keys('agent/ann')).toHaveLength(1)
  })

  law('an owner has at most as many keys as allowed, and a revoked one makes room', (directory) => {
    directory.putAgent(agentEntry('ann'))
    for (const n of [1, 2, 3]) expect(directory.putKey(agentKey('ann', n), { max: 3 })).toBe('stored')
    expect(directory.putKey(agentKey('ann', 4), { max: 3 })).toBe('too_many')
    expect(directory.removeKey('key_ann_2')).toBe(true)
    expect(directory.putKey(agentKey('ann', 4), { max: 3 })).toBe('stored')
  })

  law('of one id there is one key, until it is revoked', (directory) => {
    expect(directory.putKey(appKey('ci', 1), { max })).toBe('stored')
    const again = { ...appKey('ci', 2), id: appKey('ci', 1).id }
    expect(directory.putKey(again, { max })).toBe('known')
    expect(directory.keys('app/ci').map((key) => key.hash)).toEqual([appKey('ci', 1).hash])
    directory.removeKey(again.id)
    expect(directory.putKey(again, { max })).toBe('stored')
  })

  law('an expired key takes no place', (directory, clock) => {
    clock.at = 10_000
    directory.putKey(appKey('ci', 1, { expiresAt: 11_000 }), { max: 1 })
    expect(directory.putKey(appKey('ci', 2), { max: 1 })).toBe('too_many')
    clock.at = 11_000
    expect(directory.putKey(appKey('ci', 2), { max: 1 })).toBe('stored')
    expect(directory.keys('app/ci').map((key) => key.id)).toEqual(['key_ci_2'])
  })

  law('expired keys of others go a bounded number at a time', (directory, clock) => {
    clock.at = 10_000
    for (let n = 0; n < 30; n++) directory.putKey(appKey(`app-${n}`, n, { expiresAt: 11_000 }), { max })
    clock.at = 12_000
    directory.putKey(appKey('ci', 1), { max })
    expect(directory.keys(undefined)).toHaveLength(11)
    directory.putKey(appKey('ci', 2), { max })
    expect(directory.keys(undefined).map((key) => key.owner)).toEqual(['app/ci', 'app/ci'])
  })

  law('a key is found by its hash with what its agent may do NOW, not when the key was made', (directory) => {
    directory.putAgent(agentEntry('ann'))
    directory.putKey(agentKey('ann', 1), { max })
    const narrow = resolvePermissions('ann', { send: ['bob'] })
    directory.putAgent(agentEntry('ann', { permissions: narrow, updatedAt: 2_000 }))
    expect(directory.findKey('hash-ann-1')?.permissions).toEqual(narrow)
  })

  law('a key of an earlier incarnation opens nothing and takes no place', (directory) => {
    directory.putAgent(agentEntry('ann'))
    directory.putKey(agentKey('ann', 1), { first: true, max })
    directory.putAgent(agentEntry('ann', { incarnation: 'ann-2', updatedAt: 2_000 }))
    expect(directory.findKey('hash-ann-1')).toBeUndefined()
    expect(directory.putKey(agentKey('ann', 2, { incarnation: 'ann-2' }), { first: true, max })).toBe('stored')
    expect(directory.keys('agent/ann').map((key) => key.id)).toEqual(['key_ann_2'])
  })

  law('an app key keeps its own permissions and needs no agent of its name', (directory) => {
    const permissions = resolvePermissions('app/ci', { send: ['bob'] })
    directory.putKey(appKey('ci', 1, { permissions }), { max })
    expect(directory.findKey('hash-ci-1')).toEqual(appKey('ci', 1, { permissions }))
  })

  law('a key is removed only for its owner, when one is named', (directory) => {
    directory.putKey(appKey('ci', 1), { max })
    expect(directory.removeKey('key_ci_1', 'app/other')).toBe(false)
    expect(directory.removeKey('key_ci_1', 'app/ci')).toBe(true)
    expect(directory.removeKey('key_ci_1', 'app/ci')).toBe(false)
    expect(directory.findKey('hash-ci-1')).toBeUndefined()
  })

  law('all keys of one owner go together, and no others', (directory) => {
    for (const n of [1, 2]) directory.putKey(appKey('ci', n), { max })
    directory.putKey(appKey('cd', 1), { max })
    directory.removeKeysOf('app/ci')
    expect(directory.keys(undefined).map((key) => key.owner)).toEqual(['app/cd'])
  })

  law('keys are listed a page at a time, by id', (directory) => {
    for (let n = 0; n < 130; n++) directory.putKey(appKey(`app-${n}`, 1), { max })
    const first = directory.keys(undefined)
    const second = directory.keys(undefined, first.at(-1)?.id)
    expect([first.length, second.length]).toEqual([100, 30])
    expect(directory.keys(undefined, first[6]?.id, 2)).toEqual(first.slice(7, 9))
    expect(new Set([...first, ...second].map((key) => key.id)).size).toBe(130)
  })
}

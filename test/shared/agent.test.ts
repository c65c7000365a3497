/** Agents: registering, rotating secrets, why mail is parked and what outsiders see. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type AgentRecord,
  agentRecord,
  enrol,
  isChallengeAnswered,
  isRegisteredAs,
  parkedBecause,
  publicAgent,
  type Registration,
  registration,
  unparkAt,
  verifyRetryMs,
} from '../../shared/agent.ts'
import { liveSecrets, rotateSecret } from '../../shared/agent-secret.ts'
import { limits } from '../../shared/limits.ts'
import { resolvePermissions } from '../../shared/permissions.ts'
import { resolvePolicy } from '../../shared/policy.ts'

const t0 = Date.parse('2026-11-20T12:00:00.000Z')
const webhook: Registration = { kind: 'webhook', url: 'https://writer.example.com/hook' }
const register = (r: Registration, current?: AgentRecord, more: { trusted?: boolean; now?: number } = {}) =>
  enrol(current, {
    name: 'writer',
    registration: r,
    freshIncarnation: current === undefined ? 'first' : 'never used',
    freshSecret: current === undefined ? 'whsec_first' : 'whsec_later',
    trusted: false,
    now: t0,
    ...more,
  })
const pull = register({ kind: 'pull' })
const proven = register(webhook, undefined, { trusted: true })

describe('what may be registered', () => {
  it.each([
    webhook,
    { kind: 'pull' },
    { kind: 'handler', capabilities: ['summarise'], accepts: ['draft'], policy: {}, permissions: {} },
  ])('%j is taken', (input) => {
    expect(registration.safeParse(input).success).toBe(true)
  })

  it.each([
    [{ kind: 'webhook' }, 'url'],
    [{ kind: 'webhook', url: '' }, 'url'],
    [{ kind: 'webhook', url: `https://a.example/${'x'.repeat(limits.urlLength)}` }, 'url'],
    [{ kind: 'pull', url: 'https://a.example/' }, 'url'],
    [{ kind: 'handler', url: 'https://a.example/' }, 'url'],
    [{ kind: 'email' }, 'kind'],
    [{}, 'kind'],
    [{ kind: 'pull', capabilities: [''] }, 'capabilities.0'],
    [{ kind: 'pull', capabilities: Array(limits.capabilitiesPerAgent + 1).fill('x') }, 'capabilities'],
    [{ kind: 'pull', policy: { depth: 0 } }, 'policy.depth'],
    [{ kind: 'pull', secret: 'mine' }, ''],
  ])('%j is refused, at %s', (input, path) => {
    expect(registration.safeParse(input).error?.issues.map((issue) => issue.path.join('.'))).toContain(path)
  })
})

describe('a new agent', () => {
  it('has its policy and permissions in force, and no optional part left', () => {
    expect(pull).toEqual({
      v: 1,
      name: 'writer',
      kind: 'pull',
      capabilities: [],
      accepts: [],
      policy: resolvePolicy('pull'),
      permissions: resolvePermissions('writer'),
      incarnation: 'first',
      secrets: [],
      verified: true,
      createdAt: t0,
      updatedAt: t0,
      sequence: 0,
    })
  })

  it('that is a webhook has a secret, and waits until its challenge is answered', () => {
    expect(register(webhook)).toMatchObject({
      url: webhook.url,
      secrets: [{ secret: 'whsec_first', createdAt: t0 }],
      verified: false,
      verifyAt: t0 + verifyRetryMs,
    })
  })

  it('that is trusted (development) is verified at once', () => {
    const trusted = register(webhook, undefined, { trusted: true })
    expect(trusted.verified).toBe(true)
    expect(trusted).not.toHaveProperty('verifyAt')
  })
})

describe('registering again', () => {
  const later = t0 + 5_000
  const busy: AgentRecord = {
    ...proven,
    sequence: 41,
    paused: { since: t0, reason: 'by a person' },
    heldUntil: t0 + 60_000,
  }

  it('keeps incarnation, secrets, pause, hold, sequence and proof', () => {
    const again = register(webhook, busy, { now: later })
    expect(again).toMatchObject({
      incarnation: 'first',
      secrets: busy.secrets,
      paused: busy.paused,
      heldUntil: busy.heldUntil,
      sequence: 41,
      verified: true,
      createdAt: t0,
      updatedAt: later,
    })
  })

  it('with another url must prove itself again, and keeps its secret', () => {
    const moved = register({ ...webhook, url: 'https://elsewhere.example.com/' }, busy, { now: later })
    expect(moved).toMatchObject({ verified: false, verifyAt: later + verifyRetryMs, secrets: busy.secrets })
  })

  it('from pull to webhook gets a secret and must prove itself; back again needs no proof', () => {
    const pushed = register(webhook, pull, { now: later })
    expect(pushed).toMatchObject({ verified: false, secrets: [{ secret: 'whsec_later', createdAt: later }] })
    const pulled = register({ kind: 'pull' }, pushed, { now: later })
    expect(pulled.verified).toBe(true)
    expect(pulled).not.toHaveProperty('url')
    expect(pulled).not.toHaveProperty('verifyAt')
  })

  it('replaces what PUT replaces: policy and capabilities', () => {
    const first = register({ kind: 'pull', capabilities: ['a'], policy: { depth: 5 } })
    expect(register({ kind: 'pull' }, first)).toMatchObject({ capabilities: [], policy: resolvePolicy('pull') })
  })

  it('widens no permission that it does not name (S1)', () => {
    const first = register({ kind: 'pull', permissions: { send: [], sources: ['x'] } })
    const changed = register({ kind: 'pull', permissions: { publish: ['a'] } }, first)
    const kept = resolvePermissions('writer', { send: [], publish: ['a'], sources: ['x'] })
    expect(changed.permissions).toEqual(kept)
    expect(register({ kind: 'pull' }, changed).permissions).toEqual(kept)
    expect(register({ kind: 'pull', permissions: { send: ['*'] } }, changed).permissions.send).toEqual(['*'])
  })

  it('as it is changes nothing, and anything else does', () => {
    expect(isRegisteredAs(busy, webhook)).toBe(true)
    expect(isRegisteredAs(busy, { ...webhook, policy: {} })).toBe(true)
    expect(isRegisteredAs(pull, { kind: 'pull' })).toBe(true)
    expect(isRegisteredAs(busy, { ...webhook, capabilities: ['new'] })).toBe(false)
    expect(isRegisteredAs(busy, { ...webhook, policy: { depth: 5 } })).toBe(false)
    expect(isRegisteredAs(busy, { ...webhook, url: 'https://elsewhere.example.com/' })).toBe(false)
    expect(isRegisteredAs(busy, { kind: 'pull' })).toBe(false)
  })

  it('any number of times gives a record that may be stored', () => {
    const anyRegistration: fc.Arbitrary<Registration> = fc.oneof(
      fc.constantFrom<Registration>({ kind: 'pull' }, { kind: 'handler', accepts: ['x'] }, webhook),
      fc
        .nat(3)
        .map((n): Registration => ({ kind: 'webhook', url: `https://${n}.example.com/`, policy: { depth: n + 1 } })),
    )
    fc.assert(
      fc.property(fc.array(anyRegistration, { minLength: 1, maxLength: 5 }), fc.boolean(), (list, trusted) => {
        let record: AgentRecord | undefined
        list.forEach((r, i) => {
          record = register(r, record, { trusted, now: t0 + i })
          expect(agentRecord.parse(record)).toEqual(record)
          expect(record.verified).toBe(r.kind !== 'webhook' || trusted)
          expect(record.secrets.length).toBeLessThanOrEqual(1)
          if (r.kind === 'webhook') expect(record.secrets).toHaveLength(1)
        })
      }),
      { numRuns: 30 },
    )
  })
})

describe('the challenge', () => {
  it.each([
    [200, '{"challenge":"abc"}', true],
    [299, '{"challenge":"abc","more":1}', true],
    [200, '{"challenge":"abd"}', false],
    [200, '{"data":{"challenge":"abc"}}', false],
    [200, '"abc"', false],
    [200, 'abc', false],
    [200, 'null', false],
    [200, '', false],
    [200, '["challenge"]', false],
    [199, '{"challenge":"abc"}', false],
    [302, '{"challenge":"abc"}', false],
    [500, '{"challenge":"abc"}', false],
  ])('answered %d with %j: %s', (status, body, answered) => {
    expect(isChallengeAnswered(status, body, 'abc')).toBe(answered)
  })
})

describe('rotating a secret', () => {
  const rotated = rotateSecret(proven, 'whsec_2', 60_000, t0 + 1_000)

  it('signs with both, newest first, until the overlap is over', () => {
    expect(liveSecrets(rotated, t0 + 1_000)).toEqual(['whsec_2', 'whsec_first'])
    expect(liveSecrets(rotated, t0 + 60_999)).toEqual(['whsec_2', 'whsec_first'])
    expect(liveSecrets(rotated, t0 + 61_000)).toEqual(['whsec_2'])
  })

  it('asked for again under its name changes nothing, also when a newer one is there', () => {
    const named = rotateSecret(proven, 'whsec_2', 60_000, t0, 'k')
    expect(rotateSecret(named, 'whsec_3', 60_000, t0, 'k')).toBe(named)
    const newer = rotateSecret(named, 'whsec_3', 60_000, t0, 'other')
    expect(liveSecrets(newer, t0)[0]).toBe('whsec_3')
    expect(rotateSecret(newer, 'whsec_4', 60_000, t0, 'k')).toBe(newer)
    expect(liveSecrets(rotateSecret(newer, 'whsec_4', 60_000, t0), t0)[0]).toBe('whsec_4')
  })

  it('without overlap retires the old one at once', () => {
    expect(liveSecrets(rotateSecret(proven, 'whsec_2', 0, t0), t0)).toEqual(['whsec_2'])
  })

  it('again does NOT give an older secret more time than it had', () => {
    const twice = rotateSecret(rotated, 'whsec_3', 3_600_000, t0 + 2_000)
    expect(liveSecrets(twice, t0 + 60_999)).toEqual(['whsec_3', 'whsec_2', 'whsec_first'])
    expect(liveSecrets(twice, t0 + 61_000)).toEqual(['whsec_3', 'whsec_2'])
  })

  it('forgets retired secrets, and keeps so many at most', () => {
    let agent = proven
    for (let i = 0; i < 10; i++) {
      agent = rotateSecret(agent, `whsec_${i}`, 3_600_000, t0 + i)
      expect(agent.secrets.length).toBeLessThanOrEqual(limits.secretsPerAgent)
      expect(liveSecrets(agent, t0 + i)[0]).toBe(`whsec_${i}`)
    }
    expect(rotateSecret(rotated, 'whsec_3', 0, t0 + 61_000).secrets.map((s) => s.secret)).toEqual([
      'whsec_3',
      'whsec_2',
    ])
  })
})

describe('parked mail', () => {
  const later = t0 + 1_000
  const held = { heldUntil: t0 + 5_000 }

  it.each<[string, AgentRecord, RegExp | undefined, number | undefined]>([
    ['nothing', proven, undefined, undefined],
    [
      'a pause without end',
      { ...proven, paused: { since: t0, reason: 'by a person' } },
      /^paused: by a person/,
      undefined,
    ],
    [
      'a pause with an end',
      { ...proven, paused: { since: t0, reason: 'x', until: t0 + 9_000 } },
      /^paused/,
      t0 + 9_000,
    ],
    ['a pause that is over', { ...proven, paused: { since: t0, reason: 'x', until: later } }, undefined, undefined],
    ['an unanswered challenge', { ...proven, verified: false }, /^unverified/, undefined],
    ['a hold', { ...proven, ...held }, /^held.*12:00:05/, t0 + 5_000],
    ['a hold that is over', { ...proven, heldUntil: later }, undefined, undefined],
    ['a pause before a hold', { ...proven, ...held, paused: { since: t0, reason: 'x' } }, /^paused/, undefined],
    ['a challenge before a hold', { ...proven, ...held, verified: false }, /^unverified/, undefined],
    [
      'a pause that is over, then a hold',
      { ...proven, ...held, paused: { since: t0, reason: 'x', until: later } },
      /^held/,
      t0 + 5_000,
    ],
  ])('because of %s', (_why, agent, reason, until) => {
    if (reason === undefined) expect(parkedBecause(agent, later)).toBeUndefined()
    else expect(parkedBecause(agent, later)).toMatch(reason)
    expect(unparkAt(agent, later)).toBe(until)
  })

  it('is looked at again no later than what parks it ends, and then is not parked for that reason any more', () => {
    const at = fc.option(fc.integer({ min: t0 - 10, max: t0 + 10 }), { nil: undefined })
    fc.assert(
      fc.property(at, at, fc.integer({ min: t0 - 10, max: t0 + 10 }), (until, heldUntil, now) => {
        const agent: AgentRecord = {
          ...proven,
          ...(until === undefined ? {} : { paused: { since: t0 - 20, reason: 'x', until } }),
          ...(heldUntil === undefined ? {} : { heldUntil }),
        }
        const because = parkedBecause(agent, now)
        const due = unparkAt(agent, now)
        expect(due === undefined).toBe(because === undefined)
        if (due !== undefined) {
          expect(due).toBeGreaterThan(now)
          expect(parkedBecause(agent, due)).not.toBe(because)
        }
      }),
    )
  })
})

describe('what outsiders see', () => {
  it('has no secret in it, and nothing of the broker’s own bookkeeping', () => {
    const shown = publicAgent(rotateSecret(proven, 'whsec_2', 60_000, t0), t0, true)
    expect(JSON.stringify(shown)).not.toContain('whsec_')
    for (const own of ['v', 'secrets', 'incarnation', 'sequence', 'verifyAt']) expect(shown).not.toHaveProperty(own)
    expect(shown).toMatchObject({ agent: 'writer', kind: 'webhook', verified: true, policy: resolvePolicy('webhook') })
  })

  it('has its url only for whoever may operate it: what is in it may be a password (S2)', () => {
    expect(publicAgent(proven, t0, true)).toHaveProperty('url', proven.url)
    expect(publicAgent(proven, t0, false)).not.toHaveProperty('url')
  })

  it('tells a pause and a hold while they last, and not after', () => {
    const agent = { ...proven, paused: { since: t0, reason: 'x', until: t0 + 9_000 }, heldUntil: t0 + 5_000 }
    expect(publicAgent(agent, t0, false)).toMatchObject({
      paused: { since: '2026-11-20T12:00:00.000Z', reason: 'x', until: '2026-11-20T12:00:09.000Z' },
      heldUntil: '2026-11-20T12:00:05.000Z',
    })
    expect(publicAgent(agent, t0 + 9_000, false)).not.toHaveProperty('paused')
    expect(publicAgent(agent, t0 + 9_000, false)).not.toHaveProperty('heldUntil')
  })
})

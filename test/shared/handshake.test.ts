/** Handshakes: which version is agreed on, what is countered, what an agent's own reply is worth, and how long it all holds. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cardOf, etagOf, protocolVersion } from '../../shared/card.ts'
import {
  agentOfHandshake,
  compareVersions,
  type Handshake,
  handshakeId,
  handshakeInput,
  handshakeTable,
  highestCommon,
  negotiate,
  publicHandshake,
  readHandshake,
  type Standing,
  standingOf,
  verdictOfReply,
} from '../../shared/handshake.ts'
import { agentName, parseDeliveryId } from '../../shared/ids.ts'

const agentNames = fc.stringMatching(/^[a-z0-9-]{1,64}$/).filter((name) => agentName.safeParse(name).success)
const version = fc
  .array(fc.oneof({ weight: 4, arbitrary: fc.nat(3) }, fc.nat(999_999_999)), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join('.'))
const versions = fc.array(version, { minLength: 1, maxLength: 6 })
const capability = fc.constantFrom('read', 'write', 'search', 'translate', 'sum')
const capabilities = fc.array(capability, { maxLength: 6 })

describe('versions', () => {
  it.each([
    ['1.10', '1.9', 1],
    ['2', '1.99.99', 1],
    ['1.0', '1', 0],
    ['1.0.1', '1.0', 1],
    ['0.9', '1', -1],
  ])('%s against %s is %i: by number and part for part (A46)', (a, b, sign) => {
    expect(compareVersions(a, b)).toBe(sign)
    expect(compareVersions(b, a)).toBe(sign === 0 ? 0 : -sign)
  })

  it('the highest common one is the same whoever asks, is spoken by both, and no common one is higher', () => {
    fc.assert(
      fc.property(versions, versions, (a, b) => {
        for (const one of [...a, ...b]) expect(protocolVersion.safeParse(one).success).toBe(true)
        const highest = highestCommon(a, b)
        expect(highestCommon(b, a)).toBe(highest)
        const common = a.filter((x) => b.some((y) => compareVersions(x, y) === 0))
        if (highest === undefined) expect(common).toEqual([])
        else {
          for (const side of [a, b]) expect(side.some((x) => compareVersions(x, highest) === 0)).toBe(true)
          for (const one of common) expect(compareVersions(one, highest)).toBeLessThanOrEqual(0)
        }
      }),
    )
  })
})

describe('an answer from the card (A45)', () => {
  const card = cardOf({
    protocolVersions: ['1.0', '1.10', '2.0'],
    capabilities: ['read', 'write'],
    skills: [{ id: 'sum', name: 'Sum' }],
  })

  it('accepts what is all there, under the highest version that both speak', () => {
    expect(negotiate({ protocolVersions: ['1.9', '1.10', '1.0'], capabilities: ['sum', 'read'] }, card)).toEqual({
      status: 'accepted',
      version: '1.10',
      agreed: ['sum', 'read'],
    })
  })

  it('accepts an offer that asks for no capabilities', () => {
    const verdict = negotiate({ protocolVersions: ['2.0'], capabilities: [] }, card)
    expect(verdict).toEqual({ status: 'accepted', version: '2.0', agreed: [] })
  })

  it('counters with what is there when only some of it is', () => {
    expect(negotiate({ protocolVersions: ['1.0'], capabilities: ['read', 'fly'] }, card)).toEqual({
      status: 'counter',
      version: '1.0',
      agreed: ['read'],
      missing: ['fly'],
    })
  })

  it('rejects a version that it does not speak, and says which it does (A46)', () => {
    expect(negotiate({ protocolVersions: ['3.0'], capabilities: ['read'] }, card)).toEqual({
      status: 'rejected',
      agreed: [],
      reason: 'version_mismatch',
      supported: { protocolVersions: ['1.0', '1.10', '2.0'], capabilities: ['read', 'write', 'sum'] },
    })
  })

  it('rejects what is all missing: there is nothing to counter with', () => {
    expect(negotiate({ protocolVersions: ['1.0'], capabilities: ['fly', 'swim'] }, card)).toMatchObject({
      status: 'rejected',
      reason: 'capability_mismatch',
      missing: ['fly', 'swim'],
    })
  })

  it('agreed and missing are together what was asked, once each, and agreed is what the agent has', () => {
    fc.assert(
      fc.property(versions, capabilities, versions, capabilities, (asks, wanted, speaks, has) => {
        const verdict = negotiate(
          { protocolVersions: asks, capabilities: wanted },
          cardOf({ protocolVersions: speaks, capabilities: has }),
        )
        const missing = 'missing' in verdict ? (verdict.missing ?? []) : []
        if (verdict.status === 'rejected' && verdict.reason === 'version_mismatch') return
        expect([...verdict.agreed, ...missing].sort()).toEqual([...new Set(wanted)].sort())
        for (const one of verdict.agreed) expect(has).toContain(one)
        for (const one of missing) expect(has).not.toContain(one)
      }),
    )
  })
})

describe('an agent`s own reply', () => {
  const card = cardOf({ capabilities: ['read'] })
  const offer = { protocolVersions: ['1.0', '2.0'], capabilities: ['read', 'write'] }
  const verdict = (data: unknown) => verdictOfReply(data, offer, card)

  it('counts as it is: it may agree to more than its card says', () => {
    expect(verdict({ status: 'accepted', version: '2.0', agreed: ['read', 'write'] })).toEqual({
      ok: true,
      value: { status: 'accepted', version: '2.0', agreed: ['read', 'write'] },
    })
  })

  it('that accepts without naming capabilities accepts what was asked', () => {
    expect(verdict({ status: 'accepted', version: '1.0' })).toMatchObject({ value: { agreed: ['read', 'write'] } })
  })

  it('that agrees to a part is a counter, whatever it calls itself, with what is missing', () => {
    for (const status of ['accepted', 'counter'])
      expect(verdict({ status, version: '1.0', agreed: ['write'] })).toMatchObject({
        value: { status: 'counter', agreed: ['write'], missing: ['read'] },
      })
  })

  it('that rejects may say why', () => {
    expect(verdict({ status: 'rejected', reason: 'not on Sundays' })).toMatchObject({
      value: { status: 'rejected', reason: 'not on Sundays', supported: { capabilities: ['read'] } },
    })
    expect(verdict({ status: 'rejected' })).toMatchObject({ value: { reason: 'refused' } })
  })

  it.each([
    ['no answer', undefined],
    ['no answer', 'yes'],
    ['no answer', { status: 'maybe', version: '1.0' }],
    ['no version', { status: 'accepted' }],
    ['no version', { status: 'accepted', version: '3.0' }],
    ['not asked for', { status: 'accepted', version: '1.0', agreed: ['read', 'write', 'root'] }],
  ])('is refused as "%s": %j', (words, data) => {
    const answer = verdict(data)
    expect(answer.ok ? '' : answer.error).toContain(words)
  })
})

describe('the id of a handshake', () => {
  const offer = { protocolVersions: ['1.0'], capabilities: [] }

  it('says where it lies, and is no delivery`s', () => {
    fc.assert(
      fc.property(agentNames, fc.string(), (agent, key) => {
        const id = handshakeId(agent, 'ann', key, offer)
        expect(agentOfHandshake(id)).toBe(agent)
        expect(parseDeliveryId(id)).toBeUndefined()
      }),
    )
  })

  it('differs with the asker, the key and the offer, and repeats with them (T6)', () => {
    const ids = [
      handshakeId('bob', 'ann', 'k', offer),
      handshakeId('bob', 'cid', 'k', offer),
      handshakeId('bob', 'ann', 'l', offer),
      handshakeId('bob', 'ann', 'k', { ...offer, capabilities: ['read'] }),
      handshakeId('bob', 'ann', 'k', { ...offer, protocolVersions: ['1.1'] }),
      handshakeId('eve', 'ann', 'k', offer),
    ]
    expect(new Set(ids).size).toBe(ids.length)
    expect(handshakeId('bob', 'ann', 'k', { ...offer })).toBe(ids[0])
  })

  it.each(['', 'bob', 'bob_hs_', `Bob_hs_${'a'.repeat(26)}`, `bob_${'a'.repeat(26)}`, `bob_hs_${'1'.repeat(26)}`])(
    'is none: %s',
    (id) => {
      expect(agentOfHandshake(id)).toBeUndefined()
    },
  )
})

describe('the body of a handshake', () => {
  it('brings the versions and the capabilities with it, and is in force for a day unless it says otherwise (T6)', () => {
    expect(handshakeInput.parse({ protocolVersions: ['1.0'], capabilities: ['read'] })).toEqual({
      protocolVersions: ['1.0'],
      capabilities: ['read'],
      expiresInSeconds: 86_400,
    })
  })

  it.each([{}, { protocolVersions: [] }, { protocolVersions: '1.0' }, { protocolVersions: ['1.0'], content: 'x' }])(
    'is refused: %j',
    (body) => {
      expect(handshakeInput.safeParse(body).success).toBe(false)
    },
  )
})

describe('how a handshake stands (A48)', () => {
  const cards = [cardOf({ capabilities: ['read'] }), cardOf({ capabilities: ['read', 'write'] })] as const
  const handshake: Handshake = {
    v: 1,
    id: handshakeId('bob', 'ann', 'k', { protocolVersions: ['1.0'], capabilities: [] }),
    agent: 'bob',
    incarnation: 'i',
    source: 'ann',
    offer: { protocolVersions: ['1.0'], capabilities: [] },
    verdict: { status: 'accepted', version: '1.0', agreed: [] },
    answeredBy: 'registration',
    etag: etagOf(cards[0]),
    at: 1_000,
    expiresAt: 2_000,
  }

  it('goes only where its table says, and takes every way of it', () => {
    const taken = new Set<string>()
    const event = fc.oneof(
      fc.record({ kind: fc.constant('time' as const), ms: fc.nat(900) }),
      fc.record({ kind: fc.constantFrom('card_changed' as const, 'card_restored' as const), ms: fc.constant(0) }),
    )
    fc.assert(
      fc.property(fc.array(event, { maxLength: 12 }), (events) => {
        let now = handshake.at
        let card: (typeof cards)[number] = cards[0]
        let standing: Standing = standingOf(handshake, etagOf(card), now)
        expect(standing).toBe('in_force')
        for (const { kind, ms } of events) {
          now += ms
          if (kind !== 'time') card = kind === 'card_changed' ? cards[1] : cards[0]
          const next = standingOf(handshake, etagOf(card), now)
          expect(handshakeTable[standing][kind]).toContain(next)
          taken.add(`${standing} ${kind} ${next}`)
          standing = next
        }
      }),
      { numRuns: 500 },
    )
    const ways = Object.entries(handshakeTable).flatMap(([from, row]) =>
      Object.entries<readonly string[]>(row).flatMap(([kind, tos]) => tos.map((to) => `${from} ${kind} ${to}`)),
    )
    expect([...taken].sort()).toEqual(ways.sort())
  })

  it('expires on the millisecond', () => {
    expect(standingOf(handshake, handshake.etag, 1_999)).toBe('in_force')
    expect(standingOf(handshake, handshake.etag, 2_000)).toBe('expired')
  })

  it('is shown with what was asked, who answered and until when', () => {
    const read = readHandshake(JSON.stringify(handshake))
    expect(publicHandshake(read, 'in_force')).toEqual({
      sessionId: handshake.id,
      agent: 'bob',
      source: 'ann',
      status: 'accepted',
      version: '1.0',
      agreed: [],
      answeredBy: 'registration',
      asked: { protocolVersions: ['1.0'], capabilities: [] },
      etag: handshake.etag,
      standing: 'in_force',
      at: '1970-01-01T00:00:01.000Z',
      expiresAt: '1970-01-01T00:00:02.000Z',
    })
  })
})

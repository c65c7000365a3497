/** Names and identities: what a name may be, and that an id always leads back to its mailbox. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  agentName,
  base32,
  deadLetterId,
  deliveryId,
  digest,
  effectDeadLetterId,
  effectId,
  mid,
  parseDeadLetterId,
  parseDeliveryId,
} from '../../shared/ids.ts'
import { anyText } from './arbitraries.ts'

const anyName = fc.stringMatching(/^[a-z0-9-]{1,64}$/).filter((name) => name !== 'admin')
const anyMid = anyText().map((key) => mid('source', key, 0))

describe('agent names', () => {
  it.each(['a', '7', '-', 'writer-2', 'x'.repeat(64), 'administrator'])('%s is a name', (name) => {
    expect(agentName.safeParse(name).success).toBe(true)
  })

  it.each(['', 'x'.repeat(65), 'Writer', 'a_b', 'a.b', 'a b', 'a/b', '*', 'capability:x', 'é', 'writer\n', '\nwriter'])(
    '%j is none',
    (name) => {
      expect(agentName.safeParse(name).success).toBe(false)
    },
  )

  it('admin is none (because its source would be the admin’s own: S1, S2)', () => {
    expect(agentName.safeParse('admin').error?.issues[0]?.message).toMatch(/reserved/)
  })
})

describe('base32', () => {
  // RFC 4648, section 10, in lower case and without padding.
  it.each([
    ['', ''],
    ['f', 'my'],
    ['fo', 'mzxq'],
    ['foo', 'mzxw6'],
    ['foob', 'mzxw6yq'],
    ['fooba', 'mzxw6ytb'],
    ['foobar', 'mzxw6ytboi'],
  ])('of %j is %s', (text, encoded) => {
    expect(base32(new TextEncoder().encode(text))).toBe(encoded)
  })

  it('tells any two byte strings of one length apart', () => {
    const pair = fc
      .nat(40)
      .chain((length) => fc.tuple(...[0, 1].map(() => fc.uint8Array({ minLength: length, maxLength: length }))))
    fc.assert(
      fc.property(pair, ([a, b]) => {
        expect(base32(a!) === base32(b!)).toBe(Buffer.compare(a!, b!) === 0)
      }),
    )
  })
})

describe('digest', () => {
  it('is 26 characters of a-z and 2-7, and the same for the same parts', () => {
    fc.assert(
      fc.property(fc.array(anyText()), (parts) => {
        expect(digest(...parts)).toMatch(/^[a-z2-7]{26}$/)
        expect(digest(...parts)).toBe(digest(...parts))
      }),
    )
  })

  it('keeps its value for ever (because it names rows in storage)', () => {
    expect(digest('writer', 'order-17', '0')).toBe('gcwxx2zx64jk7o3mejsxepkoz2')
  })

  it.each([
    [
      ['ab', 'c'],
      ['a', 'bc'],
    ],
    [['a', ''], ['a']],
    [
      ['', 'a'],
      ['a', ''],
    ],
    [['1:a'], ['a']],
    [['a2:bc'], ['a', 'bc']],
    [[], ['']],
  ])('tells the parts %j from %j (because each is prefixed with its length)', (a, b) => {
    expect(digest(...a)).not.toBe(digest(...b))
  })
})

describe('mid', () => {
  it('is another for another source, key or generation', () => {
    const all = [mid('a', 'k', 0), mid('b', 'k', 0), mid('a', 'l', 0), mid('a', 'k', 1)]
    expect(new Set(all).size).toBe(4)
  })
})

describe('delivery ids', () => {
  it('lead back to the agent and the message', () => {
    fc.assert(
      fc.property(anyName, anyMid, (agent, messageMid) => {
        expect(parseDeliveryId(deliveryId(agent, messageMid))).toEqual({ agent, mid: messageMid })
      }),
    )
  })

  it('hold no dot (because they are webhook-ids, which may have none)', () => {
    fc.assert(
      fc.property(anyName, anyMid, (agent, m) => {
        expect(deliveryId(agent, m)).not.toContain('.')
      }),
    )
  })

  const m = mid('a', 'k', 0)
  it.each([
    '',
    '_',
    m,
    `_${m}`,
    `writer${m}`,
    `Writer_${m}`,
    `a_b_${m}`,
    `writer_${m}x`,
    `writer_${m.slice(1)}`,
    `writer_${m.toUpperCase()}`,
    `writer_${m}\n`,
    `writer_${m.slice(1)}1`,
    `admin_${m}`,
  ])('%j is none', (id) => {
    expect(parseDeliveryId(id)).toBeUndefined()
  })

  it('garbage is none, and never throws', () => {
    fc.assert(
      fc.property(anyText(), (text) => {
        expect(parseDeliveryId(text)).toBeUndefined()
      }),
    )
  })
})

describe('ids derived from a delivery', () => {
  const delivery = deliveryId('writer', mid('a', 'k', 0))

  it('are all different', () => {
    const ids = [
      delivery,
      ...[1, 2, 11].flatMap((n) => [effectId(delivery, n), deadLetterId(delivery, n), effectDeadLetterId(delivery, n)]),
    ]
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('the first life’s dead letter has the delivery’s own id', () => {
    expect(deadLetterId(delivery, 0)).toBe(delivery)
  })

  it('a dead letter’s id leads back to its delivery and life, or effect', () => {
    const from = { agent: 'writer', delivery }
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), (n) => {
        expect(parseDeadLetterId(deadLetterId(delivery, n))).toEqual({ ...from, redrives: n })
        expect(parseDeadLetterId(effectDeadLetterId(delivery, n))).toEqual({ ...from, redrives: 0, effect: n })
      }),
    )
    expect(parseDeadLetterId(deadLetterId(delivery, 0))).toEqual({ ...from, redrives: 0 })
  })

  it.each([
    `${delivery}-1`,
    `${delivery}-r0`,
    `${delivery}-r01`,
    `${delivery}-x1`,
    `${delivery}-r`,
    `x${delivery}y`,
    '',
  ])('%s is no dead letter’s id', (id) => {
    expect(parseDeadLetterId(id)).toBeUndefined()
  })
})

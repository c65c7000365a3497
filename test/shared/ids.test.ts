/** Names and identities: what a name may be, and that an id always leads back to its mailbox. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  agentName,
  base32,
  datedKey,
  deadLetterId,
  deliveryId,
  digest,
  effectDeadLetterId,
  effectId,
  mid,
  parseDeadLetterId,
  parseDeliveryId,
  rowKey,
  unplacedMid,
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

  const at = Date.UTC(2026, 10, 22, 6)
  const uuid = (ms: number, n: number) => {
    const time = ms.toString(16).padStart(12, '0')
    return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${n.toString(16).padStart(12, '0')}`
  }
  const wayAround = 2 ** 25 * 4

  it('comes first with when its key was made, so that what came together lies together', () => {
    const keysOf: ((ms: number, n: number) => string)[] = [
      uuid,
      // An item of a batch, and what the broker dates by itself.
      (ms, n) => `${uuid(ms, n)}/7`,
      (ms, n) => datedKey(effectId(`writer_${digest(String(n))}`, 1), ms),
    ]
    const anyMs = fc.integer({ min: 1_000_000_000_000, max: 2 ** 42 })
    const anyNumber = fc.nat()
    fc.assert(
      fc.property(fc.constantFrom(...keysOf), anyMs, anyNumber, anyNumber, (keyOf, ms, one, other) => {
        const row = (key: string) => rowKey(deliveryId('ada', mid('eve', key, 0)))
        const [first, second] = [row(keyOf(ms, one)), row(keyOf(ms + 4, other))]
        // Round the clock the order begins anew.
        if (Math.floor((ms + 4) / 4) % 2 ** 25 !== 0) expect(second).toBeGreaterThan(first)
      }),
    )
    expect(mid('eve', uuid(at, 1), 0).slice(0, 5)).toBe(mid('eve', uuid(at + wayAround, 1), 0).slice(0, 5))
  })

  it('is told apart by its digest within one instant', () => {
    const keys = Array.from({ length: 2_000 }, (_, n) => `${uuid(at, 1)}/${n}`)
    expect(new Set(keys.map((key) => mid('eve', key, 0).slice(5))).size).toBe(2_000)
    expect(new Set(keys.map((key) => mid('eve', key, 0).slice(0, 5))).size).toBe(1)
    expect(mid('eve', uuid(at, 1), 0)).not.toBe(mid('bob', uuid(at, 1), 0))
  })

  it('keeps its value for ever (because it names rows in storage)', () => {
    expect(mid('eve', 'order-17', 0)).toBe(digest('eve', 'order-17', '0'))
    expect(mid('eve', '019a8f3c-7b20-7000-8000-000000000000', 0)).toBe('wybqcklif3snlrbc4ok3vamuho')
    expect(unplacedMid('eve', '019a8f3c-7b20-7000-8000-000000000000', 0)).toBe('h6qu6klif3snlrbc4ok3vamuho')
  })

  it.each([
    '019a8f3c-7b20-4000-8000-000000000000',
    '019A8F3C-7B20-7000-8000-000000000000',
    'x019a8f3c-7b20-7000-8000-00000000000',
    'order.123456789012',
    '',
  ])('of %j, which says nothing of when, is digest alone', (key) => {
    expect(mid('eve', key, 0)).toBe(digest('eve', key, '0'))
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

/**
 * Batches in the mailbox: when one goes, who is in it, what one call and one answer mean for each. Pure.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { BatchPolicy } from '../../shared/batch-policy.ts'
import type { Outcome } from '../../shared/outcome.ts'
import type { PolicyInput } from '../../shared/policy.ts'
import type { Report } from '../../shared/settlement.ts'
import { settle } from '../../shared/settlement.ts'
import { cancel, tick } from '../../shared/upkeep.ts'
import {
  Box,
  error,
  fail,
  hold,
  type IncomingOptions,
  incoming,
  later,
  ok,
  retry,
  second,
  start,
} from './mailbox-fixtures.ts'

const batch = { size: 3, waitSeconds: 10 } as const
const boxOf = (policy: PolicyInput = {}) => new Box({ policy: { batch, concurrency: 1, ...policy } })
const put = (box: Box, ids: readonly string[], options: IncomingOptions = {}) => ids.map((id) => box.put(id, options))

/** Accepts several in one call. */
function putAll(box: Box, messages: readonly (readonly [string, IncomingOptions])[]): string[] {
  return box.accept(messages.map(([id, more]) => incoming(id, more))).map((a) => ('id' in a ? a.id : ''))
}

/** What one call came to, reported as the consumer does. */
function report(box: Box, outcomes: readonly (readonly [string, Outcome])[], whole?: true) {
  const reports: Report[] = outcomes.map(([id, outcome]) => ({
    id,
    token: box.leaseOf(id)?.token ?? 'none',
    outcome,
    external: false,
    ...(whole === undefined ? {} : { whole }),
  }))
  return box.step((draft, now) => settle(draft, reports, box.stored, now, () => 0.5))
}
const all = (ids: readonly string[], outcome: Outcome) => ids.map((id) => [id, outcome] as const)
const granted = (box: Box, ids?: readonly string[]) => box.take(ids).grants.map((g) => g.delivery.id)

describe('a batch goes', () => {
  it('when it is full, and not before (A77, A125)', () => {
    const box = boxOf()
    const first = put(box, ['1', '2'])
    expect(box.references).toEqual([])
    const last = box.put('3')
    expect(box.references).toEqual([{ deliveries: [...first, last] }])
    expect(granted(box)).toEqual([...first, last])
  })

  it('when its oldest has waited, by the alarm, with however few there are (A77, A78)', () => {
    const box = boxOf()
    const one = box.put('1')
    box.wait(4 * second)
    const two = box.put('2')
    expect(box.due()).toBe(start + 10 * second)
    expect(box.receipt(one)).toMatchObject({ status: 'held', because: expect.stringContaining('batch') })
    box.tick(start + 10 * second)
    expect(box.references).toEqual([{ deliveries: [one, two] }])
  })

  it('when its bytes are reached; a message that is larger goes by itself (A77)', () => {
    const box = boxOf({ batch: { size: 100, waitSeconds: 10, bytes: 600 }, concurrency: 9 })
    const small = putAll(box, [
      ['1', { data: 'x'.repeat(100) }],
      ['2', { data: 'x'.repeat(100) }],
    ])
    expect(box.references).toEqual([])
    const large = box.put('3', { data: 'x'.repeat(2_000) })
    expect(box.references.map((r) => r.deliveries)).toEqual([small, [large]])
  })

  it('never empty: where nothing waits nothing is due, and what was cancelled leaves no call behind (A78)', () => {
    const box = boxOf()
    expect(box.due()).toBeUndefined()
    const ids = put(box, ['1', '2', '3'])
    for (const id of ids) box.step((draft, now) => cancel(draft, id, box.stored, now))
    expect(box.take(ids).grants).toEqual([])
    box.tick(start + 10 * second)
    expect(box.references).toEqual([])
    expect(box.due()).toBeUndefined()
  })

  it('with those of one key only (A77)', () => {
    const box = boxOf({ batch: { ...batch, key: 'correlationid' }, concurrency: 9 })
    const a = putAll(box, [
      ['a1', { correlationid: 'a' }],
      ['a2', { correlationid: 'a' }],
    ])
    const b = putAll(box, [['b1', { correlationid: 'b' }]])
    expect(box.references).toEqual([])
    const last = box.put('a3', { correlationid: 'a' })
    expect(granted(box)).toEqual([...a, last])
    box.tick(start + 10 * second)
    expect(box.references).toEqual([{ deliveries: b }])
  })

  it('as one of those in flight, and one start of the rate (M5)', () => {
    const box = boxOf({ concurrency: 2, rate: { limit: 2, perSeconds: 60 } })
    const ids = put(box, ['1', '2', '3', '4', '5', '6', '7', '8', '9'])
    expect(box.references).toEqual([])
    expect(granted(box)).toHaveLength(6)
    report(box, all(ids.slice(0, 6), ok()))
    expect(box.released()).toEqual([])
    box.tick(start + 60 * second)
    expect(box.released()).toEqual(ids.slice(6))
  })

  it('whole to whoever is told of one of it, with one row for its leases, once (A77)', () => {
    const box = boxOf()
    const ids = put(box, ['1', '2', '3'])
    const { grants } = box.take([ids[1]!], 'call')
    expect(grants.map((g) => g.delivery.id)).toEqual(ids)
    expect(new Set(grants.map((g) => g.lease.slot)).size).toBe(1)
    expect(new Set(grants.map((g) => g.lease.token)).size).toBe(3)
    expect(grants.every((g) => g.lease.saved)).toBe(true)
    expect(box.take(ids, 'another').grants).toEqual([])
    expect(box.take([ids[1]!], 'call').grants.map((g) => g.lease.token)).toEqual(grants.map((g) => g.lease.token))
  })

  it('no more when its release was forgotten: a stray reference takes nothing that still waits', () => {
    const box = boxOf()
    const [one] = put(box, ['1', '2'])
    expect(granted(box, [one!])).toEqual([])
  })

  it('again when nobody took it, as it was', () => {
    const box = boxOf()
    const ids = put(box, ['1', '2', '3'])
    box.put('4')
    box.tick(start + 5 * second)
    expect(box.references).toEqual([{ deliveries: ids }])
  })

  it('says so on each receipt', () => {
    const box = boxOf()
    const ids = put(box, ['1', '2', '3'])
    box.take()
    expect(box.receipt(ids[0]!).steps.at(-1)).toMatchObject({ step: 'dispatched', detail: 'in a batch of 3' })
  })
})

describe('the answer to a batch', () => {
  it('settles each by itself: only what failed is tried again, with its own attempts (A80, T11)', () => {
    const box = boxOf()
    const [one, two, three] = put(box, ['1', '2', '3'])
    box.take()
    report(box, [
      [one!, ok({ n: 1 })],
      [two!, { kind: 'retry', error: error('item', 'not now') }],
      [three!, fail('item')],
    ])
    expect([one, two, three].map((id) => box.receipt(id!).status)).toEqual(['completed', 'held', 'dead_lettered'])
    expect(box.receipt(one!).result).toEqual({ n: 1 })
    expect(box.receipt(two!)).toMatchObject({ attempt: 1 })
    box.tick(start + 10 * second)
    expect(granted(box)).toEqual([two])
  })

  it('is one verdict for the breaker: a whole failure is one failure, and an attempt of each (A80)', () => {
    const box = boxOf({ breaker: { failureThreshold: 2 } })
    const ids = put(box, ['1', '2', '3'])
    box.take()
    report(box, all(ids, retry()), true)
    expect(box.mailbox.gate.breaker.state).toMatchObject({ at: 'closed', failures: 1 })
    expect(ids.map((id) => box.delivery(id).attempt)).toEqual([1, 1, 1])
  })

  it('is a success for the breaker where one of them went well, and a failure where none did', () => {
    const box = boxOf()
    const ids = put(box, ['1', '2', '3'])
    box.take()
    report(box, [...all(ids.slice(0, 2), retry()), [ids[2]!, ok()]])
    expect(box.mailbox.gate.breaker.state).toMatchObject({ failures: 0 })
    const others = put(box, ['4', '5', '6'])
    box.tick(box.now + second)
    box.take()
    report(box, all([...ids.slice(0, 2), ...others], retry()))
    expect(box.mailbox.gate.breaker.state).toMatchObject({ failures: 1 })
  })

  it('that fails whole sends each alone next time: a poison takes none of its mates along (A80)', () => {
    const box = boxOf({ maxAttempts: 2, breaker: { failureThreshold: 100 } })
    const ids = put(box, ['1', 'poison', '3'])
    box.take()
    report(box, all(ids, fail()), true)
    const ended = new Map<string, string>()
    for (let turn = 0; turn < 9 && box.mailbox.live.size > 0; turn++) {
      box.tick(box.due())
      const { grants } = box.take()
      expect(grants.length).toBeLessThanOrEqual(1)
      for (const { delivery } of grants) report(box, [[delivery.id, delivery.id === ids[1] ? fail() : ok()]], true)
      for (const id of ids) ended.set(id, box.receipt(id).status)
      if (box.receipt(ids[1]!).status === 'dead_lettered' && ended.get(ids[2]!) === 'completed') break
    }
    expect(ids.map((id) => ended.get(id))).toEqual(['completed', 'dead_lettered', 'completed'])
  })

  it('the last attempt is always made alone', () => {
    const box = boxOf({ maxAttempts: 2 })
    const ids = put(box, ['1', '2', '3'])
    box.take()
    report(box, all(ids, { kind: 'retry', error: error('item', 'not now') }))
    box.tick(box.due())
    expect(granted(box)).toHaveLength(1)
    const narrow = boxOf({ maxAttempts: 4 })
    narrow.put('n', { maxattempts: 1 })
    expect(granted(narrow)).toHaveLength(1)
  })

  it('a pause that it asks for holds all of them, at no attempt (M4)', () => {
    const box = boxOf()
    const ids = put(box, ['1', '2', '3'])
    box.take()
    report(box, all(ids, hold(5 * second)), true)
    expect(ids.map((id) => box.delivery(id).attempt)).toEqual([0, 0, 0])
    box.tick(start + 5 * second)
    expect(box.references).toEqual([{ deliveries: ids }])
  })

  it('that never comes makes each a suspect, and counts for nobody at first (M4)', () => {
    const box = boxOf()
    const ids = put(box, ['1', '2', '3'])
    box.take()
    box.step((draft, now) => tick(draft, now + 60 * second, () => 0.5))
    expect(ids.map((id) => box.delivery(id))).toMatchObject([
      { suspect: true, attempt: 0 },
      { suspect: true, attempt: 0 },
      { suspect: true, attempt: 0 },
    ])
  })

  it('reported twice is one answer', () => {
    const box = boxOf()
    const ids = put(box, ['1', '2', '3'])
    box.take()
    const tokens = ids.map((id) => box.leaseOf(id)!.token)
    const again = () =>
      box.step((draft, now) =>
        settle(
          draft,
          ids.map((id, i) => ({ id, token: tokens[i]!, outcome: fail(), external: false, whole: true as const })),
          box.stored,
          now,
          () => 0.5,
        ),
      )
    expect(again().map((s) => s.status)).toEqual(['settled', 'settled', 'settled'])
    expect(again().map((s) => s.status)).toEqual(['settled', 'settled', 'settled'])
    expect(box.delivery(ids[0]!).attempt).toBe(1)
  })
})

describe('the lines of partition keys within a batch', () => {
  it('stand in order, whatever their priority, and go together (M3)', () => {
    const box = boxOf()
    const ids = putAll(box, [
      ['1', { partitionkey: 'k', priority: 0 }],
      ['2', { partitionkey: 'k', priority: 9 }],
      ['3', { partitionkey: 'k', priority: 5 }],
    ])
    expect(granted(box)).toEqual(ids)
  })

  it('wait behind one in flight, whose effects are not carried, or who is not yet due (M3)', () => {
    const box = boxOf({ concurrency: 2, batch: { size: 1, waitSeconds: 0 } })
    const [one, two] = put(box, ['1', '2'], { partitionkey: 'k' })
    expect(granted(box)).toEqual([one])
    expect(box.released()).toEqual([])
    report(box, [[one!, ok(undefined, { messages: [{ to: 'bob', type: 'next' }] })]])
    expect(box.released()).toEqual([])
    box.carried(one!, [{ n: 1, state: { status: 'carried', deliveries: [] } }])
    expect(box.released()).toEqual([two])
  })

  it('what failed holds its successors: an answer out of turn is not taken, and costs one attempt (M3)', () => {
    const box = boxOf()
    const ids = put(box, ['1', '2', '3'], { partitionkey: 'k' })
    box.take()
    report(box, [
      [ids[0]!, { kind: 'retry', error: error('item', 'not now') }],
      [ids[1]!, ok()],
      [ids[2]!, fail('item')],
    ])
    expect(ids.map((id) => box.receipt(id).status)).toEqual(['held', 'held', 'held'])
    expect(box.delivery(ids[1]!).attempts.at(-1)).toMatchObject({ counted: true, error: { code: 'out_of_turn' } })
    const order: string[] = []
    for (let turn = 0; turn < 9 && order.length < 3; turn++) {
      box.tick(box.due())
      for (const { delivery } of box.take().grants) {
        order.push(delivery.id)
        report(box, [[delivery.id, ok()]])
      }
    }
    expect(order).toEqual(ids)
  })

  it('a late answer under a lost lease ends nobody before its predecessor (M3)', () => {
    const box = boxOf()
    const ids = put(box, ['1', '2', '3'], { partitionkey: 'k' })
    box.take()
    const token = box.leaseOf(ids[1]!)!.token
    box.tick(start + 60 * second)
    const report2 = { id: ids[1]!, token, outcome: ok(), external: false }
    const [answer] = box.step((draft, now) => settle(draft, [report2], box.stored, now, () => 0.5))
    expect(answer).toMatchObject({ status: 'stale' })
    expect(box.receipt(ids[1]!).status).not.toBe('completed')
  })

  it('under `ack: "later"` each goes in a batch without the next of its line (M3)', () => {
    const box = boxOf({ ack: 'later', batch: { size: 2, waitSeconds: 1 } })
    const line = put(box, ['1', '2'], { partitionkey: 'k' })
    const other = box.put('3', { partitionkey: 'other' })
    expect(granted(box)).toEqual([line[0], other])
    report(box, all([line[0]!, other], later), true)
    expect(box.receipt(line[0]!).status).toBe('delivered')
  })
})

describe('behind a breaker', () => {
  it('a probe is one message, however many wait (B2)', () => {
    const box = boxOf({ breaker: { failureThreshold: 1, openSeconds: 2 }, maxAttempts: 4 })
    const ids = put(box, ['1', '2', '3'])
    put(box, ['4', '5', '6'])
    box.take()
    report(box, all(ids, retry()), true)
    expect(box.mailbox.gate.breaker.state.at).toBe('open')
    expect(box.released()).toEqual([])
    box.tick(start + 2 * second)
    expect(box.references.map((r) => r.deliveries.length)).toEqual([1])
  })
})

describe('what a subscription says of its batch', () => {
  const three = { size: 3, waitSeconds: 10, bytes: 1_048_576, format: 'json' } as const
  const pairs = { ...three, size: 2 } as const
  const bring = (box: Box, ids: readonly string[], asked: BatchPolicy | undefined) =>
    ids.map((id) => {
      const [admission] = box.accept([{ ...incoming(id), ...(asked === undefined ? {} : { batch: asked }) }])
      return admission !== undefined && 'id' in admission ? admission.id : ''
    })

  it('counts for what comes by it, whatever the policy says; what comes otherwise goes as the policy has it (A77)', () => {
    const box = new Box({ policy: { concurrency: 9 } })
    const [first] = bring(box, ['1'], pairs)
    expect(box.references).toEqual([])
    expect(box.receipt(first ?? '')).toMatchObject({ status: 'held', because: expect.stringContaining('batch') })
    expect(box.due()).toBe(start + 10 * second)
    const [plain] = bring(box, ['plain'], undefined)
    expect(box.references).toEqual([{ deliveries: [plain] }])
    const [last] = bring(box, ['2'], pairs)
    expect(box.references).toEqual([{ deliveries: [first, last] }])
    expect(granted(box, [first ?? ''])).toEqual([first, last])
  })

  it('never shares a batch with what another subscription or the policy says otherwise (A77)', () => {
    const box = boxOf({ concurrency: 9 })
    const [a] = bring(box, ['a'], pairs)
    const [p, q] = bring(box, ['p', 'q'], undefined)
    const [c] = bring(box, ['c'], { ...three, bytes: 1_000 })
    expect(box.references).toEqual([])
    box.tick(start + 10 * second)
    const callOf = (id = '') => box.mailbox.releases.get(id)?.batch?.n ?? id
    expect([a, p, q, c].map(callOf)).toEqual([a, callOf(q), callOf(p), c])
    expect(callOf(p)).toBe(1)
  })

  it('in one line of a key, does not carry a later one past an earlier one of another batch (M3)', () => {
    const box = new Box({ policy: { concurrency: 9 } })
    const line = (id: string, asked: BatchPolicy | undefined) => {
      const one = incoming(id, { partitionkey: 'k' })
      const [admission] = box.accept([{ ...one, ...(asked === undefined ? {} : { batch: asked }) }])
      return admission !== undefined && 'id' in admission ? admission.id : ''
    }
    const [one, two] = [line('1', three), line('2', pairs)]
    line('3', pairs)
    expect(box.references).toEqual([])
    box.tick(start + 10 * second)
    expect(box.references).toEqual([{ deliveries: [one] }])
    box.take()
    report(box, all([one], ok()))
    expect(box.references.flatMap((r) => r.deliveries)[0]).toBe(two)
  })

  it('means nothing to an agent that leases as many as it asks for', () => {
    const box = new Box({ kind: 'pull', policy: {} })
    const [id] = bring(box, ['1'], three)
    expect(box.delivery(id ?? '')).not.toHaveProperty('batch')
  })
})

describe('laws', () => {
  const message = fc.record({
    key: fc.option(fc.constantFrom('a', 'b'), { nil: undefined }),
    partition: fc.option(fc.constantFrom('p', 'q'), { nil: undefined }),
    bytes: fc.integer({ min: 1, max: 400 }),
    priority: fc.nat(9),
    waitMs: fc.constantFrom(0, 0, 100, 3_000),
  })

  it('no batch is empty, larger than its size or its bytes, or mixes keys; each line stands in order (A77)', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 30 }), fc.integer({ min: 1, max: 5 }), (messages, size) => {
        const box = boxOf({ batch: { size, waitSeconds: 2, bytes: 1_500, key: 'type' }, concurrency: 50 })
        const seen: string[][] = []
        const look = () => {
          const calls = new Map<number | string, string[]>()
          for (const id of box.references.flatMap((r) => r.deliveries)) {
            const call = box.mailbox.releases.get(id)?.batch?.n ?? id
            calls.set(call, [...(calls.get(call) ?? []), id])
          }
          seen.push(...calls.values())
        }
        for (const [i, { key, partition, bytes, priority, waitMs }] of messages.entries()) {
          box.wait(waitMs)
          box.put(`m${i}`, {
            type: key ?? 'none',
            data: 'x'.repeat(bytes),
            priority,
            ...(partition === undefined ? {} : { partitionkey: partition }),
          })
          look()
        }
        box.tick(box.now + 2 * second)
        look()
        for (const ids of seen) {
          const mates = ids.map((id) => box.delivery(id))
          expect(ids.length).toBeGreaterThan(0)
          expect(ids.length).toBeLessThanOrEqual(size)
          expect(new Set(mates.map((d) => d.head.type)).size).toBe(1)
          if (ids.length > 1) expect(mates.reduce((sum, d) => sum + d.bodyBytes, 0)).toBeLessThanOrEqual(1_500)
          for (const line of ['p', 'q']) {
            const own = mates.filter((d) => d.partitionKey === line).map((d) => d.sequence)
            expect(own).toEqual(own.toSorted((a, b) => a - b))
          }
        }
      }),
    )
  })
})

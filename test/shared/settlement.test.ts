/** Settle: what each outcome does, which report counts, and how attempts are counted. Never here: carrying out effects. */
import { describe, expect, it } from 'vitest'
import { extend } from '../../shared/extend.ts'
import { effectId } from '../../shared/ids.ts'
import { limits } from '../../shared/limits.ts'
import type { Outcome } from '../../shared/outcome.ts'
import { settle } from '../../shared/settlement.ts'
import { cancel } from '../../shared/upkeep.ts'
import {
  Box,
  fail,
  gone,
  hold,
  hour,
  incoming,
  iso,
  later,
  minute,
  ok,
  retry,
  second,
  start,
  steady,
  unsent,
} from './mailbox-fixtures.ts'

const next = { to: 'bob', type: 'next', data: 1 }

/** A box with one delivery in flight. */
function flying(options: ConstructorParameters<typeof Box>[0] = {}, more = {}) {
  const box = new Box(options)
  const id = box.put('a', more)
  if (options?.kind === 'pull') box.lease(1)
  else box.take([id])
  const token = box.leaseOf(id)?.token ?? ''
  return { box, id, token }
}

/** Takes it again when it is due. */
function takeAgain(box: Box, id: string): void {
  box.tick(Math.max(box.now, box.delivery(id).dueAt))
  box.take([id])
}

/** Lets its lease end in silence. */
function fallSilent(box: Box, id: string): void {
  box.tick(box.leaseOf(id)?.deadlineAt)
}

const endOf = (box: Box, id: string) => {
  const { state } = box.delivery(id)
  if (state.at !== 'ended') throw new Error(`${id} has not ended`)
  return state
}

describe('ok', () => {
  it('M2: journals the result with the ack, and gives the place back', () => {
    const { box, id } = flying()
    expect(box.settle(id, ok({ answer: 42 }, { messages: [next] }))).toEqual({ id, status: 'settled' })
    expect(endOf(box, id)).toMatchObject({
      status: 'completed',
      result: { answer: 42 },
      journal: { openedAt: start, effects: [{ n: 1, kind: 'message', state: { status: 'pending' } }] },
    })
    expect([box.mailbox.leases.size, box.mailbox.depth]).toEqual([0, 0])
  })

  it('without effects leaves nothing live', () => {
    const { box, id } = flying()
    box.settle(id, ok())
    expect(endOf(box, id)).not.toHaveProperty('journal')
    expect([box.mailbox.live.size, box.due()]).toEqual([0, undefined])
  })

  it('E1 M2: numbers its effects, and names them by delivery and number, so that a repeat downstream is a duplicate', () => {
    const settled = () => {
      const { box, id } = flying({}, { replyto: 'carl' })
      box.settle(id, ok(undefined, { reply: { data: 'hi' }, messages: [next, next] }))
      return { id, effects: endOf(box, id).journal?.effects ?? [] }
    }
    const { id, effects } = settled()
    expect(effects.map((e) => [e.n, e.kind, e.publish.id])).toEqual([
      [1, 'reply', effectId(id, 1)],
      [2, 'message', effectId(id, 2)],
      [3, 'message', effectId(id, 3)],
    ])
    expect(settled().effects).toEqual(effects)
  })

  it('T13: a completed delivery without a result does not look like a failed one', () => {
    const done = flying()
    done.box.settle(done.id, ok())
    const dead = flying()
    dead.box.settle(dead.id, fail())
    expect(done.box.receipt(done.id)).toMatchObject({ status: 'completed', attempt: 1 })
    expect(done.box.receipt(done.id)).not.toHaveProperty('deadLetter')
    expect(dead.box.receipt(dead.id)).toMatchObject({
      status: 'dead_lettered',
      deadLetter: { reason: 'terminal' },
      attempts: [{ outcome: 'fail', error: { message: 'answered 422' } }],
    })
  })
})

describe('E1: an effect that can never be carried', () => {
  const effectsOf = (effects: unknown, result?: unknown) => {
    const { box, id } = flying()
    box.settle(id, ok(result, effects))
    return { receipt: box.receipt(id), ended: endOf(box, id) }
  }

  it('is refused on the receipt, by the schema’s own words, and spoils neither the ack nor its neighbours', () => {
    const { receipt } = effectsOf({ messages: [{ to: 'bob' }, next] })
    expect(receipt.status).toBe('completed')
    expect(receipt.effects).toMatchObject([
      { n: 1, publish: { asked: { to: 'bob' } }, state: { status: 'refused', reason: 'invalid' } },
      { n: 2, state: { status: 'pending' } },
    ])
    expect(receipt.effects?.[0]?.state).toHaveProperty('detail', expect.stringContaining('type'))
  })

  it('is refused when it is a reply and nobody waits for one', () => {
    expect(effectsOf({ reply: { data: 1 } }).receipt.effects).toMatchObject([
      { n: 1, kind: 'reply', state: { status: 'refused', reason: 'no_replyto' } },
    ])
  })

  it('is refused when it asks for at_most_once: an effect is durable (T17)', () => {
    expect(effectsOf({ messages: [{ ...next, deliverymode: 'at_most_once' }] }).receipt.effects).toMatchObject([
      { state: { status: 'refused', reason: 'invalid', detail: expect.stringContaining('durable') } },
    ])
  })

  it.each([
    ['are no effects at all', { messages: 'many' }, 'messages'],
    ['have a part that does not exist', { broadcast: true }, 'broadcast'],
    ['are too many', { messages: Array.from({ length: limits.effectsPerAttempt + 1 }, () => next) }, 'messages'],
    ['are too large', { messages: [{ ...next, data: 'x'.repeat(limits.effectsBytes) }] }, String(limits.effectsBytes)],
  ])('is refused as one when they %s', (_, effects, told) => {
    const { receipt, ended } = effectsOf(effects, { kept: true })
    expect(receipt.effects).toMatchObject([
      { n: 1, state: { status: 'refused', reason: 'invalid', detail: expect.stringContaining(told) } },
    ])
    expect(ended).toMatchObject({ status: 'completed', result: { kept: true } })
  })

  it('stands for a result that is too large, behind the effects that came with it', () => {
    const { receipt, ended } = effectsOf({ messages: [next] }, 'x'.repeat(limits.resultBytes))
    expect(ended).not.toHaveProperty('result')
    expect(receipt.effects).toMatchObject([
      { n: 1, state: { status: 'pending' } },
      { n: 2, state: { status: 'refused', detail: expect.stringContaining('result') } },
    ])
  })

  it('leaves the journal open until its refusal was told', () => {
    const { ended } = effectsOf({ reply: { data: 1 } })
    expect(ended.journal).not.toHaveProperty('closedAt')
  })
})

describe('M2: which report counts', () => {
  it('the first with the lease in force; its repeat gets the same answer and changes nothing', () => {
    const { box, id, token } = flying()
    const first = box.settle(id, ok('first'), { token })
    expect(box.settle(id, ok('second'), { token })).toEqual(first)
    expect(endOf(box, id).result).toBe('first')
    expect(box.delivery(id).attempts).toHaveLength(1)
  })

  it('another kind of report under a used token is no repeat: an ack after a nack is not told that it counted', () => {
    const { box, id, token } = flying()
    box.settle(id, retry(), { token })
    expect(box.settle(id, ok('late'), { token })).toEqual({ id, status: 'stale' })
    expect(box.settle(id, retry(), { token })).toEqual({ id, status: 'settled' })
    expect(box.delivery(id)).toMatchObject({ attempt: 1, state: { at: 'waiting' } })
  })

  it('a repeat within one call is the same repeat', () => {
    const { box, id, token } = flying()
    const report = { id, token, outcome: ok('first'), external: false }
    const both = box.step((draft, now) =>
      settle(draft, [report, { ...report, outcome: ok('second') }], box.stored, now, () => 0),
    )
    expect(both).toEqual([
      { id, status: 'settled' },
      { id, status: 'settled' },
    ])
    expect(endOf(box, id).result).toBe('first')
  })

  it('one refused report does not spoil the others of its call', () => {
    const { box, id, token } = flying()
    const answers = box.step((draft, now) =>
      settle(
        draft,
        [
          { id: 'ada_x', token, outcome: ok(), external: false },
          { id, token: 'foreign', outcome: ok(), external: false },
          { id, token, outcome: ok(), external: false },
        ],
        box.stored,
        now,
        () => 0,
      ),
    )
    expect(answers.map((a) => a.status)).toEqual(['unknown', 'stale', 'settled'])
  })

  it.each([true, false])('a foreign token is stale while another lease is in force (external: %s)', (external) => {
    const { box, id } = flying()
    expect(box.settle(id, ok('forged'), { token: 'foreign', external })).toEqual({ id, status: 'stale' })
    expect(box.receipt(id).status).toBe('dispatched')
  })

  it('a later one under another token is told what was settled, and with which result', () => {
    const { box, id } = flying()
    box.settle(id, ok('first'))
    const late = box.settle(id, ok('second'), { token: 'foreign', external: true })
    expect(late).toEqual({ id, status: 'already_settled', ended: 'completed', result: 'first' })
  })

  it('one after a death is told of the death', () => {
    const { box, id } = flying()
    box.settle(id, fail())
    const late = box.settle(id, ok(), { token: 'foreign', external: true })
    expect(late).toEqual({ id, status: 'already_settled', ended: 'dead_lettered' })
  })

  it('none after a cancel: its lease is fenced off and its effects never leave', () => {
    const { box, id, token } = flying()
    box.step((draft, now) => cancel(draft, id, box.stored, now))
    const late = box.settle(id, ok('late', { messages: [next] }), { token })
    expect(late).toEqual({ id, status: 'already_settled', ended: 'cancelled' })
    expect(endOf(box, id)).not.toHaveProperty('journal')
  })

  it('an outsider’s needs the lease in force: an expired one is stale', () => {
    const { box, id, token } = flying({ kind: 'pull' })
    fallSilent(box, id)
    expect(box.settle(id, ok(), { token, external: true })).toEqual({ id, status: 'stale' })
    expect(box.receipt(id).status).toBe('held')
  })

  it('the consumer’s own late ok counts while nobody has begun anew: to run it again would double the work', () => {
    const { box, id, token } = flying()
    fallSilent(box, id)
    expect(box.settle(id, ok('done'), { token })).toEqual({ id, status: 'settled' })
    expect(endOf(box, id)).toMatchObject({ status: 'completed', result: 'done' })
    expect(box.settle(id, ok('again'), { token })).toEqual({ id, status: 'settled' })
    expect([endOf(box, id).result, box.released()]).toEqual(['done', []])
  })

  it.each([
    ['failure', retry()],
    ['terminal failure', fail()],
    ['hold', hold(hour)],
    ['410', gone],
    ['202', later],
    ['unsent', unsent],
  ] as [string, Outcome][])('the consumer’s own late %s changes nothing', (_, outcome) => {
    const { box, id, token } = flying()
    fallSilent(box, id)
    const before = box.delivery(id)
    expect(box.settle(id, outcome, { token })).toEqual({ id, status: 'stale' })
    expect(box.delivery(id)).toEqual(before)
    expect(box.mailbox.agent).not.toHaveProperty('paused')
    expect(box.mailbox.agent).not.toHaveProperty('heldUntil')
  })

  it('the consumer’s own late ok is stale when somebody has begun anew', () => {
    const { box, id, token } = flying()
    fallSilent(box, id)
    box.take([id])
    expect(box.settle(id, ok('late'), { token })).toEqual({ id, status: 'stale' })
    expect(box.settle(id, ok('anew'))).toEqual({ id, status: 'settled' })
    expect(endOf(box, id).result).toBe('anew')
  })

  it('none for a delivery or an agent that nobody knows', () => {
    expect(new Box().settle('ada_x', ok())).toEqual({ id: 'ada_x', status: 'unknown' })
    expect(new Box(null).settle('ada_x', ok())).toEqual({ id: 'ada_x', status: 'unknown' })
  })
})

describe('M4: what costs an attempt', () => {
  it.each([
    ['ok', ok(), 1],
    ['a failure', retry(), 1],
    ['a terminal failure', fail(), 1],
    ['a hold', hold(second), 0],
    ['a 410', gone, 0],
    ['no connection slot', unsent, 0],
  ] as [string, Outcome, number][])('%s', (_, outcome, attempts) => {
    const { box, id } = flying()
    box.settle(id, outcome)
    expect(box.delivery(id).attempt).toBe(attempts)
    expect(box.delivery(id).attempts.filter((a) => a.counted)).toHaveLength(attempts)
  })

  it('no more failures than the policy’s attempts: the last one is the end (A73)', () => {
    const box = new Box({ policy: { maxAttempts: 3 } })
    const id = box.put('a')
    for (let n = 1; n <= 3; n++) {
      expect(box.receipt(id).attempt).toBe(n - 1)
      takeAgain(box, id)
      box.settle(id, retry())
    }
    expect(endOf(box, id)).toMatchObject({
      status: 'dead_lettered',
      reason: 'attempts_exhausted',
      buried: false,
      error: { message: 'answered 500' },
    })
    expect(box.delivery(id).attempts.map((a) => [a.number, a.outcome])).toEqual([
      [1, 'retry'],
      [2, 'retry'],
      [3, 'retry'],
    ])
  })

  it('the first silence costs nothing: it is the broker’s failure first, and the delivery goes alone from then on', () => {
    const { box, id } = flying()
    fallSilent(box, id)
    expect(box.delivery(id)).toMatchObject({
      attempt: 0,
      suspect: true,
      attempts: [{ outcome: 'silence', counted: false }],
    })
    expect(box.references).toEqual([{ deliveries: [id], alone: true }])
  })

  it('silence alone counts as an attempt like any other, with its pause and in the end its death', () => {
    const { box, id } = flying({ policy: { maxAttempts: 2 } })
    fallSilent(box, id)
    box.take([id])
    fallSilent(box, id)
    expect(box.delivery(id)).toMatchObject({ attempt: 1, dueAt: box.now + second })
    takeAgain(box, id)
    fallSilent(box, id)
    expect(box.delivery(id)).toMatchObject({ attempt: 2, leases: 3 })
    expect(endOf(box, id)).toMatchObject({ reason: 'attempts_exhausted', error: { code: 'silence' } })
  })

  it('is started at most once more than the policy’s attempts, even if every other start is forgiven', () => {
    const { box, id } = flying({ policy: { maxAttempts: 2 } })
    let starts = 1
    fallSilent(box, id)
    for (let turn = 0; box.delivery(id).state.at === 'waiting'; turn++) {
      takeAgain(box, id)
      starts += 1
      if (turn % 2 === 0) box.settle(id, retry())
      else fallSilent(box, id)
    }
    expect(starts).toBe(3)
  })

  it('once silent it goes alone for good: a failure in between does not clear it', () => {
    const { box, id } = flying()
    fallSilent(box, id)
    box.take([id])
    box.settle(id, retry())
    box.tick(box.now + second)
    expect(box.references).toEqual([{ deliveries: [id], alone: true }])
  })

  it('a puller’s silence counts at once: who holds a lease by token answers for it', () => {
    const { box, id } = flying({ kind: 'pull' })
    fallSilent(box, id)
    expect(box.delivery(id)).toMatchObject({ attempt: 1, attempts: [{ outcome: 'silence', counted: true }] })
  })

  it('so does the silence after a 202', () => {
    const { box, id } = flying({ policy: { ack: 'later', ackSeconds: 60 } })
    box.settle(id, later)
    expect(box.leaseOf(id)?.deadlineAt).toBe(start + minute)
    fallSilent(box, id)
    expect(box.delivery(id)).toMatchObject({ attempt: 1 })
  })

  it('T15: retrying changes nothing of what the receiver gets', () => {
    const { box, id } = flying()
    const sent = box.bodies.get(id)
    box.settle(id, retry())
    takeAgain(box, id)
    expect(box.bodies.get(id)).toBe(sent)
    expect({ ...box.delivery(id).head, data: { work: 1 } }).toEqual(incoming('a').message)
  })
})

describe('a retry', () => {
  const pauseAfter = (outcome: Outcome, policy = {}, dice = 0.5) => {
    const { box, id } = flying({ policy })
    box.settle(id, outcome, { dice })
    return box.delivery(id).dueAt - start
  }

  it('waits as the policy’s curve says, longer each time (A75, A99)', () => {
    const box = new Box({ policy: { maxAttempts: 4 } })
    const id = box.put('a')
    const pauses: number[] = []
    for (let n = 1; n <= 3; n++) {
      takeAgain(box, id)
      box.settle(id, retry())
      pauses.push(box.delivery(id).dueAt - box.now)
    }
    expect(pauses).toEqual([second, 2 * second, 4 * second])
  })

  it('throws the dice that it is given, where the curve has jitter', () => {
    const jittery = { backoff: { ...steady, jitter: 'full' } } as const
    expect([pauseAfter(retry(), jittery, 0.25), pauseAfter(retry(), jittery, 0.75)]).toEqual([250, 750])
  })

  it('waits as long as Retry-After says when that is longer, and as the curve says when it is shorter', () => {
    expect(pauseAfter(retry({ retryAfterMs: minute }))).toBe(minute)
    expect(pauseAfter(retry({ retryAfterMs: 10 }))).toBe(second)
  })

  it('waits exactly as long as a nack asks, in place of the curve', () => {
    expect(pauseAfter(retry({ delayMs: 7 }))).toBe(7)
    expect(pauseAfter(retry({ delayMs: 0 }))).toBe(0)
    expect(pauseAfter(retry({ delayMs: hour }))).toBe(hour)
  })

  it('wakes by the alarm alone (M6)', () => {
    const { box, id } = flying()
    box.settle(id, retry())
    expect(box.due()).toBe(start + second)
    box.tick(start + second)
    expect(box.released()).toEqual([id])
  })

  it('says on the receipt how many attempts failed and why', () => {
    const { box, id } = flying()
    box.settle(id, retry())
    expect(box.receipt(id).steps.at(-1)).toMatchObject({ step: 'held', detail: 'attempt 1 of 4 failed: answered 500' })
  })

  it('of a message that expired in flight is its end', () => {
    const { box, id } = flying({}, { expirytime: iso(start + minute) })
    box.wait(minute)
    box.settle(id, retry())
    expect(endOf(box, id)).toMatchObject({ status: 'expired', reason: 'expired', error: { message: 'answered 500' } })
  })

  it('of a message that expires in the pause ends then, not after it', () => {
    const { box, id } = flying({}, { expirytime: iso(start + minute) })
    box.settle(id, retry({ delayMs: hour }))
    expect(box.due()).toBe(start + minute)
    box.tick(start + minute)
    expect(endOf(box, id)).toMatchObject({ status: 'expired', endedAt: start + minute })
  })
})

describe('other outcomes', () => {
  it.each([
    ['terminal', 'http'],
    ['no_handler', 'no_handler'],
  ])('fail ends the delivery as %s, whatever attempts are left', (reason, code) => {
    const { box, id } = flying()
    box.settle(id, fail(code))
    expect(endOf(box, id)).toMatchObject({ status: 'dead_lettered', reason, buried: false, error: { code } })
  })

  it('hold keeps the whole agent quiet until then, and the longest asked for wins', () => {
    const box = new Box()
    const [a, b, c] = ['a', 'b', 'c'].map((id) => box.put(id)) as [string, string, string]
    box.take([a, b])
    box.settle(a, hold(hour))
    box.settle(b, hold(minute))
    expect(box.mailbox.agent?.heldUntil).toBe(start + hour)
    expect([box.released(), box.take([c]).grants, box.due()]).toEqual([[], [], expect.any(Number)])
    box.tick(start + hour)
    expect(box.released()).toEqual([a, b, c])
  })

  it('gone pauses the agent and parks its mail, at no attempt', () => {
    const box = new Box()
    const [a, b] = ['a', 'b'].map((id) => box.put(id)) as [string, string]
    box.run(a, gone)
    expect(box.mailbox.agent?.paused).toMatchObject({ since: start })
    expect([box.receipt(a), box.receipt(b)]).toMatchObject([
      { status: 'parked', attempt: 0 },
      { status: 'parked', attempt: 0 },
    ])
  })

  it('unsent goes back into the line after a short pause, so that a full agent is not asked in a tight loop', () => {
    const { box, id } = flying()
    box.settle(id, unsent)
    expect(box.delivery(id)).toMatchObject({ dueAt: start + 500, attempts: [], lineAt: start })
    expect(box.receipt(id).steps.at(-1)).toMatchObject({ step: 'held', detail: expect.stringContaining('slot') })
  })
})

describe('a 202 under ack: later', () => {
  const accepted = () => {
    const one = flying({ policy: { ack: 'later', ackSeconds: 60 } })
    one.box.settle(one.id, later)
    return one
  }

  it('keeps the lease for the ack window, and the place in flight with it (T12)', () => {
    const { box, id, token } = accepted()
    expect(box.leaseOf(id)).toMatchObject({ token, phase: 'delivered', deadlineAt: start + minute, saved: true })
    expect(box.receipt(id)).toMatchObject({ status: 'delivered', attempt: 0 })
  })

  it('is completed by the ack with its token', () => {
    const { box, id, token } = accepted()
    box.wait(second)
    expect(box.settle(id, ok('done'), { token, external: true })).toEqual({ id, status: 'settled' })
    expect(box.receipt(id)).toMatchObject({ status: 'completed', result: 'done', attempt: 1 })
  })

  it('loses to an ack that arrives before it was reported', () => {
    const { box, id, token } = flying({ policy: { ack: 'later' } })
    box.settle(id, ok('early'), { token, external: true })
    expect(box.settle(id, later, { token })).toMatchObject({ status: 'already_settled', ended: 'completed' })
    expect(box.receipt(id)).toMatchObject({ status: 'completed', result: 'early' })
    expect(box.mailbox.leases.size).toBe(0)
  })

  it('reported late does not take back an extension', () => {
    const { box, id, token } = flying({ policy: { ack: 'later', ackSeconds: 60 } })
    box.step((draft, now) => extend(draft, id, token, hour, now))
    expect(box.settle(id, later)).toEqual({ id, status: 'settled' })
    expect(box.leaseOf(id)).toMatchObject({ phase: 'claimed', deadlineAt: start + hour })
  })

  it('reported twice does not open a second window', () => {
    const { box, id } = accepted()
    box.wait(30 * second)
    box.settle(id, later)
    expect(box.leaseOf(id)?.deadlineAt).toBe(start + minute)
    expect(box.receipt(id).steps.filter((s) => s.step === 'delivered')).toHaveLength(1)
  })

  it('is retried when no ack comes in the window (A18)', () => {
    const { box, id, token } = accepted()
    box.tick(start + minute)
    expect(box.receipt(id)).toMatchObject({ status: 'held', attempt: 1 })
    expect(box.settle(id, ok(), { token, external: true })).toEqual({ id, status: 'stale' })
  })
})

describe('the steps of a delivery', () => {
  it('are bounded: the first stays, the oldest after it give way, and the receipt says so', () => {
    const { box, id } = flying()
    for (let n = 0; n < limits.stepsPerReceipt; n++) {
      box.settle(id, unsent)
      takeAgain(box, id)
    }
    const { steps, truncated } = box.delivery(id)
    expect([steps.length, steps[0]?.step, truncated]).toEqual([limits.stepsPerReceipt, 'accepted', true])
    expect(box.receipt(id).truncated).toBe(true)
  })

  it('keep the newest attempts, and count them all', () => {
    const { box, id } = flying()
    for (let n = 0; n <= limits.attemptsPerReceipt; n++) {
      box.settle(id, hold(1))
      takeAgain(box, id)
    }
    box.settle(id, retry())
    expect(box.delivery(id).attempts).toHaveLength(limits.attemptsPerReceipt)
    expect(box.delivery(id)).toMatchObject({ truncated: true, attempt: 1 })
  })
})

/** An agent leaves, and its mail is kept for whoever is registered under its name in time. */
import { describe, expect, it } from 'vitest'
import { type AgentRecord, enrol, publicAgent } from '../../shared/agent.ts'
import { endKeeping, foundBy, inherit, keepMail } from '../../shared/kept-mail.ts'
import type { PolicyInput } from '../../shared/policy.ts'
import { leave } from '../../shared/reassign.ts'
import { pause } from '../../shared/upkeep.ts'
import { Box, hour, incoming, minute, ok, retry, start } from './mailbox-fixtures.ts'

const go = (box: Box, forMs = hour) => box.step((draft, now) => keepMail(draft, forMs, now))
const ring = (box: Box, at: number) => {
  box.now = at
  return box.step((draft, now) => endKeeping(draft, now))
}

/** As the object enrols. */
function register(box: Box, policy: PolicyInput = {}): AgentRecord {
  return box.step((draft, now) => {
    const found = foundBy(draft, now)
    const registration = { kind: 'webhook', url: 'https://ada.example/inbox', policy } as const
    const fresh = { name: 'ada', freshIncarnation: 'second', freshSecret: 'whsec_bmV3', trusted: true, now }
    draft.agent = enrol(found, { ...fresh, registration })
    inherit(draft, draft.agent, now)
    return draft.agent
  })
}

describe('mail of an agent that left', () => {
  it('is kept: nothing is accepted or goes, and each receipt says until when (A101)', () => {
    const box = new Box()
    const id = box.put('a')
    go(box)
    expect(box.released()).toEqual([])
    expect(box.take([id]).grants).toEqual([])
    expect(box.accept([incoming('b')])).toEqual([{ status: 'unknown' }])
    expect(box.receipt(id)).toMatchObject({ status: 'parked', because: 'left: kept until 2026-01-01T01:00:00.000Z' })
    expect(box.due()).toBe(start + hour)
  })

  it('is found by whoever is registered in time, who inherits nothing else (A101)', () => {
    const box = new Box()
    const [a, b] = [box.put('a', { partitionkey: 'k' }), box.put('b', { partitionkey: 'k' })]
    const secret = box.mailbox.agent?.secrets[0]?.secret
    go(box)
    box.wait(hour - 1)
    const heir = register(box)
    expect([heir.incarnation, heir.left, heir.createdAt]).toEqual(['second', undefined, box.now])
    expect(heir.secrets.map((s) => s.secret)).toEqual(['whsec_bmV3'])
    expect(secret).not.toBe('whsec_bmV3')
    expect(box.released()).toEqual([a])
    box.run(a, ok())
    box.run(b, ok())
    expect([a, b].map((id) => box.receipt(id).status)).toEqual(['completed', 'completed'])
    expect(box.receipt(a).steps.map((s) => s.step)).toContain('inherited')
    expect(box.delivery(a).incarnation).toBe('second')
  })

  it('is dead letters when its time is over, with a reason of its own (M1, A101)', () => {
    const box = new Box()
    const id = box.put('a')
    go(box)
    expect(ring(box, start + hour - 1)).toBe(false)
    expect(ring(box, start + hour)).toBe(true)
    expect(box.delivery(id).state).toMatchObject({ status: 'dead_lettered', reason: 'agent_left', buried: false })
    expect(box.mailbox.agent).toBeUndefined()
    expect(box.tick().chores).toEqual([id])
  })

  it('that is leaving when its time is over is finished as that, and not for who comes too late (M2, A101)', () => {
    const box = new Box()
    const id = box.put('a')
    box.step((draft, now) => leave(draft, 'bob', 1, now))
    go(box)
    box.wait(hour)
    register(box)
    expect(box.receipt(id)).toMatchObject({ status: 'held', because: 'on its way to `bob`' })
    expect(box.delivery(id).incarnation).toBe('first')
  })

  it('is not for who comes too late, even before the alarm has rung (A101)', () => {
    const box = new Box()
    const id = box.put('a')
    go(box)
    box.wait(hour)
    register(box)
    expect(box.delivery(id).state).toMatchObject({ reason: 'agent_left' })
    expect(box.delivery(id).incarnation).toBe('first')
  })

  it('that is in flight may finish, and its ack counts (M2)', () => {
    const box = new Box()
    const id = box.put('a')
    box.take([id])
    go(box)
    expect(box.settle(id, ok({ answer: 1 })).status).toBe('settled')
    expect(box.receipt(id).status).toBe('completed')
  })

  it('still goes to another agent when somebody says so (A101)', () => {
    const box = new Box()
    const id = box.put('a')
    go(box)
    expect(box.step((draft, now) => leave(draft, 'bob', 10, now))).toEqual([id])
  })

  it('is not caught up with before its heir is there: neither a pause that ends nor a breaker that closes puts any aside', () => {
    const box = new Box({
      policy: { catchUp: 'skip', concurrency: 1, breaker: { failureThreshold: 1, openSeconds: 60 } },
    })
    const [probe, waiting] = [box.put('probe'), box.put('waiting')]
    box.run(probe, retry())
    box.tick(start + minute)
    box.take()
    box.step((draft, now) => pause(draft, 'holiday', minute, now))
    go(box)
    box.wait(2 * minute)
    box.settle(waiting, ok())
    expect(box.mailbox.gate.breaker.state.at).toBe('closed')
    expect(box.receipt(probe)).toMatchObject({ status: 'parked', because: expect.stringContaining('left') })
  })

  it('waits no longer because it left twice, and as long as the later word says', () => {
    const box = new Box()
    box.put('a')
    go(box)
    box.wait(minute)
    go(box, 2 * hour)
    expect(box.mailbox.agent?.left).toEqual({ since: start, until: start + minute + 2 * hour })
  })

  it('meets a closed breaker: what was wrong with the one before says nothing of this one', () => {
    const box = new Box({ policy: { breaker: { failureThreshold: 1 } } })
    const id = box.put('a')
    box.run(id, retry())
    go(box)
    box.wait(minute)
    register(box)
    expect(box.mailbox.gate.breaker).toMatchObject({ state: { at: 'closed' }, forced: 'auto' })
    expect(box.released()).toEqual([id])
  })

  it('is caught up with as its heir wants (A116)', () => {
    const box = new Box()
    const id = box.put('a')
    go(box)
    box.wait(minute)
    register(box, { catchUp: 'skip' })
    expect(box.receipt(id)).toMatchObject({ status: 'cancelled', because: 'skipped_on_catch_up' })
  })

  it('is not told of to outsiders: what they see of an agent has no trace of it', () => {
    const box = new Box()
    box.put('a')
    go(box)
    expect(publicAgent(register(box), box.now, false)).not.toHaveProperty('left')
  })
})

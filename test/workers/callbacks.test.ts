/** That what is left of a callback's mailbox is nothing, in a real object that goes on living. When it goes: test/simulator/callbacks.test.ts. */
import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { expect, it } from 'vitest'
import { AgentObject } from '../../durable-objects/agent.ts'
import { incoming } from '../shared/mailbox-fixtures.ts'
import { freshName } from './gateway.ts'

const day = 86_400_000

it('a callback’s mailbox that nobody needs leaves no table and no alarm, and the same object takes mail again', async () => {
  const name = freshName('callback')
  await runInDurableObject(env.AGENTS.getByName(name), async (_object, state) => {
    const clock = { at: Date.now() }
    const agent = new AgentObject(state, env, { now: () => clock.at, random: () => 0 })
    const enrol = (incarnation: string) =>
      agent.enrol(
        { kind: 'webhook', url: 'http://127.0.0.1:9/hook' },
        { name, incarnation, secret: `whsec_${incarnation}`, trusted: true, neededMs: day },
      )
    const left = () =>
      state.storage.sql
        .exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'")
        .toArray().length
    enrol('one')
    const [told] = agent.accept([incoming('first')], 'a').admissions
    expect(told?.status).toBe('accepted')
    agent.cancel(told?.status === 'accepted' ? told.id : '')
    clock.at += day + 1
    expect(agent.sweep().agent?.incarnation).toBe('one')
    clock.at += day + 1
    agent.sweep()
    await agent.alarm()
    expect(agent.sweep().agent).toBeUndefined()
    expect([left(), await state.storage.getAlarm()]).toEqual([0, null])
    expect(agent.accept([incoming('second')], 'b').admissions).toMatchObject([{ status: 'unknown' }])
    expect(enrol('two')).toMatchObject({ created: true, secret: 'whsec_two' })
    expect(agent.accept([incoming('first')], 'c').admissions).toMatchObject([{ status: 'accepted' }])
    expect(agent.describe()?.figures.depth).toBe(1)
  })
})

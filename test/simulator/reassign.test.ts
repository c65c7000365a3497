/** Mail moves to another mailbox over the simulated platform: crashes on the way, full and unknown targets, order. */
import { describe, expect, it } from 'vitest'
import type { AgentPort } from '../../shared/agent-port.ts'
import type { Platform } from '../../shared/ports.ts'
import { publish } from '../../workers/publish.ts'
import { reassignMail } from '../../workers/reassign.ts'
import { minute } from '../shared/mailbox-fixtures.ts'
import { Scene } from './scene.ts'

/** `ann` does not answer her mail; `bob` notes the data of what he gets. */
async function scene(policy: { depth?: number; concurrency?: number } = {}): Promise<{ scene: Scene; got: unknown[] }> {
  const scene = new Scene()
  const got: unknown[] = []
  await scene.pull('ann')
  await scene.webhook(
    'bob',
    ({ body }) => {
      got.push(JSON.parse(body).data)
      return { status: 200 }
    },
    policy,
  )
  return { scene, got }
}

/** The platform of a process that dies at the first call of this method of this agent's. */
function dyingAt(platform: Platform, name: string, method: keyof AgentPort): Platform {
  const die = () => Promise.reject(new Error('the process died'))
  return {
    ...platform,
    agent: (one) =>
      new Proxy(platform.agent(one), {
        get: (port, asked) => (one === name && asked === method ? die : Reflect.get(port, asked)),
      }),
  }
}

const numbered = (n: number) => Array.from({ length: n }, (_, i) => i)

describe('reassigned mail', () => {
  it('is done by its new agent, in the order of its key (M3), and its receipt names the new delivery', async () => {
    const { scene: s, got } = await scene()
    const ids = []
    for (const data of numbered(5)) ids.push(await s.send('ann', { data, partitionkey: 'k' }))
    expect(await s.done(reassignMail(s.platform(), 'ann', 'bob'))).toEqual({ ok: true, value: undefined })
    await s.pass(minute)
    expect(got).toEqual(numbered(5))
    for (const id of ids) {
      const { status, reassignedTo = '' } = await s.receipt(id)
      expect([status, (await s.receipt(reassignedTo)).status]).toEqual(['cancelled', 'completed'])
    }
  })

  const crashes: readonly [string, string, keyof AgentPort][] = [
    ['before the other mailbox was asked', 'bob', 'accept'],
    ['after the other mailbox accepted', 'ann', 'departed'],
  ]
  for (const [when, name, method] of crashes) {
    it(`is done once when the process dies ${when}: the alarm completes it (M1, M2)`, async () => {
      const { scene: s, got } = await scene()
      for (const data of numbered(3)) await s.send('ann', { data, partitionkey: 'k' })
      const dying = dyingAt(s.platform(), name, method)
      await expect(s.done(reassignMail(dying, 'ann', 'bob'))).rejects.toThrow('the process died')
      await s.pass(10 * minute)
      expect(got).toEqual(numbered(3))
      expect((await s.done(s.platform().agent('ann').describe()))?.figures.depth).toBe(0)
    })

    it(`is done once when the process dies ${when} and its agent is deleted meanwhile (M1, M2)`, async () => {
      const { scene: s, got } = await scene()
      const id = await s.send('ann', { data: 1 })
      await s.done(reassignMail(dyingAt(s.platform(), name, method), 'ann', 'bob')).catch(() => undefined)
      expect(await s.done(s.platform().agent('ann').retire('dead'))).toEqual({ status: 'retired' })
      await s.pass(10 * minute)
      expect(got).toEqual([1])
      const { status, reassignedTo = '' } = await s.receipt(id)
      expect([status, (await s.receipt(reassignedTo)).status]).toEqual(['cancelled', 'completed'])
      expect(await s.letters()).toEqual([])
    })

    it(`is done once when the process dies ${when} and the call is repeated at once`, async () => {
      const { scene: s, got } = await scene()
      for (const data of numbered(3)) await s.send('ann', { data, partitionkey: 'k' })
      await s.done(reassignMail(dyingAt(s.platform(), name, method), 'ann', 'bob')).catch(() => undefined)
      await s.done(reassignMail(s.platform(), 'ann', 'bob'))
      await s.pass(10 * minute)
      expect(got).toEqual(numbered(3))
    })
  }

  it('that its agent left lying for too long goes to the fallback by itself, and is done there once (TC2, TC20)', async () => {
    const { scene: s, got } = await scene()
    await s.pull('slow', { alert: { rung: 'claimed', afterSeconds: 30, fallback: 'bob' } })
    const ids = []
    for (const data of numbered(3)) ids.push(await s.send('slow', { data, partitionkey: 'k' }))
    await s.pass(29_000)
    expect(got).toEqual([])
    await s.pass(minute)
    expect(got).toEqual(numbered(3))
    for (const id of ids)
      expect(await s.receipt(id)).toMatchObject({ status: 'cancelled', reassignedTo: expect.stringMatching(/^bob_/) })
  })

  it('goes to a fallback that was named when it already lay there (M6)', async () => {
    const { scene: s, got } = await scene()
    await s.pull('slow')
    await s.send('slow', { data: 0 })
    await s.pull('slow', { alert: { rung: 'claimed', afterSeconds: 30, fallback: 'bob' } })
    await s.pass(minute)
    expect(got).toEqual([0])
  })

  it('for nobody stays untouched, work in flight too', async () => {
    const { scene: s } = await scene()
    const id = await s.send('ann')
    await s.done(s.platform().agent('ann').lease(1, minute, 'token'))
    expect(await s.done(reassignMail(s.platform(), 'ann', 'nobody'))).toEqual({
      ok: false,
      error: { code: 'agent_not_found', agent: 'nobody' },
    })
    expect((await s.receipt(id)).status).toBe('claimed')
  })

  it('beyond what the other mailbox takes stays untouched, and moves when the call is repeated', async () => {
    const { scene: s } = await scene()
    await s.pull('carol', { depth: 2 })
    const ids = []
    for (const data of numbered(3)) ids.push(await s.send('ann', { data }))
    const [last = ''] = ids.slice(-1)
    const refused = await s.done(reassignMail(s.platform(), 'ann', 'carol'))
    expect(refused).toMatchObject({ ok: false, error: { code: 'backpressure', agent: 'carol', depth: 2, max: 2 } })
    expect(await s.receipt(last)).toMatchObject({ status: 'held', because: 'waiting to be leased' })
    const { leases } = await s.done(s.platform().agent('carol').lease(1, minute, 'token'))
    await s.done(
      s
        .platform()
        .agent('carol')
        .cancel(leases[0]?.id ?? ''),
    )
    expect((await s.done(reassignMail(s.platform(), 'ann', 'carol'))).ok).toBe(true)
    expect((await s.receipt(last)).status).toBe('cancelled')
  })
})

describe('a message diverted from an open breaker', () => {
  const ways: readonly [string, string | undefined, keyof AgentPort][] = [
    ['when all goes well', undefined, 'unfinished'],
    ['when the gateway dies before it was fetched', 'down', 'unfinished'],
    ['when the gateway dies before the other mailbox was asked', 'bob', 'accept'],
    ['when the gateway dies after the other mailbox accepted', 'down', 'departed'],
  ]
  for (const [when, name, method] of ways) {
    it(`is done once by the other agent, ${when}, and so is its repeat after the breaker closed (TC1, M1, M2)`, async () => {
      const { scene: s, got } = await scene()
      await s.webhook('down', undefined, { onOpen: { divert: 'bob' } })
      await s.done(s.platform().agent('down').forceBreaker('open', 'admin'))
      const input = { id: 'one', to: 'down', type: 'test.note', data: 1 }
      const platform = name === undefined ? s.platform() : dyingAt(s.platform(), name, method)
      const [answer] = await s.done(publish(platform, { kind: 'admin' }, [input]))
      expect(answer).toMatchObject({ ok: true, value: { deliveries: [{ agent: 'down', diverted: 'bob' }] } })
      await s.pass(10 * minute)
      await s.done(s.platform().agent('down').forceBreaker('closed', 'admin'))
      const [again] = await s.publish([input])
      expect(again).toMatchObject({ ok: true, value: { duplicate: true } })
      await s.pass(minute)
      expect([got, s.callsOf('down')]).toEqual([[1], []])
    })
  }

  it('comes in the order of its key, also when the move of the first was cut off and the later ones moved at once (M3)', async () => {
    const { scene: s, got } = await scene()
    await s.webhook('down', undefined, { onOpen: { divert: 'bob' } })
    await s.done(s.platform().agent('down').forceBreaker('open', 'admin'))
    const inputs = numbered(4).map((data) => ({ to: 'down', type: 'test.note', data, partitionkey: 'k' }))
    const [first, ...later] = inputs
    await s.done(publish(dyingAt(s.platform(), 'bob', 'accept'), { kind: 'admin' }, [first]))
    for (const input of later) await s.publish([input])
    await s.pass(10 * minute)
    expect([got, s.callsOf('down')]).toEqual([numbered(4), []])
  })
})

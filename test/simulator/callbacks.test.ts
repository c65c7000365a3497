/**
 * The mailboxes of callbacks over days: each stays as long as somebody may have something to be told there and anything of it is
 * kept, then the hourly sweep leaves nothing of it; asked for anew it is made anew. Never here: what is told
 * (requests.test.ts, approvals.test.ts).
 */
import { describe, expect, it } from 'vitest'
import type { AgentRecord } from '../../shared/agent.ts'
import { approvalInput } from '../../shared/approval-input.ts'
import { askApproval } from '../../workers/ask-approval.ts'
import { ask } from '../../workers/request.ts'
import { sweep } from '../../workers/sweep.ts'
import { admin, Scene } from './scene.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const json = (value: unknown) => ({ status: 200, body: JSON.stringify(value) })
const callback = { url: 'http://127.0.0.1/told' }

async function asking(more: object = {}) {
  const scene = new Scene()
  await scene.webhook('writer', () => json({ reply: { data: 'done' } }))
  await scene.pull('silent')
  const secrets: (string | undefined)[] = []
  const again = async (asked: object = {}) => {
    const input = { type: 'ask', to: 'writer', callback, ...more, ...asked }
    const opened = await scene.done(ask(scene.platform(), admin, input, { waits: false }))
    if (!opened.ok) throw new Error(JSON.stringify(opened.error))
    secrets.push(opened.value.secrets.callback)
    return opened.value.gather.id
  }
  await again()
  const [name] = scene.sim.agents().filter((one) => one.startsWith('callback-'))
  return { scene, name: name!, again, secrets }
}

/** As the schedule of the deployment has it. */
async function pass(scene: Scene, ms: number): Promise<void> {
  for (const until = scene.world.now + ms; scene.world.now < until; ) {
    await scene.pass(hour)
    await scene.done(sweep(scene.platform()))
  }
}

const listed = async (scene: Scene, name: string) =>
  (await scene.done(scene.platform().directory().findAgent(name))) !== undefined

async function tables(scene: Scene, name: string): Promise<number> {
  const { storage } = await scene.sim.inspect(name)
  return storage.sql.exec("SELECT name FROM sqlite_master WHERE type = 'table'").toArray().length
}

describe('the mailbox of a callback', () => {
  it('goes when nobody need be told there and nothing of it is kept: neither a row nor an entry is left', async () => {
    const { scene, name } = await asking()
    await scene.pass(minute)
    expect(scene.callsOf('told')).toHaveLength(1)
    const [{ storage }, delivery] = [await scene.sim.inspect(name), scene.callsOf('told')[0]!.headers['webhook-id']!]
    await pass(scene, day - hour)
    expect((await scene.receipt(delivery)).status).toBe('completed')
    expect(await listed(scene, name)).toBe(true)
    await pass(scene, 3 * day)
    expect([await listed(scene, name), await tables(scene, name), storage.alarmAt]).toEqual([false, 0, null])
  })

  it('is made anew for who asks anew: told under a new secret, which is told', async () => {
    const { scene, name, again, secrets } = await asking()
    await again()
    await pass(scene, 4 * day)
    expect(await tables(scene, name)).toBe(0)
    await again()
    await scene.pass(minute)
    expect(scene.callsOf('told')).toHaveLength(3)
    expect(secrets).toEqual([expect.stringMatching(/^whsec_/), undefined, expect.stringMatching(/^whsec_/)])
    expect(secrets[2]).not.toBe(secrets[0])
    expect(await listed(scene, name)).toBe(true)
    scene.sim.crashEverything(true)
    await again()
    await scene.pass(minute)
    expect(scene.callsOf('told')).toHaveLength(4)
  })

  it('stays for who is asked often, at a row a day', async () => {
    const { scene, again, secrets, name } = await asking()
    const enrolled: number[] = []
    for (let hours = 0; hours < 72; hours++) {
      await again()
      await pass(scene, hour)
      enrolled.push((await scene.agent(name)).updatedAt)
    }
    expect(secrets.filter((secret) => secret !== undefined)).toHaveLength(1)
    expect(new Set(enrolled).size).toBeLessThanOrEqual(4)
  }, 120_000)

  it.each([
    ['a request', { timeoutSeconds: 5 * 86_400, failureCallback: callback }, 5],
    [
      'one that asks again',
      { timeoutSeconds: 2 * 86_400, onTimeout: { kind: 'retry', times: 2 }, failureCallback: callback },
      6,
    ],
  ])('stays as long as %s waits, however idle it is, and hears of its end (A106)', async (_, more, days) => {
    const { scene, name } = await asking({ to: 'silent', ...more })
    await pass(scene, days * day - 2 * hour)
    expect([await listed(scene, name), scene.callsOf('told')]).toEqual([true, []])
    await pass(scene, 4 * hour)
    expect(scene.callsOf('told')).toHaveLength(1)
    await pass(scene, 5 * day)
    expect(await listed(scene, name)).toBe(false)
  })

  it('stays as long as a question to people waits, in its last stage too (TC11)', async () => {
    const scene = new Scene()
    const escalate = [{ notify: [{ url: 'https://boss.example.com/boss' }], expiresInSeconds: 4 * 86_400 }]
    const input = approvalInput.parse({
      ...{ question: 'Go?', expiresInSeconds: 4 * 86_400, onTimeout: { escalate, finally: 'deny' } },
      callback: { url: 'https://asker.example.com/asker' },
    })
    await scene.done(askApproval(scene.platform(), admin, input, { origin: 'https://s.test', key: 'k' }))
    await pass(scene, 8 * day + 2 * hour)
    expect([scene.callsOf('boss').length, scene.callsOf('asker').length]).toEqual([1, 1])
  })

  it('stays while mail waits in it, and while a dead letter of it may be redriven', async () => {
    const { scene, name } = await asking()
    scene.receiver('told', () => ({ status: 410 }))
    await scene.pass(minute)
    await pass(scene, 5 * day)
    expect(await listed(scene, name)).toBe(true)
    scene.receiver('told', () => ({ status: 422 }))
    await scene.resume(name)
    await scene.pass(minute)
    const [letter] = await scene.letters()
    await pass(scene, 5 * day)
    scene.receiver('told', () => ({ status: 200 }))
    const redriven = await scene.done(scene.platform().agent(name).redrive(letter!.delivery, 'token'))
    expect(redriven.status).toBe('redriven')
    await pass(scene, 5 * day)
    expect(await listed(scene, name)).toBe(false)
  })

  it('of before, which does not know what was asked, stays as long as anything may wait', async () => {
    const { scene, name, again } = await asking()
    const { storage } = await scene.sim.inspect(name)
    const [row] = storage.sql.exec("SELECT value FROM meta WHERE key = 'agent'").toArray()
    const { neededUntil: _, ...before } = JSON.parse(String(row!['value'])) as AgentRecord
    storage.sql.exec("UPDATE meta SET value = ? WHERE key = 'agent'", JSON.stringify(before))
    scene.sim.crashEverything(true)
    await again()
    await pass(scene, 5 * day)
    expect(await listed(scene, name)).toBe(true)
    expect((await scene.agent(name)).neededUntil).toBeGreaterThan(scene.world.now + 100 * day)
  })

  it('that is asked for while the sweep takes it out of the index stays in it', async () => {
    const { scene, name, again } = await asking()
    await pass(scene, 2 * day)
    const platform = scene.platform()
    const directory = platform.directory()
    let removed = 0
    const late = new Proxy(directory, {
      get: (target, method, receiver) =>
        method !== 'removeAgent'
          ? Reflect.get(target, method, receiver)
          : async (...args: Parameters<typeof directory.removeAgent>) => {
              removed += 1
              await again()
              return directory.removeAgent(...args)
            },
    })
    for (let hours = 0; hours < 48 && removed === 0; hours++) {
      await scene.pass(hour)
      await scene.done(sweep({ ...platform, allowance: { legs: 400 }, directory: () => late }))
    }
    expect([removed, await listed(scene, name)]).toEqual([1, true])
  })
})

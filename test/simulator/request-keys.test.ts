/**
 * The key of a request, in virtual time: whom nobody got gives it back, and only then; nothing of what was asked under it before is
 * taken for what is asked now. Never here: what a key names (asked-mailbox.test.ts), a gateway that dies (requests.test.ts).
 */
import { describe, expect, it } from 'vitest'
import type { AgentRecord } from '../../shared/agent.ts'
import { indexEntry } from '../../shared/directory.ts'
import type { Platform } from '../../shared/ports.ts'
import { faultOfRequest, requestView } from '../../shared/request.ts'
import { ask } from '../../workers/request.ts'
import { admin, Scene } from './scene.ts'

const second = 1_000
const minute = 60 * second

// Of one agent it lies in that agent's mailbox, of a skill with others.
const ways = ['writer', 'capability:write']
const seeds = Array.from({ length: 8 }, (_, i) => i + 1)
const everywhere = ways.flatMap((to) => seeds.map((seed) => [to, seed] as const))

async function skilled(scene: Scene, agent: AgentRecord): Promise<void> {
  const entry = { ...indexEntry(agent), capabilities: ['write'] }
  await scene.done(scene.platform().directory().putAgent(entry))
}

/** A webhook that says back what it was asked, behind a breaker that is open. */
async function down(seed: number): Promise<Scene> {
  const scene = new Scene({ seed })
  const echo = (body: string) => ({ status: 200, body: JSON.stringify({ reply: { data: JSON.parse(body).data } }) })
  await skilled(scene, await scene.webhook('writer', ({ body }) => echo(body)))
  await scene.done(scene.platform().agent('writer').forceBreaker('open', 'somebody'))
  return scene
}

async function up(scene: Scene): Promise<void> {
  await scene.done(scene.platform().agent('writer').forceBreaker('closed', 'somebody'))
}

async function asked(platform: Platform, json: object, waits = true) {
  const told = await ask(
    platform,
    admin,
    { type: 'ask', data: 1, timeoutSeconds: 600, ...json },
    { waits, idempotencyKey: 'k' },
  )
  if (!told.ok) throw new Error(JSON.stringify(told.error))
  return told.value
}

async function view(scene: Scene, id: string) {
  const report = await scene.done(scene.platform().gather(id).report())
  if (report === undefined) throw new Error(`no gather ${id}`)
  return requestView(report)
}

describe('a request that an open breaker refused', () => {
  it.each(everywhere)('(A70) is brought to nobody, repeated at once or not: %s, seed %d', async (to, seed) => {
    const scene = await down(seed)
    const [first, again] = await scene.done(
      (async () => [await asked(scene.platform(), { to }), await asked(scene.platform(), { to })] as const)(),
    )
    for (const { gather } of [first, again]) expect(faultOfRequest(gather)).toMatchObject({ code: 'breaker_open' })
    await scene.pass(minute)
    await up(scene)
    await scene.pass(2 * minute)
    expect(scene.calls).toEqual([])
  })

  it.each(everywhere)(
    'G1: has given its key back, for what is asked next alone, though its gateway died: %s, seed %d',
    async (to, seed) => {
      const scene = await down(seed)
      const dead = { ...scene.platform(), waitUntil: () => undefined }
      const again = await scene.done(
        (async () => {
          await asked(dead, { to, data: 'first' })
          return asked(scene.platform(), { to, data: 'second', whenOpen: 'wait' }, false)
        })(),
      )
      expect(again.opened).toBe(true)
      await scene.pass(minute)
      await up(scene)
      await scene.pass(2 * minute)
      expect((await view(scene, again.gather.id)).reply?.data).toBe('second')
      expect(scene.calls).toHaveLength(1)
    },
  )

  it.each(ways)('is asked by its repeat once the breaker is closed: %s', async (to) => {
    const scene = await down(1)
    await scene.done(asked(scene.platform(), { to }))
    await up(scene)
    const again = await scene.done(asked(scene.platform(), { to }))
    await scene.pass(minute)
    expect([again.opened, (await view(scene, again.gather.id)).status, scene.calls.length]).toEqual([
      true,
      'replied',
      1,
    ])
  })
})

describe('a request whose second asking was refused', () => {
  it.each(ways)('G1: keeps its key, because the first may be being worked on, and says so: %s', async (to) => {
    const scene = new Scene()
    await skilled(scene, await scene.pull('writer', { depth: 1, concurrency: 1 }))
    const json = { to, timeoutSeconds: 60, onTimeout: { kind: 'retry', times: 1 } }
    const { gather } = await scene.done(asked(scene.platform(), { ...json, data: 'first' }, false))
    const [lease] = (
      await scene.done(
        scene
          .platform()
          .agent('writer')
          .lease(1, 10 * minute, 'w'),
      )
    ).leases
    await scene.pass(70 * second)
    expect((await view(scene, gather.id)).problem).toMatchObject({
      code: 'request_failed',
      detail: expect.stringContaining('its mailbox was full when it was asked again'),
    })
    const repeated = await scene.done(asked(scene.platform(), { ...json, data: 'first' }, false))
    expect([repeated.opened, repeated.gather.openedAt]).toEqual([false, gather.openedAt])
    await expect(scene.done(asked(scene.platform(), { ...json, data: 'second' }, false))).rejects.toThrow('key_reused')
    const outcome = { kind: 'ok', result: 'the first' } as const
    const { id, token } = lease!
    await scene.done(
      scene
        .platform()
        .agent('writer')
        .settle([{ id, token, outcome, external: true }]),
    )
    await scene.pass(minute)
    expect(await view(scene, gather.id)).toMatchObject({
      status: 'failed',
      beside: [{ standing: 'late', reply: { data: 'the first' } }],
    })
  })
})

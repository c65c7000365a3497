/** Gathers are found by a number that is made of their id, and those that the broker names lie in the order in which they were asked. */
import { describe, expect, it } from 'vitest'
import { requestView } from '../../shared/request.ts'
import { ask } from '../../workers/request.ts'
import { asBefore, expectNumbered, gatherRowLaws } from '../durable-objects/gather-rows.laws.ts'
import { gathersIn } from './platform.ts'
import { admin, Scene } from './scene.ts'
import { SimStorage } from './storage.ts'

const second = 1_000

const echo = (body: string) => ({ status: 200, body: JSON.stringify({ reply: { data: JSON.parse(body).data } }) })

async function asked(scene: Scene, data: string): Promise<string> {
  const input = { to: 'writer', type: 'ask', data, timeoutSeconds: 600 }
  const told = await scene.done(ask(scene.platform(), admin, input, { waits: false }))
  if (!told.ok) throw new Error(JSON.stringify(told.error))
  return told.value.gather.id
}

async function view(scene: Scene, id: string) {
  const report = await scene.done(scene.platform().gather(id).report())
  if (report === undefined) throw new Error(`no gather ${id}`)
  return requestView(report)
}

describe('the row of a gather', () => gatherRowLaws(async (work) => work(new SimStorage())))

describe('requests of one agent', () => {
  it('lie by number in the order in which they were asked, over or not', async () => {
    const scene = new Scene()
    await scene.webhook('writer', ({ body }) => echo(body))
    const ids: string[] = []
    for (let n = 0; n < 20; n++) {
      ids.push(await asked(scene, `question ${n}`))
      await scene.pass(50)
    }
    await scene.pass(10 * second)
    for (const id of ids) expect((await view(scene, id)).status).toBe('replied')
    const { storage } = await scene.sim.inspect('writer')
    expectNumbered(storage.sql)
    const rows = storage.sql.exec('SELECT id FROM gathers ORDER BY key').toArray()
    expect(rows.map(({ id }) => id)).toEqual(ids)
  })

  it('of before are laid out anew when their mailbox wakes: what is open is answered, what was answered can be read (M1)', async () => {
    const scene = new Scene()
    let waitsMs = 0
    await scene.webhook('writer', async ({ body }) => {
      await scene.sleep(waitsMs)
      return echo(body)
    })
    const done = await asked(scene, 'done')
    await scene.pass(second)
    waitsMs = 20 * second
    const open = await asked(scene, 'open')
    await scene.pass(second)
    const { sql } = (await scene.sim.inspect('writer')).storage
    asBefore(sql)
    scene.sim.crashEverything(true)
    await scene.pass(300 * second)
    expectNumbered(sql)
    for (const [id, data] of [
      [done, 'done'],
      [open, 'open'],
    ] as const)
      expect(await view(scene, id)).toMatchObject({ status: 'replied', reply: { data } })
    expect(gathersIn((await scene.sim.inspect('writer')).storage)).toHaveLength(2)
  })
})

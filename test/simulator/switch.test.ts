/** The switch: stopped, nothing new is taken from anybody, nothing is lost, and it all goes on when it runs again. */
import { describe, expect, it } from 'vitest'
import { indexEntry } from '../../shared/directory.ts'
import { switchRememberedMs } from '../../shared/switch.ts'
import { turn } from '../../workers/switch.ts'
import { Scene } from './scene.ts'

const second = 1_000
const minute = 60 * second

const put = (scene: Scene, state: 'stopped' | 'running', reason?: string) =>
  scene.done(turn(scene.platform(), { state, by: 'admin', ...(reason === undefined ? {} : { reason }) }))

describe('a deployment that is stopped', () => {
  it('takes nothing new, accepts what is published, and delivers all of it when it runs again (TC5, M1)', async () => {
    const scene = new Scene()
    for (const name of ['ada', 'bob']) {
      const agent = await scene.webhook(name)
      await scene.done(scene.platform().directory().putAgent(indexEntry(agent)))
    }
    await put(scene, 'stopped', 'a bad model')
    const ids = await Promise.all(['ada', 'bob', 'ada'].map((name) => scene.send(name)))
    await scene.pass(20 * minute)
    expect(scene.calls).toEqual([])
    for (const id of ids) expect(await scene.receipt(id)).toMatchObject({ status: 'queued', attempt: 0, attempts: [] })

    await put(scene, 'running')
    // Its mailboxes are told, and need not wait for their own repeats.
    await scene.pass(2 * second)
    expect(scene.calls).toHaveLength(3)
  })

  it('stays so through a restart', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    await put(scene, 'stopped')
    scene.sim.crashEverything(true)
    await scene.send('ada')
    await scene.pass(20 * minute)
    expect(scene.calls).toEqual([])
  })

  it('is noticed by every isolate within five seconds; what is in flight goes on to its end', async () => {
    const scene = new Scene()
    await scene.webhook('ada', async () => {
      await scene.sleep(10 * second)
      return { status: 200 }
    })
    const begun = await scene.send('ada')
    await scene.pass(second)
    // Turned by another isolate: this one remembers that it runs.
    await scene.done(scene.platform().directory().turn({ state: 'stopped', by: 'admin' }))
    await scene.pass(switchRememberedMs)
    const late = await scene.send('ada')
    await scene.pass(20 * second)
    expect((await scene.receipt(begun)).status).toBe('completed')
    expect((await scene.receipt(late)).attempts).toEqual([])
    expect(scene.calls).toHaveLength(1)
  })

  it('drops what goes at most once, and says so', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    await put(scene, 'stopped', 'a bad model')
    const [answer] = await scene.publish([{ to: 'ada', type: 'x', deliverymode: 'at_most_once' }])
    await scene.pass(second)
    const id = answer?.ok === true ? answer.value.deliveries[0]!.id : ''
    expect(await scene.receipt(id)).toMatchObject({
      status: 'failed',
      steps: [{ step: 'dropped', detail: 'the deployment is stopped: a bad model' }, { step: 'failed' }],
    })
  })

  it('is not stopped by a directory that does not answer, and not let run by one', async () => {
    const silent = { on: false }
    const scene = new Scene({
      ports: (platform) => ({
        directory: () =>
          new Proxy(platform.directory(), {
            get: (port, method) =>
              method === 'turned' && silent.on ? () => Promise.reject(new Error('silence')) : Reflect.get(port, method),
          }),
      }),
    })
    await scene.webhook('ada')
    silent.on = true
    await scene.send('ada')
    await scene.pass(second)
    expect(scene.calls).toHaveLength(1)
    silent.on = false
    await put(scene, 'stopped')
    await scene.pass(minute)
    await scene.send('ada')
    silent.on = true
    await scene.pass(5 * minute)
    expect(scene.calls).toHaveLength(1)
  })
})

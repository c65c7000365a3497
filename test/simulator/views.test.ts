/** Views through trouble: whoever goes on with a publication where another was cut short hands over no more than was asked for. */
import { expect, it } from 'vitest'
import { indexEntry } from '../../shared/directory.ts'
import { publish } from '../../workers/publish.ts'
import { Invocation, noFaults } from './platform.ts'
import { Scene } from './scene.ts'

it.each([
  ['each is handed what it asked for (A40, M1)', {}],
  ['who catches it, too (A11, A40)', { catchAll: true }],
])('a publish that dies before it asks its legs: %s', async (_, catching) => {
  const scene = new Scene()
  for (const name of ['ada', 'bob']) {
    await scene.done(
      scene
        .platform()
        .directory()
        .putAgent(indexEntry(await scene.webhook(name))),
    )
    const input = { agent: name, topic: 'news', ...(name === 'ada' ? { select: ['title'] } : {}), ...catching }
    await scene.done(scene.platform().directory().putSubscription(name, input, { max: 10 }))
  }
  const invocation = new Invocation()
  const platform = scene.platform(invocation)
  const dead = { ...platform, agent: () => new Proxy({}, { get: () => () => new Promise(() => undefined) }) as never }
  const message = { topic: 'news', type: 'x', data: { title: 'Tea', raw: 'x' } }
  publish(dead, { kind: 'admin' }, [message]).catch(() => undefined)
  await scene.pass(1_000)
  invocation.alive = false
  expect(scene.calls).toEqual([])
  scene.sim.faults = noFaults
  await scene.pass(60_000)
  const got = (name: string) => scene.callsOf(name).map((call) => JSON.parse(call.body).data)
  expect([got('ada'), got('bob')]).toEqual([[{ title: 'Tea' }], [message.data]])
})

/** Detaching an observer: what waits for it is cancelled, however much else is or was in its mailbox. Never here: HTTP (test/workers/observers.test.ts). */
import { expect, it } from 'vitest'
import { indexEntry } from '../../shared/directory.ts'
import { ownTopic } from '../../shared/observer.ts'
import { detach } from '../../workers/detach.ts'
import { incoming } from '../shared/mailbox-fixtures.ts'
import { Scene } from './scene.ts'

it('cancels all that waits of its topic, in more than one step, and nothing else (A64)', async () => {
  const scene = new Scene()
  const agent = await scene.pull('watcher', { depth: 10_000 })
  await scene.done(scene.platform().directory().putAgent(indexEntry(agent)))
  const mailbox = () => scene.platform().agent('watcher')
  const brought = async (stem: string, count: number, topic: string) => {
    for (let n = 0; n < count; n += 100) {
      const some = Array.from({ length: 100 }, (_, i) => incoming(`${stem}-${n + i}`, { topic }))
      await scene.done(mailbox().accept(some, `${stem} ${n}`))
    }
  }
  await brought('event', 5_200, ownTopic('ada'))
  await brought('other', 100, 'elsewhere')
  const { leases } = await scene.done(mailbox().lease(1, 60_000, 'take'))
  expect(await scene.done(detach(scene.platform(), 'ada', 'watcher', undefined))).toBe('detached')
  // The others, and the one that is worked on.
  expect((await scene.done(mailbox().stats()))?.figures.depth).toBe(101)
  expect((await scene.receipt(leases[0]!.id)).status).toBe('claimed')
})

/** The presence of pullers: that it outlives its object's memory, and that who is quiet is not chosen before who is there. */
import { describe, expect, it } from 'vitest'
import { indexEntry } from '../../shared/directory.ts'
import { incoming } from '../shared/mailbox-fixtures.ts'
import { LoneMailbox } from './lone-mailbox.ts'
import { Scene } from './scene.ts'

const minute = 60_000

describe('a puller whose object forgets all it remembers', () => {
  const quiet = ({ object }: LoneMailbox) => object.describe()?.figures.quiet

  it('is not taken for gone while it asks every few minutes', () => {
    const home = new LoneMailbox()
    home.enrol({ kind: 'pull' })
    for (let asked = 0; asked < 60; asked++) {
      home.now += 3 * minute
      home.restart()
      expect([asked, quiet(home)]).toEqual([asked, undefined])
      home.object.lease(1, minute, `take ${asked}`)
    }
    home.now += 12 * minute
    home.restart()
    expect(quiet(home)).toMatch(/^quiet/)
  })

  it('is known by the leases that it got', () => {
    const home = new LoneMailbox()
    home.enrol({ kind: 'pull' })
    home.now += 60 * minute
    home.object.accept([incoming('a')], 'call')
    const [lease] = home.object.lease(1, minute, 'take').leases
    home.object.settle([{ id: lease!.id, token: lease!.token, outcome: { kind: 'ok' }, external: true }])
    home.now += 9 * minute
    home.restart()
    expect(quiet(home)).toBeUndefined()
    home.now += minute
    expect(quiet(home)).toBeDefined()
  })
})

describe('of those that have a skill', () => {
  it('one that asks for its mail is chosen before one that does not; whoever sends to that one is told (TC12, A116)', async () => {
    const scene = new Scene()
    const directory = scene.platform().directory()
    for (const name of ['gone', 'there']) {
      const entry = indexEntry(await scene.pull(name))
      await scene.done(directory.putAgent({ ...entry, capabilities: ['sum'] }))
    }
    for (let n = 0; n < 15; n++) {
      await scene.done(scene.platform().agent('there').lease(1, minute, `take ${n}`))
      await scene.pass(minute)
    }
    for (let n = 0; n < 12; n++) await scene.send('capability:sum')
    const held = async (name: string) => (await scene.done(scene.platform().agent(name).describe()))?.figures.depth
    expect([await held('there'), await held('gone')]).toEqual([12, 0])
    const [told] = await scene.publish([{ to: 'gone', type: 'test.note' }])
    expect(told).toMatchObject({
      ok: true,
      value: { deliveries: [{ agent: 'gone', away: { why: 'quiet: it has never asked for its mail' } }] },
    })
  })

  it('one that is quiet gets it where nobody else is there: its mail waits for it', async () => {
    const scene = new Scene()
    const entry = indexEntry(await scene.pull('gone'))
    await scene.done(
      scene
        .platform()
        .directory()
        .putAgent({ ...entry, capabilities: ['sum'] }),
    )
    await scene.pass(60 * minute)
    await scene.send('capability:sum')
    expect((await scene.done(scene.platform().agent('gone').describe()))?.figures.depth).toBe(1)
  })
})

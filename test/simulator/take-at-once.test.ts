/**
 * One call that accepts a message and leases it for a caller who delivers it at once (workers/express.ts). Never here: what comes of the
 * attempt, or of a gateway that dies with it (requests.test.ts).
 */
import { describe, expect, it } from 'vitest'
import type { Registration } from '../../shared/agent.ts'
import { switchRememberedMs } from '../../shared/switch.ts'
import { accept } from '../../workers/accept.ts'
import { turn } from '../../workers/switch.ts'
import { takeToken } from '../../workers/take.ts'
import { incoming, ok } from '../shared/mailbox-fixtures.ts'
import { LoneMailbox } from './lone-mailbox.ts'
import { Scene } from './scene.ts'

const webhook = { kind: 'webhook', url: 'http://127.0.0.1/ada' } as const

class Home extends LoneMailbox {
  constructor(registration: Partial<Registration> = {}) {
    super()
    this.enrol({ ...webhook, ...registration })
  }

  accept(id: string, take?: string) {
    const { admissions, references, taken } = this.object.accept([incoming(id)], `accept-${id}`, take)
    const [admission] = admissions
    if (admission === undefined || !('id' in admission)) throw new Error(JSON.stringify(admission))
    return { id: admission.id, references, leases: taken?.leases ?? [] }
  }
}

describe('a message that is accepted for whoever delivers it at once', () => {
  it('comes back leased, with its body, and no reference to it goes to anybody', () => {
    const home = new Home()
    const { id, leases, references } = home.accept('a', 'mine')
    expect(leases).toMatchObject([{ id, body: incoming('a').body, attempt: 1 }])
    expect(references).toEqual([])
    expect(home.object.take([id], 'another').leases).toEqual([])
    expect(home.object.holds(id, leases[0]!.token)).toBe(true)
    const report = { id, token: leases[0]!.token, outcome: ok(), external: false }
    expect(home.object.settle([report]).settlements).toMatchObject([{ status: 'settled' }])
    expect(home.object.receipt(id)).toMatchObject({ status: 'completed', attempt: 1 })
  })

  it('has the same lease when the call is repeated, and none for another call; after a restart it may have begun, and goes alone (M4)', () => {
    const home = new Home()
    const first = home.accept('a', 'mine')
    expect(home.accept('a', 'mine').leases).toEqual(first.leases)
    expect(home.accept('a', 'another').leases).toEqual([])
    home.restart()
    expect(home.accept('a', 'mine')).toEqual({
      id: first.id,
      references: [{ deliveries: [first.id], alone: true }],
      leases: [],
    })
  })

  it('is repeated to nobody once it has ended', () => {
    const home = new Home()
    const { id, leases } = home.accept('a', 'mine')
    home.object.settle([{ id, token: leases[0]!.token, outcome: ok(), external: false }])
    expect(home.accept('a', 'mine')).toEqual({ id, references: [], leases: [] })
  })

  it('waits in line where there is no place, and others that go are told by reference (M5)', () => {
    const home = new Home({ policy: { concurrency: 2 } })
    home.object.pause('later', undefined)
    const waiting = home.accept('waits').id
    home.object.resume('token')
    expect(home.accept('a', 'mine').leases).toHaveLength(1)
    expect(home.accept('b', 'yours')).toMatchObject({ leases: [], references: [] })
    expect(home.object.take([waiting], 'queue').leases).toHaveLength(1)
  })

  it('is not leased behind a pause, to a puller, or with a batch to come', () => {
    const paused = new Home()
    paused.object.pause('later', undefined)
    expect(paused.accept('a', 'mine')).toMatchObject({ leases: [], references: [] })
    const puller = new Home({ kind: 'pull', url: undefined } as never)
    expect(puller.accept('a', 'mine')).toMatchObject({ leases: [], references: [] })
    const batches = new Home({ policy: { batch: { size: 2, waitSeconds: 60 } } })
    expect(batches.accept('a', 'mine')).toMatchObject({ leases: [], references: [] })
  })

  it('M6: has an alarm for the end of its lease', () => {
    const home = new Home()
    home.storage.alarmAt = null
    home.restart()
    home.accept('a', 'mine')
    expect(home.storage.alarmAt).toBeLessThanOrEqual(home.now + 5_000)
  })

  it('is leased to nobody while the deployment is stopped (TC5)', async () => {
    const scene = new Scene()
    await scene.webhook('ada')
    const put = (state: 'stopped' | 'running') => scene.done(turn(scene.platform(), { state, by: 'admin' }))
    await put('stopped')
    expect(await scene.done(takeToken(scene.platform()))).toBeUndefined()
    await put('running')
    await scene.pass(switchRememberedMs)
    const platform = scene.platform()
    const token = await scene.done(takeToken(platform))
    const answer = await scene.done(accept(platform, 'ada', [incoming('a')], 'token', token))
    expect(answer.taken?.leases).toHaveLength(1)
  })
})

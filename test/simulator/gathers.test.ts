/**
 * An object that has many gathers, over the simulator's SQLite: they share an alarm and nothing else. Never here: what becomes of a
 * request (requests.test.ts).
 */
import { describe, expect, it } from 'vitest'
import { GatherObject } from '../../durable-objects/gather.ts'
import { type GatherOpening, gatherId, gatherKeptMs, isGatherId } from '../../shared/gather.ts'
import { digestIn, gatherPlace } from '../../shared/gather-place.ts'
import { rowKey } from '../../shared/ids.ts'
import { gathersIn } from './platform.ts'
import { SimStorage } from './storage.ts'

const second = 1_000
const hour = 3_600 * second

const head = {
  specversion: '1.0',
  id: 'm',
  source: 'admin',
  type: 'x',
  time: '',
  correlationid: 'm',
  to: 'ada',
} as const

function opening(id: string, more: Partial<GatherOpening> = {}): GatherOpening {
  const asked = {
    id,
    owner: 'admin',
    contentHash: id,
    head,
    hops: 0,
    timeoutMs: 60 * second,
    path: [],
    agents: ['ada'],
  }
  return { ...asked, join: { kind: 'all' }, onTimeout: { kind: 'error' }, ...more }
}

const arrivalOf = (id: string, key = 'k') => ({ by: 'ada', key, delivery: 'd', of: { id: `${id}-1`, source: 'admin' } })

class Place {
  readonly storage = new SimStorage()
  readonly sent: string[] = []
  now = 1_000 * hour
  armed = 0
  object = this.#made()

  constructor() {
    const setAlarm = this.storage.setAlarm.bind(this.storage)
    this.storage.setAlarm = (at) => {
      this.armed += 1
      return setAlarm(at)
    }
  }

  #made(): GatherObject {
    const send = async ({ gather }: { gather: string }) => void this.sent.push(gather)
    const env = { DELIVERIES: { send }, WORK: { send } }
    return new GatherObject({ storage: this.storage } as never, env as never, { now: () => this.now })
  }

  restart(): void {
    this.object = this.#made()
  }

  /** Time passes until the alarm is due, and it rings. */
  async ring(): Promise<void> {
    this.now = Math.max(this.now, this.storage.alarmAt ?? Number.NaN)
    this.storage.alarmAt = null
    await this.object.alarm()
  }

  answer(id: string): void {
    this.object.open(id, opening(id), [`asks ${id}`])
    this.object.arrive(id, arrivalOf(id), `answers ${id}`)
  }
}

describe('requests', () => {
  it('of one agent lie in its mailbox, which their ids name', () => {
    const id = gatherId('admin', 'key', '', 'ada-2')
    expect(isGatherId(id)).toBe(true)
    expect(gatherPlace(id)).toEqual({ kind: 'mailbox', agent: 'ada-2' })
    expect(id).not.toBe(gatherId('admin', 'key', '', 'ada'))
  })

  it('of a skill share 32 objects, by their ids alone; a scatter, and an id of before, has one of its own', () => {
    const ids = Array.from({ length: 2_000 }, (_, i) => gatherId('admin', `key ${i}`, ''))
    expect(ids.every(isGatherId)).toBe(true)
    const places = ids.map(gatherPlace).map((place) => (place.kind === 'gathers' ? place.name : ''))
    expect(new Set(places).size).toBe(32)
    for (const own of [`s-${'a'.repeat(26)}`, `g-${'a'.repeat(26)}`])
      expect(gatherPlace(own)).toEqual({ kind: 'gathers', name: own })
  })

  it('of a skill that are asked together are spread as any, and each object has its own in the order in which they were asked', () => {
    const at = Date.UTC(2026, 10, 22)
    const ids = Array.from({ length: 2_000 }, (_, i) =>
      gatherId('admin', undefined, `dice ${i}`, undefined, at + i * 4),
    )
    expect(ids.every(isGatherId)).toBe(true)
    const pools = Map.groupBy(ids, (id) => JSON.stringify(gatherPlace(id)))
    expect(pools.size).toBe(32)
    for (const [, pool] of pools) {
      expect(pool.length).toBeLessThan(2 * (2_000 / 32))
      const numbers = pool.map((id) => rowKey(digestIn(id)))
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
    }
  })

  it('lie where they lay before their ids said when they were asked, and have the id that their key gave them', () => {
    for (const [id, now] of [
      ['r-kq6xfduoxcawtz7mkluiht7c53', undefined],
      ['r-kuduc2uoxcawtz7mkluiht7c53', 1_000 * hour],
    ] as const) {
      expect(gatherId('admin', undefined, 'dice', undefined, now)).toBe(id)
      expect(gatherPlace(id)).toEqual({ kind: 'gathers', name: 'pool-k' })
    }
    expect(gatherId('admin', 'key', '', 'ada', 1_000 * hour)).toBe('r-4wdsq3tgn7toxch3wxch7wmtzd_ada')
  })

  it('of one object see nothing of each other’s texts, also after a restart (S2)', () => {
    const place = new Place()
    for (const id of ['r-a', 'r-b']) place.object.open(id, opening(id), [`asks ${id}`])
    place.object.arrive('r-a', arrivalOf('r-a'), 'answers r-a')
    for (const _ of ['before', 'after']) {
      expect(place.object.report('r-a')?.replies).toEqual([{ n: 1, body: 'answers r-a' }])
      expect(place.object.report('r-b')).toMatchObject({ gather: { id: 'r-b' }, replies: [] })
      expect(place.object.unfinished('r-a')).toBeUndefined()
      expect(place.object.unfinished('r-b')?.bodies).toEqual(['asks r-b'])
      expect(place.object.results('r-b', 1)?.replies).toEqual([])
      place.restart()
    }
    expect(place.object.report('r-c')).toBeUndefined()
  })
})

describe('an object of more requests than it remembers', () => {
  it('has each as it is stored', () => {
    const place = new Place()
    const ids = Array.from({ length: 100 }, (_, i) => gatherId('admin', `key ${i}`, ''))
    for (const id of ids) place.object.open(id, opening(id), [`asks ${id}`])
    for (const id of ids) place.object.arrive(id, arrivalOf(id), `answers ${id}`)
    for (const id of ids)
      expect(place.object.report(id)).toMatchObject({
        gather: { id, told: true },
        replies: [{ body: `answers ${id}` }],
      })
  })
})

describe('a request with a large context', () => {
  it('is not kept in memory, and goes on as any other', () => {
    const place = new Place()
    const reads: string[] = []
    const { exec } = place.storage.sql
    place.storage.sql.exec = (query, ...bindings) => {
      if (query.startsWith('SELECT record FROM gathers')) reads.push(String(bindings.at(-1)))
      return exec(query, ...bindings)
    }
    for (const [id, context] of [
      ['r-small', 'x'.repeat(4_000)],
      ['r-large', 'x'.repeat(60_000)],
    ] as const) {
      place.object.open(id, opening(id, { context }), ['{}'])
      place.object.arrive(id, arrivalOf(id), 'reply')
      expect(place.object.report(id)).toMatchObject({ gather: { context, outcome: { status: 'replied' } } })
    }
    expect(reads).toEqual(['r-large', 'r-large', 'r-large'])
  })
})

describe('the one alarm of many gathers', () => {
  it('is armed again only by one that is due earlier', () => {
    const place = new Place()
    place.object.open('r-a', opening('r-a'), ['{}'])
    const [armed, at] = [place.armed, place.storage.alarmAt]
    place.now += second
    for (const id of ['r-b', 'r-c']) place.answer(id)
    expect([place.armed, place.storage.alarmAt]).toEqual([armed, at])
    place.object.open('r-d', opening('r-d', { timeoutMs: second }), ['{}'])
    expect([place.armed, place.storage.alarmAt]).toEqual([armed + 1, place.now + second])
  })

  it('M6: is for whichever is due first after a restart, and after it was lost', () => {
    for (const lose of [
      (place: Place) => place.restart(),
      (place: Place) => {
        place.now += 60 * second
      },
    ]) {
      const place = new Place()
      place.object.open('r-a', opening('r-a'), ['{}'])
      place.storage.alarmAt = null
      lose(place)
      place.answer('r-b')
      expect(place.storage.alarmAt).toBe(Math.max(place.now, gathersIn(place.storage)[0]!.dueAt))
    }
  })

  it('M6: rings for the others when one of them cannot be read', async () => {
    const place = new Place()
    for (const id of ['r-a', 'r-b']) place.object.open(id, opening(id), ['{}'])
    place.storage.sql.exec("UPDATE gathers SET record = '{' WHERE id = 'r-a'")
    place.restart()
    await place.ring()
    expect(place.sent).toEqual(['r-b'])
    expect(place.storage.alarmAt).toBeGreaterThan(place.now)
    await place.ring()
    expect(place.sent).toEqual(['r-b', 'r-b'])
  })

  it('M6: a save that failed leaves neither a gather nor an alarm that memory believes in', () => {
    const place = new Place()
    place.storage.failNextCommit = true
    expect(() => place.object.open('r-a', opening('r-a'), ['{}'])).toThrow()
    expect([place.object.report('r-a'), place.storage.alarmAt]).toEqual([undefined, null])
    place.object.open('r-b', opening('r-b'), ['{}'])
    expect(place.storage.alarmAt).toBe(place.now + 5 * second)
  })

  it('looks at a hundred at a time, and rings again at once for the others', async () => {
    const place = new Place()
    const ids = Array.from({ length: 250 }, (_, i) => gatherId('admin', `key ${i}`, ''))
    for (const id of ids) place.object.open(id, opening(id), ['{}'])
    const told: number[] = []
    for (let rings = 0; rings < 3; rings++) {
      await place.ring()
      told.push(place.sent.length)
    }
    expect(told).toEqual([100, 200, 250])
    expect(new Set(place.sent).size).toBe(250)
    expect(place.storage.alarmAt).toBe(place.now + 5 * second)
  })

  it('forgets each a day after it is over, within the hour, and the last with all tables', async () => {
    const place = new Place()
    place.answer('r-a')
    const over = place.now
    place.object.arrive('r-a', arrivalOf('r-a', 'late'), 'late')
    place.now += 3 * hour
    place.answer('r-b')
    place.object.arrive('r-b', arrivalOf('r-b', 'late'), 'late')
    expect(place.object.report('r-b')?.replies.map(({ n }) => n)).toEqual([1, 2])
    while (place.object.report('r-a') !== undefined) await place.ring()
    expect(place.now - over).toBeGreaterThanOrEqual(gatherKeptMs)
    expect(place.now - over).toBeLessThanOrEqual(gatherKeptMs + hour)
    expect(place.object.report('r-b')?.replies).toHaveLength(2)
    const kept = ['id FROM gathers', 'gather AS id FROM gather_texts'].map((what) =>
      place.storage.sql.exec(`SELECT ${what}`).toArray(),
    )
    expect(kept).toEqual([[{ id: 'r-b' }], [{ id: 'r-b' }]])
    while (place.storage.alarmAt !== null) await place.ring()
    expect(place.storage.sql.exec('SELECT name FROM sqlite_master').toArray()).toEqual([])
    place.answer('r-c')
    expect(place.object.report('r-c')?.replies).toHaveLength(1)
  })
})

describe('an object of before', () => {
  it('M1: keeps its one gather, what it asks, and what was answered', async () => {
    const place = new Place()
    const ids = { request: `g-${'a'.repeat(26)}` }
    place.object.open(ids.request, opening(ids.request, { agents: ['ada', 'bob'], scatter: {} }), ['one', 'two'])
    const { sql } = place.storage
    const before = [
      'CREATE TABLE gather (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID',
      'CREATE TABLE texts (kind TEXT NOT NULL, n INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, n)) WITHOUT ROWID',
      'CREATE TABLE legs (n INTEGER PRIMARY KEY, record TEXT NOT NULL)',
    ]
    const moved = [
      'INSERT INTO gather SELECT id, record FROM gathers',
      "INSERT INTO texts SELECT 'ask', 1, ask FROM gathers UNION SELECT kind, n, body FROM gather_texts",
      'INSERT INTO legs SELECT n, record FROM gather_legs',
    ]
    for (const statement of [...before, ...moved]) sql.exec(statement)
    const report = place.object.report(ids.request)
    for (const table of ['gathers', 'gather_texts', 'gather_legs']) sql.exec(`DROP TABLE ${table}`)
    place.restart()
    expect(place.object.report(ids.request)).toEqual(report)
    expect(place.object.unfinished(ids.request)?.bodies).toEqual(['one', 'two'])
    await place.ring()
    expect(place.sent).toEqual([ids.request])
    expect(place.storage.alarmAt).toBe(place.now + 5 * second)
  })
})

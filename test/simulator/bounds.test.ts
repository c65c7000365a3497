/**
 * Limits that an object's storage or a walk over objects holds to, each reached on the simulator's SQL: what is at the limit is
 * there, one more gives way, waits or is refused. Never here: what schemas refuse (test/shared/bounds.test.ts), what routes do
 * (test/workers/bounds.test.ts).
 */
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { AgentObject } from '../../durable-objects/agent.ts'
import { DeadLettersObject } from '../../durable-objects/dead-letters.ts'
import { DirectoryObject } from '../../durable-objects/directory.ts'
import { RequestsObject } from '../../durable-objects/requests.ts'
import { WorkflowIndexObject } from '../../durable-objects/workflow-index.ts'
import { indexEntry } from '../../shared/directory.ts'
import { limits } from '../../shared/limits.ts'
import type { Head } from '../../shared/message.ts'
import { resolvePermissions } from '../../shared/permissions.ts'
import type { Platform } from '../../shared/ports.ts'
import { open, type Publication, publicationId } from '../../shared/publication.ts'
import { correlate } from '../../workers/correlate.ts'
import { type AnyAgent, defineBatchAgent } from '../../workers/define.ts'
import { putDefinition } from '../../workers/definitions.ts'
import { expand } from '../../workers/expand.ts'
import { explore } from '../../workers/explore.ts'
import { askLegs } from '../../workers/gather.ts'
import { perform } from '../../workers/perform.ts'
import { scatter } from '../../workers/scatter.ts'
import { withSuggestions } from '../../workers/suggest.ts'
import { incoming } from '../shared/mailbox-fixtures.ts'
import { admin, Scene } from './scene.ts'
import { SimStorage } from './storage.ts'

const minute = 60_000
const numbered = (n: number) => Array.from({ length: n }, (_, i) => i)

/** Rows 1 to n, made by SQL: a table `numbers` to select from. */
const upTo = (n: number) => `WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${n})`

const stateOf = (storage: SimStorage) => ({ storage }) as unknown as DurableObjectState
const clock = { now: () => 1_000, random: () => 0 }

describe('what an object keeps', () => {
  it('pending requests of one asker: of more than the list holds, the one that is over first gives way', () => {
    const storage = new SimStorage()
    const requests = new RequestsObject(stateOf(storage), {} as Env, clock)
    const put = (n: number) => requests.put({ id: `r-${n}`, openedAt: n, deadlineAt: 10_000_000 + n })
    put(0)
    storage.sql.exec(
      `INSERT INTO pending (id, opened_at, deadline_at)
       ${upTo(limits.requestsListed - 1)} SELECT 'r-' || n, n, 10000000 + n FROM numbers`.replace(/\s+/g, ' '),
    )
    const ids = () => requests.list(undefined, 2).items.map((one) => one.id)
    put(limits.requestsListed - 1)
    expect(ids()).toEqual(['r-0', 'r-1'])
    put(limits.requestsListed)
    expect(ids()).toEqual(['r-1', 'r-2'])
  })

  it('how long states last: of so many, and of those further on as well; a new one is left out', () => {
    const storage = new SimStorage()
    const index = new WorkflowIndexObject(stateOf(storage), {}, clock)
    storage.sql.exec(
      `INSERT INTO durations (definition, state, visits, total_ms, longest_ms) ${upTo(limits.durationsKept - 1)} SELECT 'd', 's-' || n, 1, 1, 1 FROM numbers`,
    )
    const listed = {
      status: 'running' as const,
      createdAt: 0,
      createdBy: 'admin',
      definition: { name: 'd', version: 1 },
    }
    const ended = (n: number, state: string) =>
      index.put(
        { v: 1, id: 'w', n, ...listed },
        {
          [state]: { visits: 1, totalMs: 5, longestMs: 5 },
        },
      )
    ended(1, 'last')
    ended(2, 'more')
    ended(3, 's-1')
    const kept = index.durations()
    expect(kept).toHaveLength(limits.durationsKept)
    const of = (state: string) => kept.find((one) => one.state === state)?.visits
    expect([of('last'), of('more'), of('s-1')]).toEqual([1, undefined, 2])
  })

  it('versions of one definition: so many, the latest', async () => {
    const scene = new Scene()
    const platform = scene.platform()
    const put = (n: number) => scene.done(putDefinition(platform, 'flow', { description: String(n) }, 'admin'))
    for (const n of numbered(limits.versionsPerDefinition + 1)) await put(n)
    const found = async (version: number) =>
      (await scene.done(platform.workflowIndex().definition('flow', version)))?.record.version
    expect([await found(1), await found(2), await found(limits.versionsPerDefinition + 1)]).toEqual([
      undefined,
      2,
      limits.versionsPerDefinition + 1,
    ])
  })

  it('dead letters are counted up to a number, newest first, and the figures know that there may be more', () => {
    const storage = new SimStorage()
    const letters = new DeadLettersObject(stateOf(storage), {} as Env, clock)
    const insert = (from: number, n: number) =>
      storage.sql.exec(
        `INSERT INTO letters (id, at, agent, reason) ${upTo(n)} SELECT 'l-' || (n + ${from}), n + ${from}, 'ada', 'exhausted' FROM numbers`,
      )
    insert(0, limits.lettersCounted - 1)
    expect(letters.count(limits.lettersCounted).counted).toBe(limits.lettersCounted - 1)
    insert(limits.lettersCounted, 2)
    expect(letters.count(limits.lettersCounted).counted).toBe(limits.lettersCounted)
  })

  it('names are compared up to a number, those of the same first letter first', () => {
    const storage = new SimStorage()
    const directory = new DirectoryObject(stateOf(storage), {} as Env, clock)
    const near = () => directory.namesLike(['zz-abcd'], ['*'])[0]
    const insert = (sql: string) => storage.sql.exec(`INSERT INTO agents (name, since, record) ${sql}`)
    insert(`${upTo(limits.namesCompared - 1)} SELECT printf('a-%05d', n), 0, '{}' FROM numbers`)
    insert(`SELECT 'b-zabcd', 0, '{}'`)
    expect(near()).toEqual(['b-zabcd'])
    insert(`SELECT 'a-99999', 0, '{}'`)
    expect(near()).toEqual([])
    insert(`SELECT 'zz-abce', 0, '{}'`)
    expect(near()).toEqual(['zz-abce'])
  })
})

describe('a mailbox', () => {
  /** An agent with mail, over its storage, and that of another life of it after `between`. */
  function restarted(between: (storage: SimStorage) => void): AgentObject {
    const storage = new SimStorage()
    const context = {
      ...{ id: { name: 'ada' }, storage, abort: () => undefined },
      blockConcurrencyWhile: (work: () => Promise<unknown>) => work(),
    } as unknown as DurableObjectState
    const queue = { send: () => Promise.resolve() }
    const wake = () => new AgentObject(context, { DELIVERIES: queue, WORK: queue } as never, clock)
    const agent = wake()
    const fresh = { name: 'ada', incarnation: 'i', secret: 'whsec_c2VjcmV0', trusted: true }
    agent.enrol({ kind: 'pull' }, fresh)
    agent.accept([incoming('before')], 'first')
    between(storage)
    return wake()
  }

  /** With so many rows in its open bucket. */
  const crowded = (rows: number) =>
    restarted((storage) =>
      storage.sql.exec(
        `INSERT INTO deliveries_1 (id, live, sequence, keep_until, record) ${upTo(rows - 1)} SELECT 'old_' || n, 0, 0, 9e12, '{}' FROM numbers`,
      ),
    )

  /** With so many rows in all, most of them in a closed bucket, as far as is written down of it. */
  const large = (rows: number) =>
    restarted((storage) => {
      const [row] = storage.sql.exec("SELECT value FROM meta WHERE key = 'buckets'").toArray()
      const buckets = JSON.parse(String(row?.['value']))
      buckets.list.unshift({ n: 0, since: 0, rows: rows - 1, live: false, closedAt: 1 })
      storage.sql.exec('CREATE TABLE deliveries_0 AS SELECT * FROM deliveries_1 LIMIT 0')
      storage.sql.exec("UPDATE meta SET value = ? WHERE key = 'buckets'", JSON.stringify(buckets))
    })

  it('whose open bucket is crowded keeps of a receipt its end alone, and says so', () => {
    const ended = (rows: number) => {
      const agent = crowded(rows)
      const [lease] = agent.lease(1, minute, 'work').leases
      agent.settle([{ id: lease!.id, token: lease!.token, outcome: { kind: 'ok' }, external: true }])
      const receipt = agent.receipt(lease!.id)
      return [receipt?.status, receipt?.truncated ?? false, receipt?.attempts.length]
    }
    expect(ended(limits.detailedReceiptsPerBucket)).toEqual(['completed', false, 1])
    expect(ended(limits.detailedReceiptsPerBucket + 1)).toEqual(['completed', true, 0])
  })

  it('of more rows than an audit counts is not counted, and says why', () => {
    expect(large(limits.auditRows).audit()).toMatchObject({ verdict: 'sound' })
    expect(large(limits.auditRows + 1).audit()).toEqual({ verdict: 'not_counted', why: 'too_large' })
  })

  it('has so many of its overdue deliveries announced again by the sweep', async () => {
    const scene = new Scene()
    await scene.pull('slow', { alert: { rung: 'claimed', afterSeconds: 1 } })
    const more = limits.alertsRepeated + 1
    await scene.publish(numbered(more).map(() => ({ to: 'slow', type: 't' })))
    await scene.pass(minute)
    const { alerts } = await scene.done(scene.platform().agent('slow').sweep())
    expect(alerts).toHaveLength(limits.alertsRepeated)
  })
})

describe('a scatter', () => {
  const asked = async (scene: Scene, json: object) =>
    scene.done(scatter(scene.platform(), admin, { type: 'work', ...json }, {}))

  it('has so many legs, and one chunk more is refused before anybody is asked', async () => {
    const scene = new Scene()
    await scene.pull('worker', { depth: 2_000 })
    const cut = (n: number) => asked(scene, { to: 'worker', items: numbered(n), itemsPerChunk: 1 })
    expect(await cut(limits.scatterLegs + 1)).toMatchObject({
      ok: false,
      error: { code: 'invalid_request', issues: [{ path: 'items' }] },
    })
    expect((await scene.sim.gathers()).size).toBe(0)
    expect((await cut(limits.scatterLegs)).ok).toBe(true)
  })

  it('has so many bytes in all of its messages, and more is refused before anybody is asked', async () => {
    const scene = new Scene()
    const names = numbered(33).map((i) => `worker-${i}`)
    for (const name of names) await scene.pull(name)
    const said = (n: number) => asked(scene, { to: names, data: 'x'.repeat(n) })
    const each = Math.floor(limits.scatterBytes / names.length)
    const refused = await said(each)
    expect(refused).toMatchObject({
      ok: false,
      error: { code: 'too_large', what: 'scatter', limitBytes: limits.scatterBytes },
    })
    expect((await scene.sim.gathers()).size).toBe(0)
    // Beside its data each message has its attributes.
    expect((await said(each - 1_000)).ok).toBe(true)
  })
})

describe('a publish to many', () => {
  const head = { specversion: '1.0', id: 'm', source: 'admin', type: 'x', time: 't', correlationid: 'm', topic: 'a' }

  function waiting(legs: number): Publication {
    const id = publicationId('admin', 'm')
    const plan = { audience: { kind: 'topic' as const, topic: 'a' }, version: 1 }
    const base = { id, head: head as Head, key: 'm', contentHash: 'h', hops: 0, told: false, renewable: true }
    const { publication } = open(undefined, { ...base, agents: [], plan, fanout: 10_000 }, 0)
    const pending = numbered(legs).map((i) => ({ agent: `a${i}`, state: { status: 'pending' as const } }))
    return { ...publication, legs: pending }
  }

  it.each([
    [0, limits.legsPending],
    [1, limits.legsPending - 1],
  ])('asks for %i further pages while %i legs wait for room', async (pages, legs) => {
    let asked = 0
    const directory = {
      candidates: () => {
        asked += 1
        return Promise.reject(new Error('asked'))
      },
    }
    const scene = new Scene({ ports: (platform) => ({ directory: () => ({ ...platform.directory(), ...directory }) }) })
    const publication = waiting(legs)
    // Those that wait were asked by the run before this one.
    const run = expand(scene.platform(), publication.id, { publication, body: JSON.stringify(head) }, 'z')
    await scene.done(run.catch(() => undefined))
    expect(asked).toBe(pages)
  })
})

describe('a look at many objects', () => {
  it('for a correlation reads so many mailboxes, and gives a cursor to go on from', async () => {
    const scene = new Scene()
    const platform = scene.platform()
    const names = numbered(limits.correlationCalls + 1).map((i) => `agent-${100 + i}`)
    for (const name of names) await scene.done(platform.directory().putAgent(indexEntry(await scene.pull(name))))
    const first = await scene.done(correlate(platform, admin, { correlationid: 'talk' }))
    expect([first.mailboxes.length, first.cursor]).toEqual([
      limits.correlationCalls,
      names[limits.correlationCalls - 1],
    ])
    const next = await scene.done(correlate(platform, admin, { correlationid: 'talk', cursor: first.cursor }))
    expect([next.mailboxes, next.cursor]).toEqual([[names[limits.correlationCalls]], undefined])
  })

  it('for a correlation reads so many rows of a mailbox in a call', async () => {
    const rows = { read: [] as number[] }
    const scene = new Scene({ ports: (platform) => ({ agent: (name) => counting(platform, name, rows.read) }) })
    await scene.pull('ada', { depth: 3_000 })
    await scene.publish(
      numbered(limits.correlationRows + 1).map(() => ({ to: 'ada', type: 't', correlationid: 'talk' })),
    )
    await scene.done(correlate(scene.platform(), admin, { correlationid: 'talk', agent: 'ada' }))
    expect(rows.read).toEqual([limits.correlationRows, 1])
  })

  it('of one scatter answers with so many bytes of replies, and says where to go on', async () => {
    const scene = new Scene()
    const large = 'x'.repeat(limits.resultBytes - 100)
    const legs = Math.ceil(limits.scatterAnswerBytes / large.length) + 1
    await scene.webhook('worker', () => ({ status: 200, body: JSON.stringify({ reply: { data: large } }) }))
    const items = { to: 'worker', items: numbered(legs), itemsPerChunk: 1, type: 'work' }
    const answer = await scene.done(scatter(scene.platform(), admin, items, {}))
    if (!answer.ok) throw new Error('refused')
    const { gather, bodies } = answer.value
    await scene.done(askLegs(scene.platform(), gather, bodies ?? []))
    await scene.pass(minute)
    const first = await scene.done(scene.platform().gather(gather.id).results(1))
    const bytes = first?.replies.reduce((sum, reply) => sum + reply.body.length, 0) ?? 0
    expect(bytes).toBeLessThanOrEqual(limits.scatterAnswerBytes)
    expect(bytes + large.length).toBeGreaterThan(limits.scatterAnswerBytes)
    const rest = await scene.done(
      scene
        .platform()
        .gather(gather.id)
        .results(first?.next ?? 0),
    )
    expect([(first?.replies.length ?? 0) + (rest?.replies.length ?? 0), rest?.next]).toEqual([legs, undefined])
  })

  it('at a workflow reads so many of its messages, the newest', async () => {
    const scene = new Scene()
    await scene.pull('worker', { depth: 2_000 })
    const platform = scene.platform()
    const send = numbered(200).map((i) => ({ type: 'send', params: { to: 'worker', type: `t${i}` } }))
    const chart = { initial: 'a', states: { a: { on: { more: { actions: send } } } } }
    const opening = { by: 'admin', permissions: resolvePermissions('admin'), creation: 'c', state: {}, keptMs: minute }
    await scene.done(platform.workflow('busy').create({ id: 'busy', definition: {}, ...opening }, chart))
    for (const n of [1, 2, 3]) {
      const arrival = { operation: { id: `e${n}`, content: '' }, happening: { type: 'more', by: 'admin' } }
      await scene.done(platform.workflow('busy').receive({ source: 'admin', permitted: true }, arrival))
    }
    await scene.done(perform(platform, 'busy'))
    await scene.pass(10 * minute)
    const walk = await scene.done(explore(platform, admin, ['workflow:busy'], { nodes: 1 }))
    expect(walk.found.map((one) => one.links.length)).toEqual([limits.graphMessages])
    expect(walk.truncated).toEqual({ by: 'nodes', unread: limits.graphMessages })
  })

  it('through a causal graph makes so many calls, and says how many nodes it left unread', async () => {
    const scene = new Scene()
    await scene.pull('worker', { depth: 2_000 })
    const legs = limits.graphCalls + 50
    const items = { to: 'worker', items: numbered(legs), itemsPerChunk: 1, type: 'work' }
    const answer = await scene.done(scatter(scene.platform(), admin, items, {}))
    if (!answer.ok) throw new Error('refused')
    const { gather, bodies } = answer.value
    await scene.done(askLegs(scene.platform(), gather, bodies ?? []))
    await scene.pass(minute)
    const { id } = gather
    const walk = await scene.done(explore(scene.platform(), admin, [`gather:${id}`], { nodes: 10 * legs }))
    expect(walk.truncated).toEqual({ by: 'calls', unread: legs + 1 - limits.graphCalls })
  })
})

/** An agent's port that writes down how many ids each look for a correlation found. */
function counting(platform: Platform, name: string, read: number[]): ReturnType<Platform['agent']> {
  const port = platform.agent(name)
  return new Proxy(port, {
    get: (target, method, receiver) => {
      if (method !== 'correlated') return Reflect.get(target, method, receiver)
      return async (...args: Parameters<typeof port.correlated>) => {
        const found = await port.correlated(...args)
        read.push(found.ids.length)
        return found
      }
    },
  })
}

describe('what is told to help', () => {
  it('names nearly like it are looked for of so many names at once', async () => {
    const scene = new Scene()
    const platform = scene.platform()
    const meant = numbered(limits.suggestedFor + 1).map((i) => `research-${'abcdefghijklmno'[i]}-agent`)
    for (const name of meant) await scene.done(platform.directory().putAgent(indexEntry(await scene.pull(`${name}s`))))
    const faults = meant.map((agent) => ({ code: 'agent_not_found', agent }) as const)
    const told = await scene.done(withSuggestions(platform, { principal: admin, own: [] }, faults))
    expect(told.map((fault) => 'suggestions' in fault)).toEqual(meant.map((_, i) => i < limits.suggestedFor))
  })
})

describe('a handler that answers a batch', () => {
  it('with more bytes than are kept of such an answer has failed for each, and says so', async () => {
    const batch = { size: 2, waitSeconds: 1 }
    const many = defineBatchAgent({
      ...{ name: 'many', accepts: z.unknown(), policy: { batch } },
      handleBatch: async (messages) => ({
        results: messages.map(({ delivery }) => ({ id: delivery, status: 'ok', result: 'x'.repeat(half) })),
      }),
    })
    const half = limits.batchAnswerBytes / 2
    const scene = new Scene({ handlers: [many as AnyAgent] })
    await scene.handler('many', { batch })
    const ids = [await scene.send('many'), await scene.send('many')]
    await scene.pass(2_000)
    for (const id of ids)
      expect((await scene.receipt(id)).attempts[0]?.error?.message).toContain(`at most ${limits.batchAnswerBytes}`)
  })
})

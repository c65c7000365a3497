/**
 * Requests in virtual time: what each death on the way leaves behind, late and double replies, retries, callbacks, and handlers
 * that ask in the middle of their work.
 */

import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { indexEntry } from '../../shared/directory.ts'
import type { PolicyInput } from '../../shared/policy.ts'
import type { Platform } from '../../shared/ports.ts'
import { requestView } from '../../shared/request.ts'
import { nothingKnown } from '../../shared/schema.ts'
import { type AnyAgent, defineAgent, defineBatchAgent, type HandlerContext } from '../../workers/define.ts'
import { express } from '../../workers/express.ts'
import { ask, awaitReply, type Lane } from '../../workers/request.ts'
import { Invocation } from './platform.ts'
import { admin, never, Scene } from './scene.ts'

const second = 1_000
const minute = 60 * second
const hour = 60 * minute
const secret = 'whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0'

/** Asks as the gateway does for a caller who waits. */
async function request(scene: Scene, json: object, platform = scene.platform()) {
  const take = (...released: Parameters<NonNullable<Parameters<typeof ask>[3]['express']>>) =>
    express(platform, scene.handlers, ...released)
  const asked = await ask(platform, admin, { type: 'ask', ...json }, { waits: true, express: take })
  if (!asked.ok) throw new Error(JSON.stringify(asked.error))
  const waiting = { seconds: 60, signal: new AbortController().signal }
  const report = await awaitReply(platform, asked.value, waiting)
  if (report === undefined) throw new Error('forgotten')
  return requestView(report)
}

async function open(scene: Scene, json: object, key?: string) {
  const named = key === undefined ? {} : { idempotencyKey: key }
  const asked = await scene.done(ask(scene.platform(), admin, { type: 'ask', ...json }, { waits: false, ...named }))
  if (!asked.ok) throw new Error(JSON.stringify(asked.error))
  return asked.value.gather.id
}

const inMs = (scene: Scene, ms: number) => new Date(scene.world.now + ms).toISOString()

async function view(scene: Scene, id: string) {
  const report = await scene.done(scene.platform().gather(id).report())
  if (report === undefined) throw new Error(`no gather ${id}`)
  return requestView(report)
}

const json = (value: unknown) => ({ status: 200, body: JSON.stringify(value) })

function handler(name: string, handle: (data: unknown, ctx: HandlerContext) => unknown, policy = {}): AnyAgent {
  return defineAgent({ name, accepts: z.unknown(), policy, handle: async (message, ctx) => handle(message.data, ctx) })
}

async function withHandlers(...handlers: AnyAgent[]): Promise<Scene> {
  const scene = new Scene({ handlers })
  for (const { name, policy } of handlers) await scene.handler(name, policy ?? {})
  return scene
}

// Of one agent it lies in that agent's mailbox, of a skill with others: nobody but the bill can tell.
const ways = ['writer', 'capability:write']

async function writer(receiver: Parameters<Scene['webhook']>[1], policy: PolicyInput = {}, seed = 1): Promise<Scene> {
  const scene = new Scene({ seed })
  const entry = indexEntry(await scene.webhook('writer', receiver, policy))
  await scene.done(
    scene
      .platform()
      .directory()
      .putAgent({ ...entry, capabilities: ['write'] }),
  )
  return scene
}

describe('a request in virtual time', () => {
  it.each(ways)('(A49) of %s takes the express lane: a webhook is called before any queue has moved', async (to) => {
    const scene = await writer(() => json({ reply: { data: 'done' } }))
    const sends = scene.sim.counts.sends
    const told = await scene.done(request(scene, { to }))
    expect(told).toMatchObject({ status: 'replied', reply: { data: 'done', type: 'ask.reply' } })
    expect(scene.sim.counts.sends).toBe(sends)
  })

  it.each(ways)('(A49) of %s is answered once the reply is there, not when it would have asked again', async (to) => {
    const scene = await writer(() => json({ reply: { data: 'done' } }))
    const [platform, beganAt] = [scene.platform(), scene.world.now]
    const pausesOver: number[] = []
    const after: Platform['after'] = (ms, then) =>
      platform.after(ms, () => {
        pausesOver.push(ms)
        then()
      })
    const told = await scene.done(request(scene, { to }, { ...platform, after }))
    expect([told.status, pausesOver]).toEqual(['replied', []])
    expect(scene.world.now - beganAt).toBeLessThan(100)
  })

  it.each([
    ['', ['ask', 'settle']],
    ['of 100 KB ', ['ask', 'settle', 'arrive', 'carried']],
  ])('whose reply %scomes asks these of the mailbox it lies in: %j', async (large, expected) => {
    const data = large === '' ? 'done' : 'x'.repeat(100_000)
    const scene = await writer(() => json({ reply: { data } }))
    const platform = scene.platform()
    const asked: string[] = []
    const noting = <P extends object>(port: P): P =>
      new Proxy(port, {
        get: (target, method) => {
          asked.push(String(method))
          return (target as Record<PropertyKey, unknown>)[method]
        },
      })
    const agent = (name: string) => noting(platform.agent(name))
    const gather = (id: string) => noting(platform.gather(id))
    const told = await scene.done(request(scene, { to: 'writer' }, { ...platform, agent, gather }))
    await scene.pass(second)
    expect([told.reply?.data === data, asked]).toEqual([true, expected])
  })

  it.each(['hangs', 'fails'])(
    'whose reply cannot be made ready, because a directory %s, is done all the same, and the reply comes later (M2)',
    async (how) => {
      const scene = await writer(async () => {
        await scene.world.sleep(10 * second)
        return json({ reply: { data: 'done' } })
      })
      const platform = scene.platform()
      const prepare = () => (how === 'hangs' ? new Promise<never>(() => undefined) : Promise.reject(new Error('gone')))
      const trouble = {
        ...platform,
        directory: () => ({ ...platform.directory(), schemasSince: prepare }),
        isolate: { schemas: nothingKnown() },
      }
      const asking = { to: 'writer', id: 'r' }
      // Whoever asks knows the schemas; when it is answered nobody remembers them.
      const lane: Lane = (...released) => express({ ...platform, ...trouble }, scene.handlers, ...released)
      const asked = ask(platform, admin, { type: 'ask', ...asking }, { waits: true, express: lane })
      expect((await scene.done(asked)).ok).toBe(true)
      await scene.pass(12 * second)
      const { items } = await scene.done(scene.platform().agent('writer').list(undefined, undefined, 9))
      const [done] = items
      expect([done?.status, done?.attempt]).toEqual(['completed', 1])
      await scene.pass(minute)
      expect((await scene.done(request(scene, asking))).status).toBe('replied')
      expect(scene.calls).toHaveLength(1)
    },
  )

  it.each([
    ['comes with its report', 'x'],
    ['goes the long way', 'x'.repeat(100_000)],
  ])('whose reply %s has the effects beside it that were refused told: each is a dead letter (E1)', async (_, data) => {
    const beside = { messages: [{ nonsense: true }], state: { patch: { a: 1 } } }
    const scene = await writer(() => json({ reply: { data }, ...beside }))
    const told = await scene.done(request(scene, { to: 'writer' }))
    expect([told.status, told.reply?.data === data]).toEqual(['replied', true])
    await scene.pass(10 * second)
    const letters = (await scene.letters()).map((letter) => letter.id)
    expect(letters.sort()).toEqual([2, 3].map((n) => `${told.deliveries[0]!.id}-e${n}`))
  })

  it('a gateway that dies on the express lane is the broker’s failure: no attempt is counted, and the reply still comes', async () => {
    const scene = new Scene()
    const invocation = new Invocation()
    await scene.webhook('writer', () => {
      if (scene.calls.length > 1) return json({ reply: { data: 'second' } })
      invocation.alive = false
      return never(scene.calls[0]!)
    })
    request(
      scene,
      { to: 'writer', timeoutSeconds: 30, id: 'r', onTimeout: { kind: 'retry', times: 10 } },
      scene.platform(invocation),
    ).catch(() => undefined)
    await scene.pass(3 * minute)
    const told = await scene.done(
      request(scene, { to: 'writer', timeoutSeconds: 30, id: 'r', onTimeout: { kind: 'retry', times: 10 } }),
    )
    expect(told).toMatchObject({ status: 'replied', reply: { data: 'second' } })
  })

  it('an attempt that the express lane cuts short is not begun again for an asker who has gone', async () => {
    const scene = await withHandlers(handler('thinker', () => never(scene.calls[0]!)))
    const told = await scene.done(request(scene, { to: 'thinker', timeoutSeconds: 20 }))
    expect(told.status).toBe('timed_out')
    await scene.pass(hour)
    const receipt = await scene.receipt(told.deliveries[0]!.id)
    expect(receipt).toMatchObject({ status: 'cancelled', attempts: [{ error: { code: 'broker' } }] })
    expect(await scene.letters()).toEqual([])
  })

  it('(A52) (T7) the deadline is the broker’s: an alarm ends it with nobody there, calls back what was not begun, and announces it (A111)', async () => {
    const scene = new Scene()
    const directory = scene.platform().directory()
    await scene.pull('slow')
    await scene.done(directory.putAgent(indexEntry(await scene.pull('watcher'))))
    const topic = 'switchboard.request.timeout'
    await scene.done(directory.putSubscription('w', { agent: 'watcher', topic }, { max: 1 }))
    const id = await open(scene, { to: 'slow', timeoutSeconds: 40 })
    await scene.pass(2 * minute)
    const told = await view(scene, id)
    expect(told).toMatchObject({ status: 'timed_out', problem: { code: 'request_timeout', timeoutSeconds: 40 } })
    expect((await scene.receipt(told.deliveries[0]!.id)).status).toBe('cancelled')
    expect(scene.logged.filter((l) => l.step === 'request.timeout')).toHaveLength(1)
    const { leases } = await scene.done(scene.platform().agent('watcher').lease(10, minute, 'watching'))
    expect(leases.map((l) => l.head)).toMatchObject([{ topic, subject: id, agent: 'slow' }])
    expect(JSON.parse(leases[0]!.body).data).toBeUndefined()
    expect((await scene.done(scene.platform().requests('admin').list(undefined, 10))).items).toEqual([])
  })

  it('is forgotten a day after it is over, and a reply that comes then is late on the replier’s receipt (G1)', async () => {
    const scene = new Scene()
    await scene.pull('slow')
    const id = await open(scene, { to: 'slow', timeoutSeconds: 30 })
    const { leases } = await scene.done(
      scene
        .platform()
        .agent('slow')
        .lease(1, 48 * hour, 'work'),
    )
    await scene.pass(25 * hour)
    expect(await scene.done(scene.platform().gather(id).report())).toBeUndefined()
    const { id: delivery, token } = leases[0]!
    const outcome = { kind: 'ok', result: 'a day late' } as const
    await scene.done(
      scene
        .platform()
        .agent('slow')
        .settle([{ id: delivery, token, outcome, external: true }]),
    )
    await scene.pass(minute)
    const { effects, status } = await scene.receipt(delivery)
    expect([status, effects?.[0]?.state]).toEqual([
      'completed',
      { status: 'carried', deliveries: [], standing: 'late' },
    ])
    expect(await scene.letters()).toEqual([])
  })

  it('(T18) a leg that dies ends its request at once, long before its deadline, with who failed and why', async () => {
    const scene = new Scene()
    await scene.webhook('writer', () => ({ status: 422, body: '{"error":"never"}' }))
    const startedAt = scene.world.now
    const told = await scene.done(request(scene, { to: 'writer', timeoutSeconds: 25 }))
    expect(told).toMatchObject({
      status: 'failed',
      problem: { code: 'request_failed', agent: 'writer', reason: 'terminal', error: { httpStatus: 422 } },
    })
    expect(scene.world.now - startedAt).toBeLessThan(5 * second)
    const expired = await open(scene, {
      to: (await scene.pull('slow')).name,
      expirytime: inMs(scene, minute),
      timeoutSeconds: 3_600,
    })
    await scene.pass(2 * minute)
    expect(await view(scene, expired)).toMatchObject({ problem: { code: 'request_failed', reason: 'expired' } })
  })

  it('(T16) a reply that comes late is kept on both sides, and is no dead letter', async () => {
    const scene = new Scene()
    await scene.pull('slow')
    const id = await open(scene, { to: 'slow', timeoutSeconds: 30 })
    const { leases } = await scene.done(scene.platform().agent('slow').lease(1, hour, 'work'))
    await scene.pass(minute)
    const { id: delivery, token } = leases[0]!
    const outcome = { kind: 'ok', result: 'late' } as const
    await scene.done(
      scene
        .platform()
        .agent('slow')
        .settle([{ id: delivery, token, outcome, external: true }]),
    )
    await scene.pass(minute)
    expect((await scene.receipt(delivery)).effects).toMatchObject([{ state: { status: 'carried', standing: 'late' } }])
    expect(await view(scene, id)).toMatchObject({
      status: 'timed_out',
      beside: [{ standing: 'late', reply: { data: 'late' } }],
    })
    expect(await scene.letters()).toEqual([])
  })

  it('(A105) asked again, the reply to the first asking still counts', async () => {
    const scene = new Scene()
    const first: ((reply: { status: number; body: string }) => void)[] = []
    await scene.webhook('writer', () => new Promise((resolve) => first.push(resolve)), {
      timeoutSeconds: 300,
      concurrency: 5,
    })
    const id = await open(scene, { to: 'writer', timeoutSeconds: 60, onTimeout: { kind: 'retry', times: 3 } })
    await scene.pass(90 * second)
    expect(first).toHaveLength(2)
    first[0]!(json({ reply: { data: 'the first' } }))
    await scene.pass(second)
    expect(await view(scene, id)).toMatchObject({ status: 'replied', rounds: 2, reply: { data: 'the first' } })
    first[1]!(json({ reply: { data: 'the second' } }))
    await scene.pass(minute)
    expect(await view(scene, id)).toMatchObject({ reply: { data: 'the first' }, beside: [{ standing: 'duplicate' }] })
  })

  it('(A106) calls back, signed, in a mailbox of its own; what cannot be told becomes a dead letter there', async () => {
    const scene = new Scene()
    await scene.webhook('writer', () => json({ reply: { data: 'done' } }))
    scene.receiver('told', () => ({ status: 200 }))
    scene.receiver('broken', () => ({ status: 422 }))
    const callback = { url: 'http://127.0.0.1/told', secret }
    const failureCallback = { url: 'http://127.0.0.1/broken' }
    const id = await open(scene, { to: 'writer', callback, failureCallback, context: { page: 3 } })
    await scene.pass(minute)
    const [call] = scene.callsOf('told')
    expect(JSON.parse(call!.body)).toMatchObject({
      type: 'switchboard.request.replied',
      data: { id, status: 'replied', reply: { data: 'done' }, context: { page: 3 } },
    })
    expect(call!.headers['webhook-signature']).toMatch(/^v1,/)

    await scene.pull('silent')
    const failed = await open(scene, { to: 'silent', timeoutSeconds: 5, callback, failureCallback })
    await scene.pass(10 * minute)
    expect(scene.callsOf('told')).toHaveLength(1)
    expect(JSON.parse(scene.callsOf('broken')[0]!.body)).toMatchObject({
      type: 'switchboard.request.timed_out',
      data: { id: failed },
    })
    const [letter] = await scene.letters()
    expect(letter).toMatchObject({ reason: 'terminal', agent: expect.stringMatching(/^callback-/) })
    const { callbackDelivery } = await view(scene, failed)
    expect(letter?.delivery).toBe(callbackDelivery)
  })

  it('(A114) a thousand conversations at once are each answered with their own reply', async () => {
    const scene = new Scene()
    const names = Array.from({ length: 10 }, (_, i) => `writer-${i}`)
    for (const name of names)
      await scene.webhook(name, ({ body }) => json({ reply: { data: JSON.parse(body).data } }), {
        concurrency: 20,
        depth: 1_000,
      })
    const asked = Array.from({ length: 1_000 }, (_, i) =>
      request(scene, { to: names[i % names.length], data: i, timeoutSeconds: 600, whenOpen: 'wait' }),
    )
    const told = await scene.done(Promise.all(asked))
    expect(told.map((one) => one.reply?.data)).toEqual(told.map((_, i) => i))
    expect(scene.calls).toHaveLength(1_000)
  }, 60_000)

  it('an agent that takes its mail in batches replies to each of them', async () => {
    const clerk = defineBatchAgent({
      name: 'clerk',
      accepts: z.number(),
      policy: { batch: { size: 3, waitSeconds: 2 } },
      handleBatch: async (messages) => ({
        results: messages.map((m) => ({ id: m.delivery, status: 'ok' as const, result: -m.data })),
      }),
    })
    const scene = await withHandlers(clerk)
    const told = await scene.done(Promise.all([1, 2, 3, 4].map((data) => request(scene, { to: 'clerk', data }))))
    expect(told.map((one) => one.reply?.data)).toEqual([-1, -2, -3, -4])
  })

  it('T1 of callbacks: nobody else writes to a callback’s mailbox, and a broadcast does not reach it', async () => {
    const scene = new Scene()
    await scene.webhook('writer', () => json('done'))
    const callback = { url: 'http://127.0.0.1/told', secret }
    await open(scene, { to: 'writer', callback })
    await scene.pass(minute)
    const name = scene.calls.length > 0 ? scene.sim.agents().find((a) => a.startsWith('callback-')) : undefined
    const [direct] = await scene.publish([{ to: name, type: 'spam' }], {}, 'writer')
    expect(direct).toMatchObject({ ok: false, error: { code: 'forbidden' } })
    await scene.publish([{ to: '*', type: 'news', onunroutable: 'drop' }], {}, 'writer')
    await scene.pass(minute)
    expect(scene.callsOf('told')).toHaveLength(1)
  })

  it('the key of a handler’s request is its place in the run: a re-run finds the reply of the first, and asks on from there', async () => {
    let runs = 0
    const asked: unknown[] = []
    const scene = await withHandlers(
      handler(
        'planner',
        async (_, ctx) => {
          const facts = await ctx.request('finder', 'find', { q: 1 })
          runs += 1
          if (runs === 1) throw new Error('once')
          const more = await ctx.request('finder', 'find', { q: 2 })
          return { answers: [facts.data, more.data] }
        },
        { backoff: 'quick' },
      ),
      handler('finder', (data, ctx) => {
        asked.push(data)
        ctx.reply({ found: data })
      }),
    )
    const told = await scene.done(request(scene, { to: 'planner' }))
    expect(told.reply?.data).toEqual({ answers: [{ found: { q: 1 } }, { found: { q: 2 } }] })
    expect([runs, asked]).toEqual([2, [{ q: 1 }, { q: 2 }]])
  })

  it('a handler’s request lasts no longer than what is left of its own run, whatever it asks for (A122)', async () => {
    const scene = await withHandlers(
      handler('planner', (_, ctx) => ctx.request('slow', 'find', {}, { timeoutSeconds: 3_600 }), {
        timeoutSeconds: 20,
        maxAttempts: 1,
      }),
    )
    await scene.pull('slow')
    const id = await scene.send('planner')
    await scene.pass(5 * minute)
    expect(await scene.receipt(id)).toMatchObject({ status: 'dead_lettered' })
    const [asked] = (await scene.done(scene.platform().agent('slow').list(undefined, undefined, 1))).items
    expect(asked).toMatchObject({ status: 'cancelled' })
    const endedAt = Date.parse(asked?.steps.at(-1)?.at ?? '')
    expect(endedAt - Date.parse(asked?.steps[0]?.at ?? '')).toBeLessThanOrEqual(21 * second)
  })

  it('a request that would wait for itself fails at once as would_deadlock, however long the way round is', async () => {
    const refused: string[] = []
    const passOn = (to: string) => async (_: unknown, ctx: HandlerContext) => {
      try {
        return (await ctx.request(to, 'ask', {}, { timeoutSeconds: 20 })).data
      } catch (error) {
        refused.push((error as { code: string }).code)
        return 'refused'
      }
    }
    const scene = await withHandlers(
      handler('ann', passOn('ben')),
      handler('ben', passOn('cid')),
      handler('cid', passOn('ann')),
    )
    const startedAt = scene.world.now
    const told = await scene.done(request(scene, { to: 'ann' }))
    expect(told.reply?.data).toBe('refused')
    expect(refused).toEqual(['would_deadlock'])
    expect(scene.world.now - startedAt).toBeLessThan(10 * second)
  })

  it('a run that lost its lease asks nobody any more', async () => {
    const codes: string[] = []
    const scene = await withHandlers(
      handler('planner', async (_, ctx) => {
        await scene.done(scene.platform().agent('planner').cancel(ctx.delivery))
        await ctx.request('finder', 'find').catch((error: { code: string }) => codes.push(error.code))
      }),
      handler('finder', () => 'found'),
    )
    await scene.send('planner')
    await scene.pass(minute)
    expect(codes).toEqual(['stale_lease'])
  })
})

describe('a gateway that dies at any of its calls', () => {
  it.each(ways)('M1 G1: leaves a request of %s that is answered once, or was never promised', async (to) => {
    let tried = 0
    for (const took of ['before', 'after'] as const) {
      for (let at = 1; ; at++) {
        const scene: Scene = await writer(() => json({ reply: { data: scene.calls.length } }), {}, at)
        const { platform, calls } = doomed(scene, at, took)
        const asking = { to, id: 'r', timeoutSeconds: 29, onTimeout: { kind: 'retry', times: 5 } }
        request(scene, asking, platform).catch(() => undefined)
        await scene.pass(4 * minute)
        const told = await scene.done(request(scene, asking))
        expect([took, at, told.status]).toEqual([took, at, 'replied'])
        tried += 1
        if (calls() < at) break
      }
    }
    expect(tried).toBeGreaterThan(5)
  })
})

describe('a request whose gateway died after its 202', () => {
  it.each(ways)('is on its asker’s list all the same: of %s', async (to) => {
    const scene = new Scene()
    const entry = indexEntry(await scene.pull('writer'))
    await scene.done(
      scene
        .platform()
        .directory()
        .putAgent({ ...entry, capabilities: ['write'] }),
    )
    const platform = scene.platform()
    const requests: Platform['requests'] = (of) => ({
      ...platform.requests(of),
      put: () => new Promise(() => undefined),
    })
    const json = { type: 'ask', to, timeoutSeconds: 3_600 }
    const asked = await scene.done(ask({ ...platform, requests }, admin, json, { waits: false }))
    await scene.pass(minute)
    const { items } = await scene.done(platform.requests('admin').list(undefined, 10))
    expect(items.map(({ id }) => id)).toEqual([asked.ok && asked.value.gather.id])
  })
})

describe('whoever repeats a request of a gateway that died', () => {
  it.each(ways)('M1: has one of %s gone on with, long before its deadline', async (to) => {
    for (const took of ['before', 'after'] as const) {
      for (let at = 1; ; at++) {
        const scene = await writer(() => json({ reply: { data: 1 } }), { timeoutSeconds: 3 }, at)
        const { platform, calls } = doomed(scene, at, took)
        const asking = { to, id: 'r', timeoutSeconds: 29 }
        request(scene, asking, platform).catch(() => undefined)
        await scene.pass(second / 2)
        const told = await scene.done(request(scene, asking))
        expect([took, at, told.status]).toEqual([took, at, 'replied'])
        if (calls() < at) break
      }
    }
  })
})

/** Dies before its `at`-th call of an object, or when that call has taken effect and its answer is on the way. */
function doomed(scene: Scene, at: number, took: 'before' | 'after'): { platform: Platform; calls: () => number } {
  const invocation = new Invocation()
  const platform = scene.platform(invocation)
  let calls = 0
  const dying = <P extends object>(port: P): P =>
    new Proxy(port, {
      get:
        (target, method) =>
        async (...args: unknown[]) => {
          calls += 1
          const last = calls === at
          if (last && took === 'before') invocation.alive = false
          if (!invocation.alive) return new Promise(() => undefined)
          const answer = await (target as Record<PropertyKey, (...a: unknown[]) => unknown>)[method]?.(...args)
          if (last) invocation.alive = false
          return invocation.alive ? answer : new Promise(() => undefined)
        },
    })
  return {
    platform: {
      ...platform,
      agent: (name) => dying(platform.agent(name)),
      gather: (id) => dying(platform.gather(id)),
      requests: (owner) => dying(platform.requests(owner)),
    },
    calls: () => calls,
  }
}

/** Agents that run inside the Worker: what reaches them, what leaves them, and every way in which they can fail. */
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { indexEntry } from '../../shared/directory.ts'
import { limits } from '../../shared/limits.ts'
import {
  type AnyAgent,
  defineAgent,
  type HandlerContext,
  type HandlerMessage,
  TerminalError,
} from '../../workers/define.ts'
import { Scene } from './scene.ts'

const second = 1_000
const accepts = z.strictObject({ n: z.number().optional(), text: z.string().optional() })
type Given = HandlerMessage<z.infer<typeof accepts>>

/** A scene with one handler agent, `worker`, and a webhook agent, `boss`, that asks it. */
async function withHandler(
  handle: (message: Given, ctx: HandlerContext, scene: Scene) => unknown,
  policy: Parameters<Scene['handler']>[1] = {},
  more: Partial<AnyAgent> = {},
): Promise<Scene> {
  const worker = defineAgent({ name: 'worker', accepts, handle: async (message, ctx) => handle(message, ctx, scene) })
  const scene = new Scene({ handlers: [{ ...worker, ...more }] })
  await scene.handler('worker', { backoff: 'quick', ...policy })
  await scene.webhook('boss')
  return scene
}

const failed = async () => {
  throw new Error('not today')
}

describe('what a handler is given', () => {
  it('is the CloudEvent with its data as the schema has it, and where it stands (A120)', async () => {
    const seen: { message: Given; ctx: HandlerContext }[] = []
    const scene = await withHandler((message, ctx) => void seen.push({ message, ctx }), { maxAttempts: 3 })
    const id = await scene.send('worker', { data: { n: 7 }, subject: 'seven', correlationid: 'c-1' })
    await scene.pass(second)
    expect(seen).toHaveLength(1)
    const { message, ctx } = seen[0]!
    expect(message).toMatchObject({
      type: 'test.note',
      source: 'admin',
      data: { n: 7 },
      subject: 'seven',
      correlationid: 'c-1',
    })
    expect(ctx).toMatchObject({ agent: 'worker', delivery: id, attempt: 1, maxAttempts: 3, isLast: false })
    expect(ctx.deadline.getTime()).toBeGreaterThan(scene.world.now)
  })

  it('says which attempt it is, whether it is the last, and what the one before died of (A19, A120)', async () => {
    const seen: (readonly [number, boolean, string | undefined])[] = []
    const scene = await withHandler(
      (_, ctx) => {
        seen.push([ctx.attempt, ctx.isLast, ctx.previousError])
        throw new Error(`attempt ${ctx.attempt}`)
      },
      { maxAttempts: 2 },
    )
    const id = await scene.send('worker', { data: {} })
    await scene.pass(60 * second)
    expect(seen).toEqual([
      [1, false, undefined],
      [2, true, 'attempt 1'],
    ])
    expect(await scene.receipt(id)).toMatchObject({
      status: 'dead_lettered',
      deadLetter: { reason: 'attempts_exhausted' },
    })
  })
})

describe('data that does not fit `accepts`', () => {
  it('is a dead letter at once, and the handler is not called (because no retry would make it fit)', async () => {
    let called = 0
    const scene = await withHandler(() => void called++)
    const id = await scene.send('worker', { data: { n: 'seven', more: 1 } })
    await scene.pass(60 * second)
    expect(called).toBe(0)
    const receipt = await scene.receipt(id)
    expect(receipt).toMatchObject({ status: 'dead_lettered', deadLetter: { reason: 'terminal' }, attempt: 1 })
    expect(receipt.attempts[0]?.error?.code).toBe('invalid_data')
    expect(receipt.attempts[0]?.error?.message).toContain('data.n')
  })

  it('is missing data too', async () => {
    const scene = await withHandler(() => undefined)
    const id = await scene.send('worker')
    await scene.pass(second)
    expect((await scene.receipt(id)).deadLetter?.reason).toBe('terminal')
  })

  it('whose schema throws is a failed attempt with a reason, not a silence', async () => {
    const broken = z.unknown().transform(() => {
      throw new Error('the schema has a bug')
    })
    const scene = await withHandler(() => undefined, { maxAttempts: 1 }, { accepts: broken })
    const id = await scene.send('worker', { data: {} })
    await scene.pass(second)
    expect((await scene.receipt(id)).attempts).toMatchObject([
      { outcome: 'retry', error: { code: 'handler', message: 'the schema has a bug' } },
    ])
  })
})

describe('a handler that fails', () => {
  it('with TerminalError makes a dead letter at once, however many attempts are left', async () => {
    const scene = await withHandler(
      () => {
        throw new TerminalError('this invoice does not exist')
      },
      { maxAttempts: 5 },
    )
    const id = await scene.send('worker', { data: {} })
    await scene.pass(60 * second)
    const receipt = await scene.receipt(id)
    expect(receipt).toMatchObject({ status: 'dead_lettered', deadLetter: { reason: 'terminal' } })
    expect(receipt.attempts).toMatchObject([{ outcome: 'fail', error: { message: 'this invoice does not exist' } }])
  })

  it('by throwing is tried again, and its second try may work', async () => {
    let calls = 0
    const scene = await withHandler(() => (++calls === 1 ? failed() : { tried: calls }))
    const id = await scene.send('worker', { data: {} })
    await scene.pass(60 * second)
    expect(await scene.receipt(id)).toMatchObject({ status: 'completed', attempt: 2, result: { tried: 2 } })
  })

  it('by throwing what is no Error is told all the same', async () => {
    const scene = await withHandler(() => Promise.reject('just words'), { maxAttempts: 1 })
    const id = await scene.send('worker', { data: {} })
    await scene.pass(second)
    expect((await scene.receipt(id)).attempts[0]?.error).toEqual({ code: 'handler', message: 'just words' })
  })

  it('by taking too long has its signal aborted at the deadline, and has failed', async () => {
    let abortedAt = 0
    let deadlineAt = 0
    const scene = await withHandler(
      (_, ctx, { world }) => {
        deadlineAt = ctx.deadline.getTime()
        ctx.signal.addEventListener('abort', () => {
          abortedAt = world.now
        })
        return new Promise(() => undefined)
      },
      { timeoutSeconds: 2, maxAttempts: 1 },
    )
    const id = await scene.send('worker', { data: {} })
    await scene.pass(10 * second)
    expect(Math.floor(abortedAt)).toBe(deadlineAt)
    expect((await scene.receipt(id)).attempts).toMatchObject([{ outcome: 'retry', error: { code: 'timeout' } }])
  })

  it('that comes back after its deadline changes nothing: its result and its messages are not kept', async () => {
    const scene = await withHandler(
      async (_, ctx, { world }) => {
        await world.sleep(3 * second)
        ctx.send({ to: 'boss', type: 'late' })
        return { late: true }
      },
      { timeoutSeconds: 2, maxAttempts: 1 },
    )
    const id = await scene.send('worker', { data: {} })
    await scene.pass(60 * second)
    const receipt = await scene.receipt(id)
    expect([receipt.status, receipt.result]).toEqual(['dead_lettered', undefined])
    expect(scene.callsOf('boss')).toEqual([])
  })
})

describe('what a handler publishes to a topic', () => {
  it('leaves once it has returned, reaches who is subscribed, once, and is caused by its message', async () => {
    let runs = 0
    const scene = await withHandler((_, ctx) => {
      runs += 1
      ctx.publish('news.a', 'news.written', { n: runs }, { subject: 's', onunroutable: 'drop' })
      if (runs === 1) throw new Error('not yet')
    })
    const directory = scene.platform().directory()
    await scene.done(directory.putAgent(indexEntry(await scene.agent('boss'))))
    await scene.done(directory.putSubscription('s', { agent: 'boss', topic: 'news.>' }, { max: 1 }))
    const id = await scene.send('worker', { data: {}, correlationid: 'c-1' })
    await scene.pass(10 * second)
    // A run that threw published nothing.
    expect([runs, scene.callsOf('boss').length]).toEqual([2, 1])
    expect(JSON.parse(scene.callsOf('boss')[0]!.body)).toMatchObject({
      id: `${id}-1`,
      source: 'worker',
      topic: 'news.a',
      type: 'news.written',
      subject: 's',
      correlationid: 'c-1',
      data: { n: 2 },
    })
    expect((await scene.receipt(id)).effects).toMatchObject([{ n: 1, state: { status: 'carried' } }])
  })

  it('is refused and told when the agent may not publish there (E1)', async () => {
    const scene = await withHandler((_, ctx) => ctx.publish('switchboard.agent.boss', 'forged'))
    const id = await scene.send('worker', { data: {} })
    await scene.pass(second)
    const receipt = await scene.receipt(id)
    expect(receipt).toMatchObject({
      status: 'completed',
      effects: [{ n: 1, state: { status: 'refused', reason: 'forbidden' } }],
    })
  })
})

describe('the result', () => {
  it.each([
    ['an object', { a: [1, null, 'x'] }, { a: [1, null, 'x'] }],
    ['nothing', undefined, undefined],
    ['null', null, null],
    ['a date, as JSON has it', new Date(0), '1970-01-01T00:00:00.000Z'],
  ])('may be %s', async (_, returned, kept) => {
    const scene = await withHandler(() => returned)
    const id = await scene.send('worker', { data: {} })
    await scene.pass(second)
    const receipt = await scene.receipt(id)
    expect([receipt.status, receipt.result]).toEqual(['completed', kept])
  })

  const cyclic: Record<string, unknown> = {}
  cyclic['self'] = cyclic
  const deep: unknown = JSON.parse(`${'['.repeat(limits.jsonDepth + 1)}${']'.repeat(limits.jsonDepth + 1)}`)
  it.each([
    ['a cycle', cyclic, /circular/i],
    ['a bigint', 1n, /BigInt/],
    ['a function', () => 1, 'the result must be JSON; a function is not'],
    ['deeper than JSON may be here', deep, 'the result is nested deeper than 64'],
  ])('that is %s is a failed attempt (because storage could not keep it) (A13)', async (_, returned, message) => {
    const scene = await withHandler(() => returned, { maxAttempts: 1 })
    const id = await scene.send('worker', { data: {} })
    await scene.pass(second)
    const [attempt] = (await scene.receipt(id)).attempts
    expect(attempt).toMatchObject({ outcome: 'retry', error: { code: 'handler' } })
    expect(attempt?.error?.message).toMatch(message)
  })

  it('that is too large is not kept, and says so; the work stays done', async () => {
    const scene = await withHandler(() => 'x'.repeat(limits.resultBytes))
    const id = await scene.send('worker', { data: {} })
    await scene.pass(second)
    const receipt = await scene.receipt(id)
    expect([receipt.status, receipt.result]).toEqual(['completed', undefined])
    expect(receipt.effects).toMatchObject([{ state: { status: 'refused', detail: expect.stringContaining('262146') } }])
    expect((await scene.letters()).map((l) => l.id)).toEqual([`${id}-e1`])
  })
})

describe('what a handler sends', () => {
  it('leaves only after it returned, once, and with the cause it had', async () => {
    let returnedAt = Number.POSITIVE_INFINITY
    const scene = await withHandler(async (_, ctx, { world }) => {
      ctx.send({ to: 'boss', type: 'first', data: 1 })
      ctx.reply({ done: true })
      ctx.send({ to: 'boss', type: 'second', data: 2 })
      await world.sleep(500)
      returnedAt = world.now
    })
    const id = await scene.send('worker', { data: {}, replyto: 'boss', id: 'asked-1', correlationid: 'talk-1' })
    await scene.pass(10 * second)
    const calls = scene.callsOf('boss')
    expect(calls.map((c) => JSON.parse(c.body))).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ id: `${id}-1`, type: 'test.note.reply', data: { done: true }, source: 'worker' }),
        expect.objectContaining({ id: `${id}-2`, type: 'first', correlationid: 'talk-1', causationid: 'asked-1' }),
        expect.objectContaining({ id: `${id}-3`, type: 'second' }),
      ]),
    )
    expect(calls).toHaveLength(3)
    for (const call of calls) expect(call.at).toBeGreaterThanOrEqual(returnedAt)
    expect((await scene.receipt(id)).effects?.map((e) => e.state.status)).toEqual(['carried', 'carried', 'carried'])
  })

  it('before it throws never leaves (because a failed attempt did nothing)', async () => {
    let calls = 0
    const scene = await withHandler((_, ctx) => {
      calls += 1
      ctx.send({ to: 'boss', type: `from attempt ${calls}` })
      return calls === 1 ? failed() : undefined
    })
    await scene.send('worker', { data: {} })
    await scene.pass(60 * second)
    expect(scene.callsOf('boss').map((c) => JSON.parse(c.body).type)).toEqual(['from attempt 2'])
  })

  it('after it returned never leaves (because its result was written down already)', async () => {
    const scene = await withHandler((_, ctx, { world }) => {
      world.in(second, () => ctx.send({ to: 'boss', type: 'too late' }))
    })
    await scene.send('worker', { data: {} })
    await scene.pass(10 * second)
    expect(scene.callsOf('boss')).toEqual([])
  })

  it('is refused one by one and told, and the others leave (E1)', async () => {
    const scene = await withHandler((_, ctx) => {
      ctx.send({ to: 'nobody', type: 'x' })
      ctx.send({ to: 'boss', type: '' })
      ctx.send({ to: 'boss', type: 'good' })
      ctx.reply('nobody asked')
    })
    const id = await scene.send('worker', { data: {} })
    await scene.pass(10 * second)
    const effects = (await scene.receipt(id)).effects ?? []
    expect(effects.map((e) => (e.state.status === 'refused' ? e.state.reason : e.state.status))).toEqual([
      'no_replyto',
      'agent_not_found',
      'invalid',
      'carried',
    ])
    expect((await scene.letters()).map((l) => [l.id, l.reason]).sort()).toEqual([
      [`${id}-e1`, 'effect_refused'],
      [`${id}-e2`, 'effect_refused'],
      [`${id}-e3`, 'effect_refused'],
    ])
    expect(scene.callsOf('boss')).toHaveLength(1)
  })

  it('by a second reply replaces the first (because there is one reply)', async () => {
    const scene = await withHandler((_, ctx) => {
      ctx.reply('first')
      ctx.reply('second', 'chosen.type')
    })
    await scene.send('worker', { data: {}, replyto: 'boss' })
    await scene.pass(10 * second)
    expect(scene.callsOf('boss').map((c) => JSON.parse(c.body))).toMatchObject([
      { type: 'chosen.type', data: 'second' },
    ])
  })

  it('is logged with its ids and its trace, and without its data (A120)', async () => {
    const scene = await withHandler((_, ctx) => ctx.log('read a page', { page: 3 }))
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const id = await scene.send('worker', { data: { text: 'a secret' }, traceparent })
    await scene.pass(second)
    const { message } = await scene.receipt(id)
    expect(message.traceparent).toContain('0af7651916cd43dd8448eb211c80319c')
    expect(scene.logged).toContainEqual({
      step: 'handler',
      ids: { agent: 'worker', delivery: id, traceparent: message.traceparent, note: 'read a page', page: 3 },
    })
    expect(JSON.stringify(scene.logged)).not.toContain('a secret')
  })
})

it('a handler that this deployment does not have is a dead letter that says so', async () => {
  const scene = new Scene()
  await scene.handler('missing')
  const id = await scene.send('missing')
  await scene.pass(second)
  const receipt = await scene.receipt(id)
  expect(receipt.deadLetter?.reason).toBe('no_handler')
  expect(receipt.attempts[0]?.error?.message).toContain('no handler named missing')
})

describe('a poison', () => {
  it('ends after two crashes and the handler works on, its attempts unburned; other mail is not held up (TC13)', async () => {
    const seen: string[] = []
    const scene = await withHandler(({ data }) => {
      seen.push(data.text ?? '')
      if (data.text === 'bad') throw new TypeError(`cannot read title of ${seen.length}`)
    })
    const [bad, good] = [
      await scene.send('worker', { data: { text: 'bad' } }),
      await scene.send('worker', { data: { text: 'good' } }),
    ]
    await scene.pass(60 * second)
    expect(seen.toSorted()).toEqual(['bad', 'bad', 'good'])
    expect(await scene.receipt(bad)).toMatchObject({
      status: 'dead_lettered',
      attempt: 2,
      deadLetter: { reason: 'poison' },
    })
    expect((await scene.receipt(good)).status).toBe('completed')
    expect(await scene.letters()).toMatchObject([{ id: bad, reason: 'poison', fingerprint: expect.any(String) }])
  })

  it('is not what a provider’s outage makes of its mail: every attempt is used', async () => {
    const scene = await withHandler(
      () => {
        throw new Error('fetch failed')
      },
      { maxAttempts: 3 },
    )
    const id = await scene.send('worker', { data: {} })
    await scene.pass(60 * second)
    expect(await scene.receipt(id)).toMatchObject({ attempt: 3, deadLetter: { reason: 'attempts_exhausted' } })
  })
})

/** What a webhook may answer, and what each answer does, in virtual time. The same over real HTTP: test/system/webhooks.test.ts. */
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import type { FetchedAnswer, Platform } from '../../shared/ports.ts'
import type { Receipt } from '../../shared/receipt.ts'
import { settle } from '../../workers/settle.ts'
import { never, type Receiver, type Reply, Scene } from './scene.ts'

const second = 1_000
const minute = 60 * second
const quick = { backoff: { initialSeconds: 1, factor: 2, jitter: 'none' as const } }

/** Answers these, one after the other; the last one for ever. */
function sequence(...replies: readonly Reply[]): Receiver {
  let n = 0
  return () => replies[Math.min(n++, replies.length - 1)] as Reply
}

async function answered(reply: Reply, ms = second): Promise<{ scene: Scene; id: string; receipt: Receipt }> {
  const scene = new Scene()
  await scene.webhook('ada', sequence(reply, { status: 200 }), quick)
  const id = await scene.send('ada')
  await scene.pass(ms)
  return { scene, id, receipt: await scene.receipt(id) }
}

describe('a 2xx is the ack', () => {
  it.each([
    [200, '', undefined],
    [204, '', undefined],
    [200, 'OK', undefined],
    [200, '{"broken', undefined],
    [201, '{"pages":3}', { pages: 3 }],
    [202, '[1,2]', [1, 2]],
    [299, '"done"', 'done'],
  ])('%i %j', async (status, body, result) => {
    const { receipt } = await answered({ status, body })
    expect([receipt.status, receipt.result]).toEqual(['completed', result])
    expect(receipt.attempts).toMatchObject([{ outcome: 'ok', httpStatus: status, counted: true }])
    expect(receipt.steps.map((s) => s.step)).toEqual(['accepted', 'queued', 'dispatched', 'delivered', 'completed'])
  })
})

it('an attempt is cut when the time that its message allows is over, before the agent’s own (A96)', async () => {
  const scene = new Scene()
  await scene.webhook('ada', never, { timeoutSeconds: 30, maxAttempts: 1 })
  const id = await scene.send('ada', { timeoutseconds: 2 })
  await scene.pass(3 * second)
  const receipt = await scene.receipt(id)
  expect(receipt.attempts).toMatchObject([{ outcome: 'retry', counted: true, error: { code: 'timeout' } }])
  const [call] = scene.callsOf('ada')
  const allowedMs = Date.parse(call?.headers['switchboard-deadline'] ?? '') - (call?.at ?? 0)
  expect(allowedMs).toBeLessThanOrEqual(2 * second)
  expect(allowedMs).toBeGreaterThan(1.9 * second)
})

describe('a failed attempt', () => {
  it.each([[400], [409], [413], [415], [422]])(
    'with %i can never work for this message: a dead letter at once, and the agent’s other mail goes on',
    async (status) => {
      const { scene, receipt } = await answered({ status, body: 'because' })
      expect(receipt).toMatchObject({ status: 'dead_lettered', deadLetter: { reason: 'terminal' }, attempt: 1 })
      expect(receipt.attempts).toMatchObject([{ outcome: 'fail', httpStatus: status, error: { body: 'because' } }])
      const next = await scene.send('ada')
      await scene.pass(second)
      expect((await scene.receipt(next)).status).toBe('completed')
    },
  )

  it.each([
    [301],
    [302],
    [307],
    [308],
    [401],
    [403],
    [404],
    [405],
    [408],
    [421],
    [425],
    [500],
    [501],
    [502],
    [503],
    [504],
  ])('with %i may work next time: tried again after the policy’s pause', async (status) => {
    const { scene, id, receipt } = await answered({ status }, 900)
    expect(receipt).toMatchObject({ status: 'held', attempt: 1 })
    await scene.pass(2 * second)
    expect(await scene.receipt(id)).toMatchObject({ status: 'completed', attempt: 2 })
    const [first, again] = scene.callsOf('ada').map((c) => c.at)
    expect(again! - first!).toBeGreaterThanOrEqual(second)
  })

  it.each([
    ['a longer Retry-After wins over the policy’s pause', '60', 60],
    ['a shorter one does not', '0', 1],
    ['nonsense in it does not count', 'soon', 1],
  ])('%s', async (_, value, seconds) => {
    const scene = new Scene()
    await scene.webhook('ada', sequence({ status: 500, headers: { 'retry-after': value } }, { status: 200 }), quick)
    await scene.send('ada')
    await scene.pass(5 * minute)
    const [first, again] = scene.callsOf('ada').map((c) => c.at)
    expect(again! - first!).toBeGreaterThanOrEqual(seconds * second)
    expect(again! - first!).toBeLessThan((seconds + 1) * second)
  })

  it('is one line of the log, like any other attempt: whose, which, what it came to and why, without the data (A76, A124)', async () => {
    const scene = new Scene()
    await scene.webhook('ada', sequence({ status: 500, body: 'a secret answer' }, { status: 200 }), quick)
    const id = await scene.send('ada', { data: 'a secret' })
    await scene.pass(minute)
    const common = { agent: 'ada', delivery: id }
    expect(scene.logged.filter((line) => line.step === 'deliver').map((line) => line.ids)).toEqual([
      { ...common, attempt: 1, outcome: 'retry', error: 'http', status: 500 },
      { ...common, attempt: 2, outcome: 'ok' },
    ])
    expect(JSON.stringify(scene.logged)).not.toContain('secret')
  })

  it('keeps the first bytes of the answer as evidence, and no more (A74)', async () => {
    const { receipt } = await answered({ status: 422, body: 'x'.repeat(100_000) })
    expect(receipt.attempts[0]?.error?.body).toHaveLength(limits.errorBodyBytes)
  })

  it('that nobody answers ends at the deadline, and its signal is aborted (A122)', async () => {
    const scene = new Scene()
    await scene.webhook('ada', never, { ...quick, timeoutSeconds: 3, maxAttempts: 1 })
    const id = await scene.send('ada')
    await scene.pass(2.9 * second)
    expect((await scene.receipt(id)).status).toBe('dispatched')
    await scene.pass(second)
    expect((await scene.receipt(id)).attempts).toMatchObject([
      { error: { code: 'timeout', message: expect.stringContaining('no answer within') } },
    ])
  })
})

describe('a receiver that asks for quiet', () => {
  it.each([
    [429, '120', 120],
    [429, undefined, 5],
    [429, '0', 1],
    [502, '120', 120],
    [503, '120', 120],
    [504, '120', 120],
  ])(
    'with %i and Retry-After %s is left alone for %i s, its other mail too, at no attempt (M4)',
    async (status, value, seconds) => {
      const headers = value === undefined ? {} : { 'retry-after': value }
      const { scene, id, receipt } = await answered({ status, headers }, 500)
      expect(receipt).toMatchObject({ status: 'parked', attempt: 0, attempts: [{ outcome: 'hold', counted: false }] })
      const other = await scene.send('ada')
      expect((await scene.receipt(other)).because).toMatch(/asked for quiet/)
      await scene.pass(seconds * second - 700)
      expect(scene.callsOf('ada')).toHaveLength(1)
      await scene.pass(2 * second)
      for (const one of [id, other]) expect(await scene.receipt(one)).toMatchObject({ status: 'completed', attempt: 1 })
    },
  )

  it('until a date is held until then', async () => {
    const scene = new Scene()
    const until = new Date(Math.ceil(scene.world.now / second) * second + 90 * second)
    await scene.webhook(
      'ada',
      sequence({ status: 429, headers: { 'retry-after': until.toUTCString() } }, { status: 200 }),
    )
    await scene.send('ada')
    await scene.pass(5 * minute)
    expect(scene.callsOf('ada').at(-1)!.at).toBeGreaterThanOrEqual(until.getTime())
  })

  it('holds up nobody else (A37)', async () => {
    const scene = new Scene()
    await scene.webhook('ada', () => ({ status: 429, headers: { 'retry-after': '3600' } }))
    await scene.webhook('bob')
    await scene.send('ada')
    await scene.pass(second)
    const id = await scene.send('bob')
    await scene.pass(second)
    expect((await scene.receipt(id)).status).toBe('completed')
  })

  it('goes on at once when somebody resumes it', async () => {
    const { scene, id } = await answered({ status: 429, headers: { 'retry-after': '3600' } })
    await scene.resume('ada')
    await scene.pass(3_601 * second)
    expect((await scene.receipt(id)).status).toBe('completed')
  })
})

describe('410', () => {
  it('pauses the agent and parks its mail at no attempt, until somebody resumes it (TB18)', async () => {
    const { scene, id, receipt } = await answered({ status: 410 })
    expect(receipt).toMatchObject({ status: 'parked', because: 'paused: the webhook answered 410 Gone', attempt: 0 })
    const other = await scene.send('ada')
    await scene.pass(48 * 60 * minute)
    expect(scene.callsOf('ada')).toHaveLength(1)
    expect((await scene.agent('ada')).paused?.until).toBeUndefined()
    await scene.resume('ada')
    await scene.pass(second)
    for (const one of [id, other]) expect(await scene.receipt(one)).toMatchObject({ status: 'completed', attempt: 1 })
  })
})

describe('an answer’s effects', () => {
  const asking = (body: unknown): Reply => ({
    status: 200,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })

  it('leave once, with the result kept beside them (A25)', async () => {
    const scene = new Scene()
    await scene.webhook('ada', () =>
      asking({ result: 7, reply: { data: 'yes' }, messages: [{ to: 'bob', type: 'next' }] }),
    )
    await scene.webhook('bob')
    const id = await scene.send('ada', { replyto: 'bob' })
    await scene.pass(5 * second)
    expect(await scene.receipt(id)).toMatchObject({ status: 'completed', result: 7 })
    expect(
      scene
        .callsOf('bob')
        .map((c) => JSON.parse(c.body).type)
        .sort(),
    ).toEqual(['next', 'test.note.reply'])
  })

  const deep = `{"result":${'['.repeat(10_000)}${']'.repeat(10_000)}}`
  it.each([
    ['of an unknown name', asking({ messages: [], shout: { type: 'x' } }), /shout/],
    ['of a wrong shape', asking({ reply: 'yes' }), /^reply: /],
    [
      'that are too many',
      asking({ messages: Array.from({ length: 101 }, () => ({ to: 'bob', type: 'x' })) }),
      /messages/,
    ],
    ['that are too large', asking({ messages: [{ to: 'bob', type: 'x', data: 'x'.repeat(600_000) }] }), /524288 bytes/],
    ['in an answer that is too large', asking(`"${'x'.repeat(1_100_000)}"`), /the answer has more than 1048576 bytes/],
    ['in an answer that is too deep', asking(deep), /the answer is nested deeper than 64/],
  ])(
    '%s are refused and told on the receipt and as a dead letter; the work stays done (E1)',
    async (_, reply, detail) => {
      const { scene, id, receipt } = await answered(reply)
      expect(receipt).toMatchObject({ status: 'completed', attempt: 1 })
      expect(receipt.effects).toMatchObject([{ state: { status: 'refused', detail: expect.stringMatching(detail) } }])
      const [letter] = await scene.letters()
      expect(letter).toMatchObject({ id: `${id}-e1`, delivery: id, reason: 'effect_refused' })
      expect(letter?.error?.message).toMatch(detail)
      await scene.pass(minute)
      expect(scene.callsOf('ada')).toHaveLength(1)
    },
  )

  it('are not read from an answer that is no JSON (because any 2xx is a plain ack)', async () => {
    const { receipt } = await answered(asking('<p>"messages"</p>'))
    expect([receipt.status, receipt.effects]).toEqual(['completed', undefined])
  })

  it('too deep to print do not take the reports beside them with them', async () => {
    const scene = new Scene()
    await scene.webhook('ada', ({ body }) => (JSON.parse(body).data === 'bad' ? asking(deep) : { status: 200 }))
    const [bad, good] = [await scene.send('ada', { data: 'bad' }), await scene.send('ada', { data: 'good' })]
    await scene.pass(second)
    for (const id of [bad, good]) expect(await scene.receipt(id)).toMatchObject({ status: 'completed', attempt: 1 })
  })
})

describe('a body that comes slowly', () => {
  /** Answers 200 at once, then what `pieces` yields. */
  function streaming(pieces: (controller: ReadableStreamDefaultController<Uint8Array>, scene: Scene) => void) {
    const scene: Scene = new Scene({
      ports: (): Partial<Platform> => ({
        fetch: async (): Promise<FetchedAnswer> => ({
          status: 200,
          headers: { get: () => null },
          body: new ReadableStream({ start: (controller) => pieces(controller, scene) }),
          text: () => Promise.reject(new Error('its length is not known')),
        }),
      }),
    })
    return scene
  }
  const bytes = (text: string) => new TextEncoder().encode(text)

  it('is read to its end within the deadline', async () => {
    const scene = streaming((controller, { world }) => {
      for (const [i, piece] of ['{"pa', 'ges":', '3}'].entries())
        world.in((i + 1) * second, () => controller.enqueue(bytes(piece)))
      world.in(4 * second, () => controller.close())
    })
    await scene.webhook('ada')
    const id = await scene.send('ada')
    await scene.pass(10 * second)
    expect(await scene.receipt(id)).toMatchObject({ status: 'completed', result: { pages: 3 } })
  })

  it('and never ends is a time-out', async () => {
    const scene = streaming((controller) => controller.enqueue(bytes('{')))
    await scene.webhook('ada', undefined, { timeoutSeconds: 2, maxAttempts: 1 })
    const id = await scene.send('ada')
    await scene.pass(10 * second)
    expect((await scene.receipt(id)).attempts).toMatchObject([{ error: { code: 'timeout' } }])
  })

  it('and breaks off is a failure of the network', async () => {
    const scene = streaming((controller, { world }) =>
      world.in(second, () => controller.error(new Error('reset by peer'))),
    )
    await scene.webhook('ada', undefined, { maxAttempts: 1 })
    const id = await scene.send('ada')
    await scene.pass(10 * second)
    expect((await scene.receipt(id)).attempts).toMatchObject([
      { error: { code: 'network', message: 'Error: reset by peer' } },
    ])
  })

  it('holds no connection slot (because only those that wait for headers count)', async () => {
    const scene = streaming(() => undefined)
    await scene.webhook('ada', undefined, { timeoutSeconds: 30, concurrency: 10 })
    const started = () => scene.logged.filter((l) => l.step === 'deliver').length
    await Promise.all(Array.from({ length: 10 }, () => scene.send('ada')))
    await scene.pass(20 * second)
    expect(started()).toBe(0)
    const unsent = scene.logged.filter((l) => l.step === 'deliver' && l.ids['outcome'] === 'unsent')
    expect(unsent).toEqual([])
    expect((await scene.done(scene.platform().agent('ada').describe()))?.figures.inFlight).toBe(10)
  })
})

describe('ack: later', () => {
  const later = { ack: 'later' as const, ackSeconds: 30, ...quick }
  const ack = (scene: Scene, id: string, token: string, result: unknown = 'acked') =>
    scene.done(settle(scene.platform(), 'ada', [{ id, token, outcome: { kind: 'ok', result }, external: true }]))

  async function accepted(reply: Reply = { status: 202 }, policy = {}) {
    const scene = new Scene()
    await scene.webhook('ada', () => reply, { ...later, ...policy })
    const id = await scene.send('ada')
    await scene.pass(second)
    return { scene, id, token: scene.calls[0]!.headers['switchboard-token']! }
  }

  it('a 202 stays delivered until the ack with the token, then it is completed (TC7)', async () => {
    const { scene, id, token } = await accepted()
    expect(await scene.receipt(id)).toMatchObject({ status: 'delivered', attempt: 0 })
    expect(await ack(scene, id, token)).toMatchObject([{ status: 'settled' }])
    expect(await scene.receipt(id)).toMatchObject({ status: 'completed', attempt: 1, result: 'acked' })
  })

  it('any other 2xx is the ack, as without it', async () => {
    const { scene, id } = await accepted({ status: 200, body: '"now"' })
    expect(await scene.receipt(id)).toMatchObject({ status: 'completed', result: 'now' })
  })

  it('an ack that overtakes its own 202 wins', async () => {
    const scene = new Scene()
    await scene.webhook(
      'ada',
      async ({ headers }) => {
        const platform = scene.platform()
        const outcome = { kind: 'ok' as const, result: 'early' }
        const [id, token] = [headers['webhook-id']!, headers['switchboard-token']!]
        await settle(platform, 'ada', [{ id, token, outcome, external: true }])
        return { status: 202 }
      },
      later,
    )
    const id = await scene.send('ada')
    await scene.pass(2 * minute)
    expect(await scene.receipt(id)).toMatchObject({ status: 'completed', attempt: 1, result: 'early' })
    expect(scene.callsOf('ada')).toHaveLength(1)
  })

  it('which attempt is the last, and what the one before died of, whatever that says, are told with it (A19)', async () => {
    const { scene, id, token } = await accepted(undefined, { maxAttempts: 2, backoff: 'quick' })
    const message = `größer\r\nwebhook-id: 7, "${'x'.repeat(500)}`
    const outcome = { kind: 'retry', error: { code: 'nack', message } } as const
    await scene.done(settle(scene.platform(), 'ada', [{ id, token, outcome, external: true }]))
    await scene.pass(5 * second)
    const told = scene.callsOf('ada').map(({ headers }) => headers)
    expect(told.map((one) => [one['switchboard-attempt'], one['switchboard-max-attempts']])).toEqual([
      ['1', '2'],
      ['2', '2'],
    ])
    const said = told.map((one) => one['switchboard-previous-error'])
    expect(said[0]).toBeUndefined()
    expect(said[1]).toMatch(/^[!#$&-~%]+$/)
    expect(decodeURIComponent(said[1] ?? '')).toBe(message.slice(0, 200))
  })

  it('no ack in time is a failed attempt: tried again, and the old token settles nothing (A18)', async () => {
    const { scene, id, token } = await accepted()
    await scene.pass(40 * second)
    expect(scene.callsOf('ada')).toHaveLength(2)
    expect(await scene.receipt(id)).toMatchObject({ attempt: 1, attempts: [{ outcome: 'silence', counted: true }] })
    expect(await ack(scene, id, token)).toMatchObject([{ status: 'stale' }])
  })

  it('an extension keeps it, and shows it as claimed (TC7)', async () => {
    const { scene, id, token } = await accepted()
    const extended = await scene.done(
      scene
        .platform()
        .agent('ada')
        .extend(id, token, 10 * minute),
    )
    expect(extended.status).toBe('extended')
    await scene.pass(5 * minute)
    expect((await scene.receipt(id)).status).toBe('claimed')
    expect(await ack(scene, id, token)).toMatchObject([{ status: 'settled' }])
    expect(scene.callsOf('ada')).toHaveLength(1)
  })

  it('holds its place in flight until it is settled (T12, A83)', async () => {
    const { scene, id, token } = await accepted(undefined, { concurrency: 1 })
    const next = await scene.send('ada')
    await scene.pass(20 * second)
    expect(scene.callsOf('ada')).toHaveLength(1)
    await ack(scene, id, token)
    await scene.pass(second)
    expect((await scene.receipt(next)).status).toBe('delivered')
  })
})

/**
 * The crash test of requests: the process is killed with SIGKILL at each named point on a request's way, and started again on
 * the same storage. The reply still comes, once, and nobody is asked twice. Never here: the way of a message (crash.test.ts).
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { promisePoints, type RequestPoint, requestPoints } from './crash-points.ts'
import { crashWorker, Run } from './crash-run.ts'
import type { Bundle } from './host.ts'

let worker: Bundle
beforeAll(async () => {
  worker = await crashWorker()
})

interface Told {
  readonly id: string
  readonly status: string | number
  readonly code?: string
  readonly reply?: { readonly data: { readonly nonce: string } }
  readonly deliveries: readonly { readonly id: string; readonly agent: string }[]
}

interface Receipt {
  readonly status: string
  readonly effects?: readonly {
    readonly kind: string
    readonly state: { readonly status: string; readonly standing?: string }
  }[]
}

async function killedAt<T>(
  point: RequestPoint,
  request: object,
  check: (run: Run, id: string) => Promise<T>,
): Promise<T> {
  const run = await Run.start(worker, { point, nth: 1 })
  try {
    await run.ask('PUT', '/v1/agents/deaf', { kind: 'pull' })
    const asking = run.ask('POST', '/v1/requests', { id: 'once', type: 'crash.work', data: { fate: 'do' }, ...request })
    expect(await run.killed(), `${point} was reached`).not.toBe('')
    await run.startHost()
    const { body } = await asking
    const told = body as unknown as Told & { readonly request?: string }
    return await check(run, told.request ?? told.id)
  } finally {
    await run.stop()
  }
}

const isEnded = (receipt: Receipt) => receipt.effects?.every((e) => e.state.status !== 'pending') === true

describe('SIGKILL on the way of a request', () => {
  for (const [to, point] of [
    ['alpha', 'ask.after'],
    ['alpha', 'reply.before'],
    ['alpha', 'reply.after'],
    ['capability:alpha', 'gather.opened'],
    ['capability:alpha', 'leg.accepted'],
    ['capability:alpha', 'arrive.before'],
    ['capability:alpha', 'arrive.after'],
  ] as const)
    it(`${point}: ${requestPoints[point]}; after a restart the reply still comes, once (M1, M2, G1, A50)`, async () => {
      await killedAt(point, { to, timeoutSeconds: 60 }, async (run, id) => {
        const told = await run.until<Told>(`/v1/requests/${id}`, (body) => body.status !== 'pending')
        const [delivery, ...others] = told.deliveries
        expect([told.status, others]).toEqual(['replied', []])
        expect(run.nonces.get(delivery!.id)).toContain(told.reply?.data.nonce)
        const receipt = await run.until<Receipt>(`/v1/deliveries/${delivery!.id}`, isEnded)
        const reply = receipt.effects?.find((e) => e.kind === 'reply')
        expect([receipt.status, reply?.state]).toMatchObject(['completed', { status: 'carried', standing: 'counted' }])
        const mail = await run.read<{ items: unknown[] }>('/v1/agents/alpha/deliveries')
        expect(mail.items).toHaveLength(1)
        expect((await run.read<{ items: unknown[] }>('/v1/dead-letters')).items).toEqual([])
      })
    }, 120_000)

  it(`gather.telling: ${requestPoints['gather.telling']}; after a restart it is told, and nobody is still asked (M6, G1)`, async () => {
    await killedAt('gather.telling', { to: 'deaf', timeoutSeconds: 1 }, async (run, id) => {
      const told = await run.until<Told>(`/v1/requests/${id}`, (body) => body.status !== 'pending')
      expect(told.status).toBe('timed_out')
      await run.until<Receipt>(`/v1/deliveries/${told.deliveries[0]!.id}`, (receipt) => receipt.status === 'cancelled')
      await run.until<{ items: unknown[] }>('/v1/requests?status=pending', (body) => body.items.length === 0)
    })
  }, 120_000)
})

interface Promised {
  readonly status: string
  readonly value?: unknown
  readonly told?: { readonly status: string }
}

describe('SIGKILL on the way of a promise', () => {
  for (const point of ['promise.ended', 'promise.telling'] as const)
    it(`${point}: ${promisePoints[point]}; after a restart it has ended so, and is told once (A107, M1, M2, G1)`, async () => {
      const run = await Run.start(worker, { point, nth: 1 })
      try {
        await run.ask('PUT', '/v1/agents/deaf', { kind: 'pull' })
        const make = async () => (await run.ask('POST', '/v1/promises', { name: 'once', notify: 'deaf' })).body
        const { id } = (await make()) as unknown as Told
        const resolving = run.ask('POST', `/v1/promises/${id}/resolve`, { value: 7 })
        expect(await run.killed(), `${point} was reached`).toBe(id)
        await run.startHost()
        expect((await resolving).status).toBe(200)
        expect(await make()).toMatchObject({ id, status: 'resolved' })
        const { value } = await run.until<Promised>(`/v1/promises/${id}`, (body) => body.told?.status === 'carried')
        expect(value).toBe(7)
        expect((await run.ask('POST', `/v1/promises/${id}/resolve`, { value: 8 })).status).toBe(409)
        expect((await run.read<{ items: unknown[] }>('/v1/agents/deaf/deliveries')).items).toHaveLength(1)
      } finally {
        await run.stop()
      }
    }, 120_000)
})

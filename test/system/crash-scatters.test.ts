/**
 * The crash test of scatters: the process is killed with SIGKILL at each named point on a scatter's way, and started again on the
 * same storage. Each part is asked for once, the reducer once, and the end is told once. Never here: one request's way.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { type CrashPoint, requestPoints, scatterPoints } from './crash-points.ts'
import { crashWorker, Run } from './crash-run.ts'
import type { Bundle } from './host.ts'

let worker: Bundle
beforeAll(async () => {
  worker = await crashWorker()
})

interface Told {
  readonly id: string
  readonly status: string | number
  readonly ok: readonly {
    readonly agent: string
    readonly delivery: string
    readonly data: { readonly nonce: string }
  }[]
  readonly result?: { readonly nonce: string }
}

interface Mail {
  readonly items: readonly { readonly id: string; readonly status: string; readonly message: { readonly id: string } }[]
}

const json = {
  ...{ id: 'once', to: ['alpha', 'crafter'], type: 'crash.work', items: [1, 2, 3, 4], itemsPerChunk: 1 },
  ...{ data: { fate: 'do' }, deadlineSeconds: 120, assign: 'rotate', replyto: 'replies', replytype: 'crash.ended' },
  reduce: { to: 'alpha', type: 'crash.work', data: { fate: 'do' } },
}

// Where it dies, and on which call: a first one of several, or one in their middle.
const deaths: readonly (readonly [CrashPoint, number])[] = [
  ['gather.opened', 1],
  ['leg.accepted', 1],
  ['arrive.before', 2],
  ['arrive.after', 3],
  ['scatter.reducing', 1],
  ['scatter.reduced', 1],
  ['scatter.told', 1],
  ['gather.telling', 2],
]

describe('SIGKILL on the way of a scatter', () => {
  it.each(deaths)(
    '(A53) (A58) (TC14) %s, call %d: after a restart each part is done once, and so are the reduction and the end (M1, M2, G1)',
    async (point, nth) => {
      const run = await Run.start(worker, { point, nth })
      try {
        const asking = run.ask('POST', '/v1/scatters', json)
        expect(
          await run.killed(),
          `${point}: ${{ ...requestPoints, ...scatterPoints }[point as 'gather.opened']}`,
        ).not.toBe('')
        await run.startHost()
        const { body } = await asking
        const { id } = body as unknown as Told
        const told = await run.until<Told>(`/v1/scatters/${id}`, (one) => one.status === 'completed')
        expect(told.ok).toHaveLength(4)
        // What a handler answers is known to the Worker alone.
        for (const { agent, delivery, data } of told.ok)
          expect(agent === 'crafter' ? [data.nonce] : run.nonces.get(delivery)).toContain(data.nonce)
        const sent = [0, 1, 2, 3].map((i) => `${id}.map.${i}`)
        const mail = async (agent: string) => (await run.read<Mail>(`/v1/agents/${agent}/deliveries`)).items
        const asked = [...(await mail('alpha')), ...(await mail('crafter'))]
        expect(asked.map((one) => one.message.id).sort()).toEqual([...sent, `${id}.reduce`].sort())
        const reduction = asked.find((one) => one.message.id === `${id}.reduce`)
        expect(run.nonces.get(reduction!.id)).toContain(told.result?.nonce)
        const ends = ({ items }: Mail) => items.filter((one) => one.message.id === `${id}.ended`)
        const heard = await run.until<Mail>(
          '/v1/agents/replies/deliveries',
          (all) => ends(all)[0]?.status === 'completed',
        )
        expect(ends(heard)).toHaveLength(1)
        expect((await run.read<Mail>('/v1/dead-letters')).items).toEqual([])
      } finally {
        await run.stop()
      }
    },
    180_000,
  )
})

/**
 * The crash test of what stands and waits: a question to a person, and a schedule. The process is killed with SIGKILL at each named
 * point on their ways, and started again on the same storage. Everybody hears of each thing once, by itself.
 * Never here: simulated crashes (test/simulator/), which are many more.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import {
  type ApprovalPoint,
  approvalPoints,
  type CrashPoint,
  type SchedulePoint,
  schedulePoints,
} from './crash-points.ts'
import { crashWorker, hosting, Run } from './crash-run.ts'
import type { Bundle } from './host.ts'

let worker: Bundle
beforeAll(async () => {
  worker = await crashWorker()
})

interface Mail {
  readonly items: readonly {
    readonly status: string
    readonly message: { readonly id: string; readonly type: string }
  }[]
}

interface Question {
  readonly id: string
  readonly status: string
  readonly told: readonly { readonly what: string; readonly status: string }[]
}

interface Times {
  readonly status: string
  readonly firings: readonly { readonly id: string; readonly status: string }[]
}

/** Works, dies where it is told to, starts again, and is asked what there is in the end. */
const dying = (death: readonly [CrashPoint, number], work: (run: Run, reborn: Promise<void>) => Promise<void>) =>
  hosting(() => dyingNow(death, work))

async function dyingNow(
  [point, nth]: readonly [CrashPoint, number],
  work: (run: Run, reborn: Promise<void>) => Promise<void>,
) {
  const run = await Run.start(worker, { point, nth })
  try {
    const reborn = run.killed().then((where) => {
      expect(where, `${point} was reached`).not.toBe('')
      return run.startHost()
    })
    await Promise.all([reborn, work(run, reborn)])
    expect((await run.read<Mail>('/v1/dead-letters')).items).toEqual([])
  } finally {
    await run.stop()
  }
}

const heardBy = async (run: Run, agent: string) =>
  (await run.read<Mail>(`/v1/agents/${agent}/deliveries`)).items.map((one) => [one.message.type, one.status])

// The question itself, or its outcome.
const deaths: readonly (readonly [ApprovalPoint, number])[] = [
  ['approval.opened', 1],
  ['approval.telling', 1],
  ['approval.decided', 1],
  ['approval.telling', 2],
]

describe.concurrent('SIGKILL on the way of a question to a person', () => {
  for (const [point, nth] of deaths)
    it(`${point}, the ${nth}. time: ${approvalPoints[point]}; after a restart it is decided once, and each is told once (M1, M2, M6, TC11)`, async () => {
      await dying([point, nth], async (run, reborn) => {
        const input = { question: 'Go?', notify: ['left'], replyto: 'replies' }
        const { body } = await run.ask('POST', '/v1/approvals', input, 'once')
        const { id } = body as unknown as Question
        const path = `/v1/approvals/${id}`
        const told = (n: number) => (one: Question) => one.told[n]?.status === 'carried'
        await run.until(path, told(0))
        await run.ask('POST', `${path}/decision`, { option: 'approve' })
        await reborn
        const ended = await run.until(path, told(1))
        expect(ended).toMatchObject({ status: 'decided', option: 'approve' })
        expect(ended.told.map((one) => one.what)).toEqual(['ask', 'outcome'])
        await run.until<Mail>('/v1/agents/replies/deliveries', ({ items }) => items[0]?.status === 'completed')
        expect(await heardBy(run, 'left')).toEqual([['switchboard.approval.asked', 'completed']])
        expect(await heardBy(run, 'replies')).toEqual([['switchboard.approval.decided', 'completed']])
      })
    }, 120_000)
})

describe.concurrent('SIGKILL on the way of a schedule', () => {
  for (const point of Object.keys(schedulePoints) as SchedulePoint[])
    it(`${point}: ${schedulePoints[point]}; after a restart each of its times is published once (M1, M2, M6, TB2)`, async () => {
      await dying([point, 1], async (run, reborn) => {
        const endAt = new Date(Date.now() + 5_000).toISOString()
        const timing = { everySeconds: 2, endAt, overlap: 'allow', catchUp: 'all' }
        await run.ask('PUT', '/v1/schedules/tick', { ...timing, message: { to: 'left', type: 'crash.tick' } })
        await reborn
        const { firings } = await run.until<Times>('/v1/schedules/tick', (one) => one.status === 'finished')
        expect(firings.map((one) => one.status)).toEqual(['published', 'published'])
        const all = ({ items }: Mail) => items.length > 0 && items.every((one) => one.status === 'completed')
        const { items } = await run.until('/v1/agents/left/deliveries', all)
        expect(items.map((one) => one.message.id).sort()).toEqual(firings.map((one) => one.id).sort())
      })
    }, 120_000)
})

/**
 * Crash test on real workerd: the process is killed with SIGKILL at each named point, or at random moments, and started again
 * on the same storage. Whatever was accepted must end once, with its effects once, by itself.
 * Never here: simulated crashes (test/simulator/), which are many more.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { arrived, faultsOf, letters } from './crash-checks.ts'
import { crashPoints, type Fate, fates, type MessagePoint } from './crash-points.ts'
import { crashWorker, hosting, Run, type Worker, workers } from './crash-run.ts'
import type { Bundle } from './host.ts'

let worker: Bundle
beforeAll(async () => {
  worker = await crashWorker()
})

/** On which of its calls each point kills: in the middle of things rather than at the first. */
const nth: Readonly<Record<MessagePoint, number>> = {
  'accept.after': 3,
  'enqueue.before': 2,
  'take.after': 2,
  'deliver.before': 3,
  'deliver.underway': 3,
  'handler.underway': 2,
  'settle.before': 3,
  'settle.underway': 3,
  'settle.after': 2,
  'ack.after': 1,
  'effects.between': 2,
  'carried.before': 2,
  'bury.before': 1,
  'bury.after': 1,
  'alarm.before': 2,
  'alarm.after': 2,
  'redrive.between': 1,
}

async function publishSome(run: Run): Promise<void> {
  await Promise.all([
    run.publish('alpha', ['do']),
    run.publish('alpha', ['do', 'do']),
    run.publish('laggard', ['do']),
    run.publish('crafter', ['do']),
    run.publish('crafter', ['do']),
    run.publish('puller', ['do']),
    run.publish('alpha', ['die']),
  ])
}

async function crashAt(point: MessagePoint): Promise<{ where: string; faults: string[] }> {
  const run = await Run.start(worker, { point, nth: nth[point] })
  try {
    const published = publishSome(run)
    const redriven = point === 'redrive.between' ? redrive(run, published) : Promise.resolve()
    const where = await run.killed()
    await run.startHost()
    await Promise.all([published, redriven])
    await arrived(run)
    const told = [...run.ledger.values()].filter((one) => one.duplicate === true)
    // Whose answer was lost has asked again, and is told that it need not have.
    if (point === 'accept.after') expect(told).not.toEqual([])
    return { where, faults: await faultsOf(run) }
  } finally {
    await run.stop()
  }
}

/** Brings the dead one back once it is buried. Asked again after the crash, it is the same redrive. */
async function redrive(run: Run, published: Promise<void>): Promise<void> {
  await published
  await arrived(run)
  run.forgive()
  const [letter] = await letters(run)
  const answer = await run.ask('POST', `/v1/dead-letters/${letter?.id}/redrive`)
  expect(answer).toMatchObject({ status: 200, body: { status: 'redriven' } })
}

describe.concurrent('SIGKILL at a named point', () => {
  for (const point of Object.keys(crashPoints) as MessagePoint[])
    it(`${point}: ${crashPoints[point]}; after a restart everything ends once (M1, M2, M4, E1, M6, A14)`, async () => {
      const { where, faults } = await hosting(() => crashAt(point))
      expect(where, `${point} was reached`).not.toBe('')
      expect(faults, `after a crash at ${point} (${where})`).toEqual([])
    }, 240_000)
})

// --- at random --------------------------------------------------------------------------------------------------------

const seed = Number(process.env['CRASH_SEED'] ?? 20_261)
const killings = 3
const lifeMs = { least: 1_200, spread: 1_800 }

/** Dice that fall the same way for the same seed. */
function diceOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

async function crashAtRandom(): Promise<string[]> {
  // One for the load and one for the killer, because nobody can say which of them is first.
  const dice = diceOf(seed)
  const killerDice = diceOf(seed + 1)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(dice() * from.length)] as T
  const run = await Run.start(worker)
  const publishing: Promise<void>[] = []
  let loaded = true
  const load = async () => {
    while (loaded) {
      const to: Worker = pick(workers)
      const count = dice() < 0.2 ? 3 : 1
      const given = Array.from({ length: count }, (): Fate => (isTempered(to) ? pick(fates) : 'do'))
      publishing.push(run.publish(to, given))
      await pause(50 + dice() * 150)
    }
  }
  try {
    const loading = load()
    for (let killing = 0; killing < killings; killing++) {
      await pause(lifeMs.least + killerDice() * lifeMs.spread)
      await killAndRestart(run)
    }
    loaded = false
    await loading
    await Promise.all(publishing)
    await arrived(run)
    const faults = await faultsOf(run)
    await killAndRestart(run)
    return [...faults, ...(await faultsOf(run)).map((fault) => `after one more restart, ${fault}`)]
  } finally {
    loaded = false
    await run.stop()
  }
}

async function killAndRestart(run: Run): Promise<void> {
  run.host.kill()
  await run.host.dead()
  await run.startHost()
}

// A handler and a puller of this test do as they are asked; it is webhooks that have tempers.
const isTempered = (to: Worker) => to === 'alpha' || to === 'laggard'

describe.concurrent('SIGKILL at random moments', () => {
  it(`seed ${seed}: three kills under load lose nothing and double nothing (M1, M2, M4, E1, M6, A14, A102)`, async () => {
    expect(await hosting(crashAtRandom), `CRASH_SEED=${seed}`).toEqual([])
  }, 240_000)
})

/** What one invocation logs is one line, and nothing of it is lost. */
import { expect, it } from 'vitest'
import { InvocationLog } from '../../workers/log.ts'

function logging() {
  const lines: { readonly level: string; readonly said: unknown }[] = []
  const timers: { then: () => void; stopped: boolean }[] = []
  const log = new InvocationLog(
    (line, level) => void lines.push({ level, said: JSON.parse(line) }),
    (_, then) => {
      const timer = { then, stopped: false }
      timers.push(timer)
      return () => {
        timer.stopped = true
      }
    },
  )
  const running = () => timers.filter(({ stopped }) => !stopped)
  return { log, lines, running }
}

it('the steps of an invocation are written in one line, when all that it left under waitUntil is over (A136)', async () => {
  const { log, lines, running } = logging()
  let finish: () => void = () => undefined
  const left = log.during(new Promise<void>((resolve) => (finish = resolve)))
  log.note({ step: 'take' })
  log.end()
  expect(lines).toEqual([])
  log.note({ step: 'settle' })
  finish()
  await left
  expect(lines).toEqual([{ level: 'log', said: { steps: [{ step: 'take' }, { step: 'settle' }] } }])
  expect(running()).toEqual([])
})

it('one step alone is a line as it is, and no step is no line', () => {
  const { log, lines } = logging()
  log.note({ step: 'accept' })
  log.end()
  expect(lines).toEqual([{ level: 'log', said: { step: 'accept' } }])
  const silent = logging()
  silent.log.end()
  expect(silent.lines).toEqual([])
})

it('of an invocation that goes on, what it did is written within a second, and the rest after it', () => {
  const { log, lines, running } = logging()
  log.note({ step: 'take' })
  running()[0]?.then()
  expect(lines).toEqual([{ level: 'log', said: { step: 'take' } }])
  log.note({ step: 'settle' })
  expect(running()).toHaveLength(1)
  log.end()
  expect(lines.map(({ said }) => said)).toEqual([{ step: 'take' }, { step: 'settle' }])
})

it('an error is written at once, with the steps that led to it', () => {
  const { log, lines } = logging()
  log.note({ step: 'take' })
  log.note({ step: 'sweep', level: 'error' })
  const steps = [{ step: 'take' }, { step: 'sweep', level: 'error' }]
  expect(lines).toEqual([{ level: 'error', said: { level: 'error', steps } }])
})

it('what comes after the end is written at once: nobody will come to write it', () => {
  const { log, lines } = logging()
  log.end()
  log.note({ step: 'late' })
  expect(lines).toEqual([{ level: 'log', said: { step: 'late' } }])
})

it('a hundred steps are written before there are more: the platform cuts a line that is too long', () => {
  const { log, lines } = logging()
  for (let i = 0; i < 101; i++) log.note({ step: 'take', i })
  expect(lines).toHaveLength(1)
  log.end()
  expect(lines.map(({ said }) => (said as { steps?: unknown[] }).steps?.length)).toEqual([100, undefined])
})

it('work that fails is over too, and its failure is still its caller`s to see', async () => {
  const { log, lines } = logging()
  const left = log.during(Promise.reject(new Error('no')))
  log.note({ step: 'take' })
  log.end()
  await expect(left).rejects.toThrow('no')
  expect(lines).toHaveLength(1)
})

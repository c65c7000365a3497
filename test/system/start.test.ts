/** `npm start`: ready, kept over a restart, and gone without a trace when it ends, however it ends. */
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { freePort } from '../../scripts/local.ts'
import { type Ground, leftOn, newGround, run } from './processes.ts'

const limitMs = 180_000
const key = 'a$key"of`the`environment'
const ready = 'Switchboard is ready at'

let ground: Ground
let port: number
beforeEach(async () => {
  ground = newGround()
  port = await freePort()
})
afterEach(() => ground.remove())

const start = (more: Readonly<Record<string, string>> = {}) =>
  run('start.ts', [], {
    ...ground.env,
    PORT: String(port),
    STATE_DIR: join(ground.dir, 'state'),
    SWITCHBOARD_ADMIN_KEY: key,
    ...more,
  })

const call = (method: string, path: string, body?: unknown) =>
  fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })

const nothingRuns = () => vi.waitFor(() => expect(leftOn(ground)).toEqual([]), { timeout: 30_000, interval: 100 })

describe('npm start', () => {
  it(
    'serves, takes the key of the environment, ends at SIGTERM with 0, and finds its state again',
    async () => {
      const first = start()
      await first.says(ready)
      expect(first.output()).toContain(`http://127.0.0.1:${port}`)
      expect((await call('GET', '/healthz')).status).toBe(200)
      expect((await call('PUT', '/v1/agents/kept', { kind: 'pull' })).status).toBe(201)
      first.child.kill('SIGTERM')
      expect(await first.ended, first.output()).toBe(0)
      await nothingRuns()
      const second = start()
      await second.says(ready)
      expect((await call('GET', '/v1/agents/kept')).status).toBe(200)
      second.child.kill('SIGINT')
      expect(await second.ended, second.output()).toBe(0)
      expect(second.output()).not.toContain(key)
      await nothingRuns()
    },
    limitMs,
  )

  it(
    'leaves no platform behind when it is killed without a chance to clean up',
    async () => {
      const { child, ended, says } = start()
      await says(ready)
      expect(leftOn(ground).length).toBeGreaterThan(2)
      child.kill('SIGKILL')
      await ended
      await nothingRuns()
    },
    limitMs,
  )

  it(
    'refuses a port that is taken, and says how to use another',
    async () => {
      const holder = createServer()
      await new Promise<void>((resolve) => holder.listen(port, '127.0.0.1', resolve))
      const { ended, output } = start()
      expect(await ended).toBe(2)
      expect(output()).toContain(`Port ${port} of 127.0.0.1 is taken. Use another: PORT=${port + 1} npm start`)
      await new Promise((resolve) => holder.close(resolve))
      expect(leftOn(ground)).toEqual([])
    },
    limitMs,
  )

  it(
    'refuses what is no port',
    async () => {
      const { ended, output } = start({ PORT: 'eighty' })
      expect(await ended).toBe(2)
      expect(output()).toContain('PORT=eighty is not a port number.')
    },
    limitMs,
  )
})

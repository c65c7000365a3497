/**
 * A disk that is full: what cannot be stored is refused, and said to be worth another try; what was accepted is all there once there
 * is room again. Never here: a disk that fails in other ways.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundle, Host, hostAdminKey, smallDiskFault } from './host.ts'
import { Client, type Told } from './wire.ts'

const fault = smallDiskFault()
const [diskMegabytes, ballastBytes, bodyBytes] = [12, 5_000_000, 400_000]
const atMost = 60

describe.skipIf(fault !== undefined)(`a disk of ${diskMegabytes} MB that is full ${fault ?? ''}`, () => {
  let host: Host
  const answers = new Map<string, Told>()
  const again = new Map<string, Told>()
  const pulled: string[] = []

  beforeAll(async () => {
    host = new Host(await bundle(join(import.meta.dirname, '../../workers/index.ts')), { diskMegabytes })
    await host.start()
    const client = new Client(host.url ?? '', hostAdminKey)
    const send = (id: string) =>
      client.call('POST', '/v1/messages', { to: 'puller', type: 'test', id, data: 'x'.repeat(bodyBytes) })
    await client.call('PUT', '/v1/agents/puller', { kind: 'pull', policy: { concurrency: 100 } })
    writeFileSync(host.beside('ballast'), Buffer.alloc(ballastBytes))
    for (let n = 0; refusedOf(answers).length < 2 && n < atMost; n++) answers.set(`m${n}`, await send(`m${n}`))
    rmSync(host.beside('ballast'))
    for (const id of answers.keys()) again.set(id, await send(id))
    for (let more = true; more; ) {
      const { body } = await client.call('POST', '/v1/agents/puller/lease', { max: 10 })
      for (const { id, token, message } of body.deliveries) {
        pulled.push(message.id)
        await client.call('POST', `/v1/deliveries/${id}/ack`, { token })
      }
      more = body.deliveries.length > 0
    }
  }, 120_000)
  afterAll(() => host.stop())

  const refusedOf = (all: ReadonlyMap<string, Told>) => [...all].filter(([, { status }]) => status !== 202)

  it('refuses what it cannot store: 503, and to be tried again', () => {
    expect(refusedOf(answers)).toHaveLength(2)
    for (const [, { status, body }] of refusedOf(answers))
      expect({ status, code: body.code, retryable: body.retryable }).toEqual({
        status: 503,
        code: 'unavailable',
        retryable: true,
      })
    expect(answers.size).toBeGreaterThan(4)
  })

  it('M1 M2: once there is room it takes what it refused, without a restart, and everything is there once', () => {
    expect(refusedOf(again)).toEqual([])
    for (const [id, { status }] of answers) if (status === 202) expect(again.get(id)?.body.duplicate).toBe(true)
    expect(pulled.toSorted()).toEqual([...answers.keys()].toSorted())
  })
})

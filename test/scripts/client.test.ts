/** The demo's client before a platform that takes a call and does not answer it whole; the peer is real HTTP. */
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { clientOf } from '../../scripts/demo/client.ts'

const whole = JSON.stringify({ items: [] })
const silences: Readonly<Record<string, (response: ServerResponse) => void>> = {
  'that takes the call and says nothing': () => undefined,
  'that stops in the middle of its answer': (response) => {
    response.writeHead(200, { 'content-length': whole.length })
    response.write(whole.slice(0, 3))
  },
}

let server: Server | undefined
let calls = 0
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

/** Silent for the first calls, and then a platform without any agents' deliveries. */
async function peer(silent: (response: ServerResponse) => void, silentCalls: number): Promise<string> {
  calls = 0
  server = createServer((_, response) => {
    calls++
    if (calls <= silentCalls) silent(response)
    else response.end(whole)
  })
  await new Promise<void>((listening) => void server?.listen(0, '127.0.0.1', listening))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const { signal } = new AbortController()

describe('a call of the demo', () => {
  for (const [which, silent] of Object.entries(silences)) {
    it(`to a platform ${which} is made again by a patient client`, async () => {
      const client = clientOf(await peer(silent, 2), 'key', { signal, patient: true, answersWithinMs: 50 })
      expect(await client.receiptsOf('reader')).toEqual([])
      expect(calls).toBe(3)
    })

    it(`to a platform ${which} is an error for any other client, with how long it was waited for`, async () => {
      const client = clientOf(await peer(silent, 2), 'key', { signal, answersWithinMs: 50 })
      await expect(client.receiptsOf('reader')).rejects.toThrow('no answer within 50 ms from http://127.0.0.1')
    })

    it(`to a platform ${which} ends when the demo is stopped`, async () => {
      const stop = new AbortController()
      const url = await peer(silent, 1)
      const client = clientOf(url, 'key', { signal: stop.signal, patient: true })
      const asked = client.receiptsOf('reader')
      server?.once('request', () => stop.abort(new Error('stopped by SIGTERM')))
      await expect(asked).rejects.toThrow('stopped by SIGTERM')
      await expect(client.receiptsOf('reader')).rejects.toThrow('stopped by SIGTERM')
    })
  }
})

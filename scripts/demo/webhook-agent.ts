/**
 * An agent on this machine that gets its mail by webhook: verifies the signature, works, answers. With AGENT=analyst the work is
 * the analyst's own handler; without, a message is only taken note of. It says what it did, a line each. Never here: starting it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import * as z from 'zod'
import { analyst } from '../../agents/analyst.ts'
import { verify } from '../../shared/signature.ts'
import { runAgent } from './run-agent.ts'

const { PORT, SECRET = '', AGENT, THINK_MS = '0' } = process.env
const event = z.object({ type: z.string(), data: z.unknown() })

createServer((request, response) => {
  serve(request, response).catch((error: unknown) => {
    console.log(`failed ${String(error)}`)
    answer(response, 500, { error: String(error) })
  })
}).listen(Number(PORT), '127.0.0.1', () => console.log('listening'))

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = ''
  for await (const chunk of request.setEncoding('utf8')) body += String(chunk)
  const header = (name: string) => String(request.headers[name] ?? '')
  const id = header('webhook-id')
  const signed = { id, timestamp: header('webhook-timestamp'), signature: header('webhook-signature') }
  if (!verify([SECRET], signed, body, Date.now()).ok)
    return answer(response, 401, { error: 'not signed by the broker' })
  console.log(`asked ${id}`)
  const { data } = event.parse(JSON.parse(body))
  await pause(Number(THINK_MS))
  if (AGENT !== 'analyst') {
    console.log(`answered ${id}`)
    return answer(response, 200, {})
  }
  const reply = await runAgent(analyst, data, { env: process.env, signal: AbortSignal.timeout(120_000), delivery: id })
  console.log(`answered ${id}`)
  answer(response, 200, { reply })
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

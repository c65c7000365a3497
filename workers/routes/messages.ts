/**
 * Publishing over HTTP: one message, or a batch of them. Reads what was sent and renders what became of it.
 * Never here: what is accepted (workers/publish.ts), the CloudEvents wire forms (shared/cloudevents.ts).
 */
import { type Context, Hono } from 'hono'
import { wireBytes } from '../../shared/api-messages.ts'
import { readMessages } from '../../shared/cloudevents.ts'
import { type Fault, problemOf } from '../../shared/fault.ts'
import { limits } from '../../shared/limits.ts'
import { err, type Result } from '../../shared/result.ts'
import type { App } from '../context.ts'
import { atOnce } from '../express.ts'
import { readBytes, refuse, unwrap } from '../problem.ts'
import { publish } from '../publish.ts'
import { publishOptions } from '../publish-options.ts'
import type { PublishReceipt } from '../route.ts'
import { withSuggestions } from '../suggest.ts'

export const messages = new Hono<App>()

const batchType = 'application/cloudevents-batch+json'
const batchTypes: readonly string[] = ['application/json', batchType]

messages.post('/messages', async (c) => {
  const type = mediaType(c)
  const { inputs, batch } = await readInputs(c, type === batchType ? limits.batchBytes : wireBytes)
  if (batch) return answerEach(c, inputs)
  const platform = c.get('platform')
  const lane = atOnce(platform, c.get('handlers'))
  const options = { ...publishOptions(c), atOnce: lane }
  const [published] = await publish(platform, c.get('principal'), inputs, options)
  await lane.left()
  const receipt = unwrap(published ?? unanswered)
  const [only, ...others] = receipt.deliveries
  // Made at once: headers that are set one by one are copied into those of the answer.
  return Response.json(receipt, {
    status: 202,
    ...(only !== undefined && others.length === 0 && { headers: { Location: `/v1/deliveries/${only.id}` } }),
  })
})

messages.post('/messages/batch', async (c) => {
  const type = mediaType(c)
  if (type !== '' && !batchTypes.includes(type)) {
    refuse({ code: 'unsupported_media_type', got: type, supported: batchTypes })
  }
  const { inputs, batch } = await readInputs(c, limits.batchBytes)
  if (!batch) refuse({ code: 'invalid_request', issues: [{ path: '', message: 'expected an array of messages' }] })
  return answerEach(c, inputs)
})

async function readInputs(c: Context<App>, limitBytes: number) {
  const body = await readBytes(c, limitBytes)
  return unwrap(
    readMessages({
      contentType: c.req.header('content-type') ?? null,
      header: (name) => c.req.header(name) ?? null,
      headerNames: [...c.req.raw.headers.keys()],
      body,
    }),
  )
}

// Each on its own: what one is refused for is no other's concern.
async function answerEach(c: Context<App>, inputs: readonly unknown[]): Promise<Response> {
  // The JSON batch format, 4.3: an empty batch of events is valid in a request.
  if (inputs.length === 0 && mediaType(c) === batchType) return c.json({ results: [] }, 200)
  if (inputs.length === 0 || inputs.length > limits.batchMessages) {
    const message = `a batch has 1 to ${limits.batchMessages} messages, this one has ${inputs.length}`
    refuse({ code: 'invalid_request', issues: [{ path: '', message }] })
  }
  const published = await publish(c.get('platform'), c.get('principal'), inputs, publishOptions(c, inputs.length))
  const answers = inputs.map((_, i) => published[i] ?? unanswered)
  const faults = answers.flatMap((answer) => (answer.ok ? [] : [answer.error]))
  const known = { principal: c.get('principal'), own: c.get('handlers').keys() }
  const told = [...(await withSuggestions(c.get('platform'), known, faults))].values()
  const results = answers.map((answer, i) =>
    resultOf(answer.ok ? answer : err(told.next().value ?? answer.error), `${c.req.path}#/${i}`),
  )
  return c.json({ results }, 200)
}

const unanswered: Result<PublishReceipt, Fault> = {
  ok: false,
  error: { code: 'unavailable', what: 'mailbox', retryAfterSeconds: 1 },
}

function resultOf(published: Result<PublishReceipt, Fault>, instance: string) {
  if (published.ok) return { status: 202, ...published.value }
  const { status, body } = problemOf(published.error, instance)
  return { status, problem: body }
}

function mediaType(c: Context<App>): string {
  const [type = ''] = (c.req.header('content-type') ?? '').split(';')
  return type.trim().toLowerCase()
}

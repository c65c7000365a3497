/**
 * Chains of responsibility over HTTP: a publish, or a request, with its handlers in order. Never here: passing a message on
 * (workers/pass.ts).
 */
import { Hono } from 'hono'
import { chainInput } from '../../shared/api-chains.ts'
import { wireBytes } from '../../shared/api-messages.ts'
import { preferredWait, requestInput } from '../../shared/request.ts'
import type { App } from '../context.ts'
import { readJson, refuse, unwrap, validate } from '../problem.ts'
import { publish } from '../publish.ts'
import { publishOptions } from '../publish-options.ts'
import { answerRequest } from './requests.ts'

export const chains = new Hono<App>()

chains.post('/chains', async (c) => {
  const { handlers, ...message } = await readJson(c, chainInput, wireBytes)
  for (const name of ['to', 'topic', 'chain'])
    if (name in message)
      refuse({ code: 'invalid_request', issues: [{ path: name, message: 'is what `handlers` says' }] })
  const [to, ...chain] = handlers
  const whole = { ...message, to, ...(chain.length === 0 ? {} : { chain }) }
  const seconds = preferredWait(c.req.header('prefer')) ?? 0
  if (seconds > 0) return answerRequest(c, validate(requestInput, whole), seconds)
  const [answer] = await publish(c.get('platform'), c.get('principal'), [whole], publishOptions(c))
  if (answer === undefined) return refuse({ code: 'unavailable', what: 'mailbox', retryAfterSeconds: 1 })
  const published = unwrap(answer)
  const [first] = published.deliveries
  if (first !== undefined) c.header('Location', `/v1/deliveries/${first.id}`)
  return c.json(published, 202)
})

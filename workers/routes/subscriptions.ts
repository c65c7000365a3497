/**
 * Subscriptions over HTTP: who hears what. An admin may all; an agent may have its own, within its permissions.
 * Never here: whom a publish reaches (shared/subscription.ts).
 */
import { type Context, Hono } from 'hono'
import { takesBatches } from '../../shared/agent.ts'
import { directoryVersion } from '../../shared/api-operation.ts'
import { subscriptionsQuery } from '../../shared/api-topics.ts'
import { indexEntry } from '../../shared/directory.ts'
import { limits } from '../../shared/limits.ts'
import { mayOperate, maySubscribe } from '../../shared/permissions.ts'
import type { Platform } from '../../shared/ports.ts'
import {
  publicSubscription,
  type SubscriptionInput,
  subscriptionId,
  subscriptionInput,
} from '../../shared/subscription.ts'
import type { App } from '../context.ts'
import { readJson, refuse, validate } from '../problem.ts'

export const subscriptions = new Hono<App>()

subscriptions.get('/subscriptions', async (c) => {
  const { agent, cursor, limit } = validate(subscriptionsQuery, c.req.query())
  const page = await c.get('platform').directory().subscriptions(confined(c, agent), cursor, limit)
  return c.json({ ...page, items: page.items.map(publicSubscription) }, 200)
})

subscriptions.put('/subscriptions/:subscription', async (c) => {
  const id = idOf(c)
  const input = await readJson(c, subscriptionInput)
  const { agent, topic } = input
  if (!mayOperate(c.get('principal'), agent)) forbid('subscribe', agent)
  if (!maySubscribe(c.get('principal'), agent, topic)) forbid('subscribe to', topic)
  if (input.batch !== undefined) await mayBatch(c.get('platform'), agent)
  const answer = await put(c.get('platform'), id, input, asker(c))
  switch (answer.status) {
    case 'put':
      c.header(directoryVersion.name, String(answer.subscription.version))
      return c.json(publicSubscription(answer.subscription), answer.created ? 201 : 200)
    case 'foreign':
      return forbid('change the subscription', id)
    case 'too_many':
      return refuse({ code: 'too_many_subscriptions', agent, max: limits.subscriptionsPerAgent })
    case 'unknown':
      return refuse({ code: 'agent_not_found', agent })
  }
})

subscriptions.get('/subscriptions/:subscription', async (c) => {
  const id = c.req.param('subscription')
  const found = await c.get('platform').directory().findSubscription(id)
  if (found === undefined) return refuse({ code: 'not_found', what: 'subscription', id })
  if (!mayOperate(c.get('principal'), found.agent)) return forbid('read the subscription', id)
  return c.json(publicSubscription(found), 200)
})

subscriptions.delete('/subscriptions/:subscription', async (c) => {
  const id = idOf(c)
  if (c.get('principal').kind === 'app') forbid('change the subscription', id)
  const removed = await c.get('platform').directory().removeSubscription(id, asker(c))
  if (removed === 'foreign') return forbid('change the subscription', id)
  c.header(directoryVersion.name, String(await c.get('platform').directory().version()))
  return c.body(null, 204)
})

async function put(platform: Platform, id: string, input: SubscriptionInput, by: string | undefined) {
  const options = { max: limits.subscriptionsPerAgent, ...(by === undefined ? {} : { by }) }
  const answer = await platform.directory().putSubscription(id, input, options)
  if (answer.status !== 'unknown' || !(await isEnrolled(platform, input.agent))) return answer
  return platform.directory().putSubscription(id, input, options)
}

// Nothing that is asked for is left out without a word.
async function mayBatch(platform: Platform, name: string): Promise<void> {
  const known = await platform.agent(name).describe()
  const described = known ?? ((await platform.enrolHandler(name)) ? await platform.agent(name).describe() : undefined)
  if (described === undefined || takesBatches(described.agent)) return
  const message =
    described.agent.kind === 'pull'
      ? 'a pull agent leases as many as it asks for (`max`); nothing is batched for it'
      : 'this handler takes one message at a time: it declares no `handleBatch`'
  refuse({ code: 'invalid_request', issues: [{ path: 'batch', message }] })
}

// The index does not know it: an agent of this Worker's own code that nobody asked for yet, or a registration that died half
// way between the object and its index entry.
async function isEnrolled(platform: Platform, agent: string): Promise<boolean> {
  if (await platform.enrolHandler(agent)) return true
  const described = await platform.agent(agent).describe()
  if (described !== undefined) await platform.directory().putAgent(indexEntry(described.agent))
  return described !== undefined
}

function idOf(c: Context<App>): string {
  const parsed = subscriptionId.safeParse(c.req.param('subscription'))
  if (parsed.success) return parsed.data
  const message = parsed.error.issues[0]?.message ?? 'not an id'
  return refuse({ code: 'invalid_request', issues: [{ path: 'subscription', message }] })
}

/** The agent that asks; an admin is none. */
function asker(c: Context<App>): string | undefined {
  const principal = c.get('principal')
  return principal.kind === 'agent' ? principal.name : undefined
}

/** The agent whose subscriptions are listed, held to what the caller may see. */
function confined(c: Context<App>, agent: string | undefined): string | undefined {
  const principal = c.get('principal')
  if (principal.kind === 'admin') return agent
  if (principal.kind !== 'agent') return forbid('read', 'subscriptions')
  return agent === undefined || agent === principal.name ? principal.name : forbid('read the subscriptions of', agent)
}

const forbid = (action: string, subject: string): never => refuse({ code: 'forbidden', action, subject })

/**
 * Observers over HTTP: who hears what an agent says of itself. An admin may all; an agent may observe, within its permissions.
 * Never here: what an observer is made of (shared/observer.ts).
 */
import { type Context, Hono } from 'hono'
import { observersQuery } from '../../shared/api-observers.ts'
import { directoryVersion } from '../../shared/api-operation.ts'
import { indexEntry } from '../../shared/directory.ts'
import { agentName } from '../../shared/ids.ts'
import { limits } from '../../shared/limits.ts'
import { type ObserverInput, observerInput, observing, ownTopic } from '../../shared/observer.ts'
import { mayOperate, maySubscribe } from '../../shared/permissions.ts'
import type { Candidate, SubscriptionInput } from '../../shared/subscription.ts'
import { viewOf } from '../../shared/view.ts'
import type { App } from '../context.ts'
import { detach } from '../detach.ts'
import { readJson, refuse, validate } from '../problem.ts'

export const observers = new Hono<App>()

observers.get('/agents/:agent/observers', async (c) => {
  const agent = c.req.param('agent')
  const { cursor, limit } = validate(observersQuery, c.req.query())
  if (!mayOperate(c.get('principal'), agent)) return forbid('list the observers of', agent)
  const directory = c.get('platform').directory()
  const version = await directory.version()
  const topic = (name: string) => ({ kind: 'topic', topic: name }) as const
  const page = await directory.candidates(topic(ownTopic(agent)), cursor, limit, undefined, version)
  const items = await Promise.all(page.items.map((one) => listed(c, agent, one)))
  return c.json({ items: items.flat(), ...(page.cursor === undefined ? {} : { cursor: page.cursor }) }, 200)
})

observers.put('/agents/:agent/observers/:observer', async (c) => {
  const { agent, observer } = pairOf(c)
  const input = await readJson(c, observerInput)
  const principal = c.get('principal')
  const { events, announcements } = observing(agent, observer)
  if (!mayOperate(principal, observer)) return forbid('observe for', observer)
  if (!maySubscribe(principal, observer, events.topic)) return forbid('subscribe to', events.topic)
  if (input.announcements && !maySubscribe(principal, observer, announcements.topic))
    return forbid('subscribe to', announcements.topic)
  await requireAgent(c, agent)
  const { filter, announcements: wantsAnnouncements, ...rest } = input
  const own = { agent: observer, topic: events.topic, ...(filter === undefined ? {} : { filter }), ...viewOf(rest) }
  const created = await put(c, observer, events.id, own)
  if (wantsAnnouncements) await put(c, observer, announcements.id, { agent: observer, topic: announcements.topic })
  else await c.get('platform').directory().removeSubscription(announcements.id, asker(c))
  c.header(directoryVersion.name, String(await c.get('platform').directory().version()))
  return c.json(shown(agent, observer, input), created ? 201 : 200)
})

observers.delete('/agents/:agent/observers/:observer', async (c) => {
  const { agent, observer } = pairOf(c)
  if (!mayOperate(c.get('principal'), observer)) return forbid('detach the observer', observer)
  const platform = c.get('platform')
  if ((await detach(platform, agent, observer, asker(c))) === 'foreign') return forbid('detach the observer', observer)
  c.header(directoryVersion.name, String(await platform.directory().version()))
  return c.body(null, 204)
})

async function put(c: Context<App>, observer: string, id: string, input: SubscriptionInput): Promise<boolean> {
  const by = asker(c)
  const options = { max: limits.subscriptionsPerAgent, ...(by === undefined ? {} : { by }) }
  const directory = c.get('platform').directory()
  let answer = await directory.putSubscription(id, input, options)
  if (answer.status === 'unknown') {
    // The index does not know it yet: an agent of this Worker's own code, or a registration that died half way.
    await requireAgent(c, observer)
    answer = await directory.putSubscription(id, input, options)
  }
  if (answer.status === 'put') return answer.created
  if (answer.status === 'too_many')
    return refuse({ code: 'too_many_subscriptions', agent: observer, max: limits.subscriptionsPerAgent })
  return answer.status === 'foreign' ? forbid('change the observer', observer) : unknownAgent(observer)
}

/** Sees to it that there is such an agent, in the index too. */
async function requireAgent(c: Context<App>, name: string): Promise<void> {
  const platform = c.get('platform')
  const described = await platform.agent(name).describe()
  if (described !== undefined) await platform.directory().putAgent(indexEntry(described.agent))
  else if (!(await platform.enrolHandler(name))) unknownAgent(name)
}

async function listed(c: Context<App>, agent: string, { agent: observer }: Candidate) {
  const { events, announcements } = observing(agent, observer)
  const directory = c.get('platform').directory()
  // Whoever subscribed to the topic by itself is no observer by name.
  const found = await directory.findSubscription(events.id)
  if (found === undefined) return []
  const told = (await directory.findSubscription(announcements.id)) !== undefined
  const { filter } = found
  return [
    shown(agent, observer, { ...(filter === undefined ? {} : { filter }), ...viewOf(found), announcements: told }),
  ]
}

function shown(agent: string, observer: string, { filter, announcements, ...rest }: ObserverInput) {
  const head = { agent, observer, topic: ownTopic(agent), ...(filter === undefined ? {} : { filter }) }
  return { ...head, ...viewOf(rest), announcements }
}

function pairOf(c: Context<App>): { readonly agent: string; readonly observer: string } {
  const [agent, observer] = [c.req.param('agent') ?? '', c.req.param('observer') ?? '']
  for (const name of [agent, observer]) if (!agentName.safeParse(name).success) unknownAgent(name)
  return { agent, observer }
}

/** The agent that asks; an admin is none. */
function asker(c: Context<App>): string | undefined {
  const principal = c.get('principal')
  return principal.kind === 'agent' ? principal.name : undefined
}

const unknownAgent = (agent: string): never => refuse({ code: 'agent_not_found', agent })
const forbid = (action: string, subject: string): never => refuse({ code: 'forbidden', action, subject })

/**
 * An agent's breaker over HTTP: how it stands and why, and a person's word to it. For the agent itself and an admin.
 * Never here: the machine (shared/breaker.ts).
 */
import { type Context, Hono } from 'hono'
import type { AgentRecord } from '../../shared/agent.ts'
import { breakerRequest } from '../../shared/api-breaker.ts'
import { publicBreaker } from '../../shared/breaker.ts'
import { agentName } from '../../shared/ids.ts'
import { mayOperate, ownSource } from '../../shared/permissions.ts'
import type { App } from '../context.ts'
import { enqueue } from '../enqueue.ts'
import { readJson, refuse } from '../problem.ts'

export const breaker = new Hono<App>()

breaker.get('/agents/:agent/breaker', async (c) => {
  const { name } = await operated(c, 'read the breaker of')
  const found = await c.get('platform').agent(name).breaker()
  return c.json(publicBreaker(name, found ?? unknownAgent(name), c.get('platform').now()), 200)
})

breaker.put('/agents/:agent/breaker', async (c) => {
  const { name, kind } = await operated(c, 'force the breaker of')
  const { force } = await readJson(c, breakerRequest)
  if (kind === 'pull') refuse({ code: 'wrong_kind', agent: name, kind, needed: 'webhook or handler' })
  const platform = c.get('platform')
  const forced = await platform.agent(name).forceBreaker(force, ownSource(c.get('principal')))
  // What a closed one lets through goes now.
  enqueue(platform, name, forced.references)
  return c.json(publicBreaker(name, forced.breaker ?? unknownAgent(name), platform.now()), 200)
})

/** The agent asked for, if the caller may operate it and it exists. */
async function operated(c: Context<App>, action: string): Promise<AgentRecord> {
  const name = c.req.param('agent') ?? ''
  if (!mayOperate(c.get('principal'), name)) refuse({ code: 'forbidden', action, subject: name })
  if (!agentName.safeParse(name).success) return unknownAgent(name)
  const platform = c.get('platform')
  const agent = platform.agent(name)
  // An agent of this Worker's own code need not have been asked for before.
  const described =
    (await agent.describe()) ?? ((await platform.enrolHandler(name)) ? await agent.describe() : undefined)
  return described?.agent ?? unknownAgent(name)
}

const unknownAgent = (agent: string): never => refuse({ code: 'agent_not_found', agent })

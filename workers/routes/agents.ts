/**
 * Agents over HTTP: register, discover, operate. An admin may all; an agent may read every agent's public face and operate
 * itself. Never here: what registering does (workers/register.ts), an agent's mail (workers/routes/lease.ts, deliveries.ts).
 */
import { type Context, Hono } from 'hono'
import { type AgentRecord, publicAgent, type Registration, registration } from '../../shared/agent.ts'
import {
  agentKeyRequest,
  agentsQuery,
  deleteAgentQuery,
  pauseRequest,
  resumeRequest,
  secretRequest,
} from '../../shared/api-agent-bodies.ts'
import { directoryVersion } from '../../shared/api-operation.ts'
import { isCallbackAgent } from '../../shared/callback.ts'
import { indexEntry, publicKey, type RegisteredAgent } from '../../shared/directory.ts'
import type { Figures } from '../../shared/figures.ts'
import { agentName, digest } from '../../shared/ids.ts'
import { keyBytes, secretText } from '../../shared/keys.ts'
import { limits } from '../../shared/limits.ts'
import { mayOperate, ownSource } from '../../shared/permissions.ts'
import { challenge } from '../challenge.ts'
import { leastLoadedOf } from '../choose.ts'
import type { App } from '../context.ts'
import { enqueue } from '../enqueue.ts'
import { ensureAllEnrolled, registrationOf } from '../handlers.ts'
import { idempotencyKeyOf } from '../idempotency-key.ts'
import { mint } from '../mint.ts'
import { readJson, refuse, unwrap, validate } from '../problem.ts'
import { reassignMail } from '../reassign.ts'
import { register } from '../register.ts'

export const agents = new Hono<App>()

// --- register and discover --------------------------------------------------------------------------------------------

agents.get('/agents', async (c) => {
  const { capability, cursor, limit } = validate(agentsQuery, c.req.query())
  await ensureAllEnrolled(c.get('platform'), c.get('handlers'))
  // Callbacks' mailboxes are nobody's to find.
  const hide = c.get('principal').kind === 'admin' ? undefined : 'callbacks'
  const page = await c.get('platform').directory().agents(capability, cursor, limit, hide)
  return c.json({ ...page, items: page.items.map(listed) }, 200)
})

agents.put('/agents/:agent', async (c) => {
  const name = administered(c, 'register')
  if (!agentName.safeParse(name).success) invalid('agent', 'an agent name is 1 to 64 of a-z, 0-9 and -')
  if (isCallbackAgent(name))
    invalid('agent', 'names that begin with callback- are the broker’s own, for the callbacks of requests')
  const asked = asDeployed(c, name, await readJson(c, registration))
  if (asked.policy?.alert?.fallback === name) invalid('policy.alert.fallback', 'is the agent itself')
  const { created, agent, key, secret } = unwrap(await register(c.get('platform'), name, asked))
  const shown = { ...shownAgent(c, agent), ...(key && { key }), ...(secret && { secret }) }
  c.header(directoryVersion.name, String(await c.get('platform').directory().version()))
  return c.json(shown, created ? 201 : 200)
})

agents.get('/agents/:agent', async (c) => c.json(shownAgent(c, (await known(c)).agent), 200))

agents.delete('/agents/:agent', async (c) => {
  const name = administered(c, 'delete')
  const { mail, keepSeconds } = validate(deleteAgentQuery, c.req.query())
  if (keepSeconds !== undefined && mail !== 'keep') invalid('keepSeconds', 'goes with `mail=keep`')
  if (!agentName.safeParse(name).success) return unknownAgent(name)
  if (c.get('handlers').has(name))
    invalid('agent', 'it is part of this Worker: take it out of `agents` and deploy first')
  const directory = c.get('platform').directory()
  // Read before the object forgets: should somebody register the name anew meanwhile, that entry is not the one removed.
  const entry = await directory.findAgent(name)
  const kept = mail === 'keep' ? { keepMs: (keepSeconds ?? limits.keepMailDefaultSeconds) * 1_000 } : undefined
  if (mail?.startsWith('reassign:')) await reassign(c, name, mail.slice('reassign:'.length))
  const retired = await c
    .get('platform')
    .agent(name)
    .retire(mail === 'dead' ? mail : kept)
  if (retired.status === 'has_mail') refuse({ code: 'agent_has_mail', agent: name, depth: retired.depth })
  if (entry !== undefined) await directory.removeAgent(name, entry.incarnation)
  else if (retired.status === 'unknown') unknownAgent(name)
  c.header(directoryVersion.name, String(await directory.version()))
  return c.body(null, 204)
})

const capabilityOf = 'capability:'

async function reassign(c: Context<App>, name: string, to: string): Promise<void> {
  if (to === name) invalid('mail', 'its mail cannot go to itself: name another agent')
  const platform = c.get('platform')
  const skill = to.startsWith(capabilityOf) ? to.slice(capabilityOf.length) : undefined
  const heir = skill === undefined ? to : await leastLoadedOf(platform, skill, name)
  unwrap(await reassignMail(platform, name, heir ?? refuse({ code: 'unroutable', destination: to })))
}

// --- operate ----------------------------------------------------------------------------------------------------------

agents.get('/agents/:agent/mailbox', async (c) => {
  const { agent, figures } = await known(c, 'read the mailbox of')
  return c.json({ agent: agent.name, ...shownFigures(figures) }, 200)
})

agents.post('/agents/:agent/pause', async (c) => {
  const { name } = (await known(c, 'pause')).agent
  const { reason, seconds } = await readJson(c, pauseRequest)
  const paused = await c
    .get('platform')
    .agent(name)
    .pause(reason, seconds === undefined ? undefined : seconds * 1_000)
  return c.json(shownAgent(c, paused ?? unknownAgent(name)), 200)
})

agents.post('/agents/:agent/resume', async (c) => {
  const { name } = (await known(c, 'resume')).agent
  const { catchUp } = await readJson(c, resumeRequest)
  const platform = c.get('platform')
  const key = idempotencyKeyOf(c)
  // With what it asks for, so that no other wish is taken for its repeat.
  const token = key === undefined ? platform.token() : digest(`${key}\n${JSON.stringify(catchUp ?? null)}`)
  const resumed = await platform.agent(name).resume(token, catchUp)
  enqueue(platform, name, resumed.references)
  return c.json(shownAgent(c, resumed.agent ?? unknownAgent(name)), 200)
})

agents.post('/agents/:agent/verify', async (c) => {
  const { name, kind } = (await known(c, 'verify')).agent
  if (kind !== 'webhook') refuse({ code: 'wrong_kind', agent: name, kind, needed: 'webhook' })
  const asked = await challenge(c.get('platform'), name)
  const { agent } = await known(c)
  const error = asked.verified ? undefined : { code: asked.error.code, message: asked.error.message }
  return c.json({ ...shownAgent(c, agent), ...(error && { error }) }, 200)
})

agents.post('/agents/:agent/secret', async (c) => {
  const { name } = (await known(c, 'rotate the secret of')).agent
  const { overlapSeconds } = await readJson(c, secretRequest)
  const fresh = secretText(c.get('platform').hex(keyBytes))
  const key = idempotencyKeyOf(c)
  const named = key === undefined ? undefined : digest('secret', ownSource(c.get('principal')), key)
  const port = c.get('platform').agent(name)
  const { secrets } = (await port.rotateSecret(fresh, overlapSeconds * 1_000, named)) ?? unknownAgent(name)
  // It is kept anyway, to sign with: who repeats the call that made it is told it again, as long as no newer one is there.
  const [newest] = secrets
  if (newest === undefined || newest.named !== named) return refuse({ code: 'already_made', what: 'secret', id: name })
  return c.json({ agent: name, secret: newest.secret }, 200)
})

// --- an agent's keys --------------------------------------------------------------------------------------------------

agents.get('/agents/:agent/keys', async (c) => {
  administered(c, 'list the keys of')
  const { name } = (await known(c)).agent
  const keys = await c.get('platform').directory().keys(`agent/${name}`)
  return c.json({ items: keys.map(publicKey) }, 200)
})

agents.post('/agents/:agent/keys', async (c) => {
  administered(c, 'make keys for')
  const { agent } = await known(c)
  const { expiresInSeconds, rate } = await readJson(c, agentKeyRequest)
  const directory = c.get('platform').directory()
  // A key is good only while the index has its agent: complete what a registration that died half way left out.
  await directory.putAgent(indexEntry(agent))
  const more = { ...agent, expiresInSeconds, rate, named: idempotencyKeyOf(c) }
  const { key, record } = mint(c.get('platform'), `agent/${agent.name}`, more)
  const stored = await directory.putKey(record, { max: limits.keysPerAgent })
  if (stored === 'known') refuse({ code: 'already_made', what: 'key', id: record.id })
  if (stored !== 'stored') refuse({ code: 'too_many_keys', agent: agent.name, max: limits.keysPerAgent })
  const { id, expiresAt } = publicKey(record)
  return c.json({ id, key, ...(expiresAt && { expiresAt }) }, 201)
})

agents.delete('/agents/:agent/keys/:key', async (c) => {
  const name = administered(c, 'revoke the keys of')
  const id = c.req.param('key')
  const removed = await c.get('platform').directory().removeKey(id, `agent/${name}`)
  return removed ? c.body(null, 204) : refuse({ code: 'not_found', what: 'key', id })
})

// --- who may, and what is shown ---------------------------------------------------------------------------------------

/** The agent's name, if an admin asks. */
function administered(c: Context<App>, action: string): string {
  const name = c.req.param('agent') ?? ''
  if (c.get('principal').kind !== 'admin') refuse({ code: 'forbidden', action, subject: name })
  return name
}

/** The agent asked for, if it exists; with an action, also if the caller may operate it. Reading leaves no trace. */
async function known(c: Context<App>, action?: string): Promise<{ agent: AgentRecord; figures: Figures }> {
  const name = c.req.param('agent') ?? ''
  if (action !== undefined && !mayOperate(c.get('principal'), name))
    refuse({ code: 'forbidden', action, subject: name })
  if (!agentName.safeParse(name).success) return unknownAgent(name)
  const platform = c.get('platform')
  const described = await platform.agent(name).describe()
  if (described !== undefined) return described
  // An agent of this Worker's own code need not have been asked for before.
  const enrolled = await platform.enrolHandler(name)
  return (enrolled ? await platform.agent(name).describe() : undefined) ?? unknownAgent(name)
}

/** A handler is registered as its code has it: a PUT may ask for its key, but what it changed would not outlast the isolate. */
function asDeployed(c: Context<App>, name: string, asked: Registration): Registration {
  const handler = c.get('handlers').get(name)
  if (handler === undefined) {
    if (asked.kind === 'handler')
      invalid('kind', `this Worker has no handler \`${name}\`: list it in \`agents\` and deploy`)
    return asked
  }
  if (asked.kind !== 'handler') invalid('kind', `\`${name}\` is a handler in this Worker's code`)
  const [field] = Object.keys(asked).filter((key) => key !== 'kind')
  if (field !== undefined) invalid(field, 'is part of the code of a handler: change it there and deploy')
  return registrationOf(handler)
}

const invalid = (path: string, message: string): never =>
  refuse({ code: 'invalid_request', issues: [{ path, message }] })

const unknownAgent = (agent: string): never => refuse({ code: 'agent_not_found', agent })

const shownAgent = (c: Context<App>, agent: AgentRecord) =>
  publicAgent(agent, c.get('platform').now(), mayOperate(c.get('principal'), agent.name))

const iso = (at: number) => new Date(at).toISOString()

function listed({ agent, kind, capabilities, verified, updatedAt }: RegisteredAgent) {
  return { agent, kind, capabilities, verified, updatedAt: iso(updatedAt) }
}

function shownFigures({
  depth,
  states,
  inFlight,
  released,
  redelivered,
  breaker,
  parked,
  quiet,
  oldestAt,
  nextDueAt,
}: Figures) {
  return {
    depth,
    states,
    inFlight,
    released,
    redelivered,
    breaker,
    ...(parked === undefined ? {} : { parked }),
    ...(quiet === undefined ? {} : { quiet }),
    ...(oldestAt === undefined ? {} : { oldestAt: iso(oldestAt) }),
    ...(nextDueAt === undefined ? {} : { nextDueAt: iso(nextDueAt) }),
  }
}

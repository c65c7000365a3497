/**
 * Register: an agent is created or updated, its object first and the index second, so that a call that dies half way is
 * completed by its repeat. Its first key and its secret are in the answer of the call that stored them and nowhere else.
 * Never here: who may register (workers/routes/agents.ts).
 */
import type { AgentRecord, Registration } from '../shared/agent.ts'
import type { Enrolled } from '../shared/agent-port.ts'
import { indexEntry } from '../shared/directory.ts'
import type { Fault } from '../shared/fault.ts'
import { keyBytes, secretText } from '../shared/keys.ts'
import { limits } from '../shared/limits.ts'
import type { Platform } from '../shared/ports.ts'
import { ok, type Result } from '../shared/result.ts'
import { checkWebhookUrl } from '../shared/webhook-url.ts'
import { challenge } from './challenge.ts'
import { enqueue } from './enqueue.ts'
import { mint } from './mint.ts'

export interface Registered {
  readonly created: boolean
  readonly agent: AgentRecord
  /** This call's key, when it was stored as the first. */
  readonly key?: string
  readonly secret?: string
}

/** PUT /v1/agents/{agent}: check the url → enrol → index → first key → challenge. */
export async function register(
  platform: Platform,
  name: string,
  asked: Registration,
): Promise<Result<Registered, Fault>> {
  const registration = withNormalUrl(asked, platform.settings.development)
  if (!registration.ok) return registration
  const enrolled = await enrol(platform, name, registration.value)
  const key = await storeFirstKey(platform, enrolled.agent)
  return ok({
    created: enrolled.created,
    agent: await challenged(platform, enrolled.agent),
    ...(key === undefined ? {} : { key }),
    ...(enrolled.secret === undefined ? {} : { secret: enrolled.secret }),
  })
}

/** Object first, index second. */
export async function enrol(platform: Platform, name: string, registration: Registration): Promise<Enrolled> {
  const enrolled = await platform.agent(name).enrol(registration, {
    name,
    incarnation: platform.token(),
    secret: secretText(platform.hex(keyBytes)),
    trusted: platform.settings.development,
  })
  enqueue(platform, name, enrolled.references)
  await platform.directory().putAgent(indexEntry(enrolled.agent))
  return enrolled
}

function withNormalUrl(asked: Registration, development: boolean): Result<Registration, Fault> {
  if (asked.url === undefined) return ok(asked)
  const url = checkWebhookUrl(asked.url, { development })
  return url.ok ? ok({ ...asked, url: url.value }) : url
}

async function storeFirstKey(platform: Platform, agent: AgentRecord): Promise<string | undefined> {
  const { key, record } = mint(platform, `agent/${agent.name}`, agent)
  const stored = await platform.directory().putKey(record, { first: true, max: limits.keysPerAgent })
  return stored === 'stored' ? key : undefined
}

// The agent is registered whatever comes of it: an unverified one's mail waits, and the mailbox asks again.
async function challenged(platform: Platform, agent: AgentRecord): Promise<AgentRecord> {
  if (agent.verified) return agent
  await challenge(platform, agent.name)
  return (await platform.agent(agent.name).describe())?.agent ?? agent
}

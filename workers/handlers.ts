/**
 * The agents that run inside this Worker are registered by their code: nobody calls PUT for them, and what the code says of
 * their policy and permissions is what is in force. Never here: running them (workers/handler.ts).
 */
import { isRegisteredAs, type Registration, registration } from '../shared/agent.ts'
import { isCallbackAgent } from '../shared/callback.ts'
import { cardPartsOf } from '../shared/card.ts'
import { indexEntry } from '../shared/directory.ts'
import { issuesOf } from '../shared/fault.ts'
import { agentName } from '../shared/ids.ts'
import { resolvePermissions } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import type { Handlers } from './context.ts'
import type { AnyAgent } from './define.ts'
import { enrol } from './register.ts'

/** By name. Throws at start-up, where a deployer sees it: a bad list must not go live with an agent missing. */
export function handlersOf(agents: readonly AnyAgent[]): Handlers {
  const handlers = new Map<string, AnyAgent>()
  for (const agent of agents) {
    const { name } = agent
    const parsed = registration.safeParse(registrationOf(agent))
    const issues = [
      ...(agentName.safeParse(name).success ? [] : ['its name is not 1 to 64 of a-z, 0-9 and -']),
      ...(isCallbackAgent(name) ? ['names that begin with callback- are the broker’s own'] : []),
      ...(handlers.has(name) ? ['another agent has the same name'] : []),
      ...((agent.handleBatch !== undefined) === (agent.policy?.batch !== undefined)
        ? []
        : ['`handleBatch` and `policy.batch` belong together']),
      ...((agent.handle === undefined) === (agent.handleBatch === undefined)
        ? ['it needs one of `handle` and `handleBatch`']
        : []),
      ...(parsed.success ? [] : issuesOf(parsed.error).map((issue) => `${issue.path}: ${issue.message}`)),
    ]
    if (issues.length > 0) throw new Error(`The agent \`${name}\` cannot be served: ${issues.join('; ')}.`)
    handlers.set(name, agent)
  }
  return handlers
}

/** Registers a handler as its code has it. Costs no row when nothing has changed. */
export async function ensureEnrolled(platform: Platform, handler: AnyAgent): Promise<void> {
  const wanted = registrationOf(handler)
  const described = await platform.agent(handler.name).describe()
  if (described === undefined || !isRegisteredAs(described.agent, wanted)) {
    await enrol(platform, handler.name, wanted)
    return
  }
  // An enrolment that died half way left the object without its index entry.
  await platform.directory().putAgent(indexEntry(described.agent))
}

// The isolate has seen to these; keyed by the map, so that two Switchboards in one process do not share the memory.
const seenTo = new WeakSet<Handlers>()

/** All of them, once per isolate: before the index is listed. */
export async function ensureAllEnrolled(platform: Platform, handlers: Handlers): Promise<void> {
  if (seenTo.has(handlers)) return
  await Promise.all([...handlers.values()].map((handler) => ensureEnrolled(platform, handler)))
  seenTo.add(handlers)
}

/** What its code says of an agent, as a registration. */
export function registrationOf(agent: AnyAgent): Registration {
  const { capabilities, types, resources, policy, permissions } = agent
  return {
    kind: 'handler',
    ...(capabilities === undefined ? {} : { capabilities: [...capabilities] }),
    ...(types === undefined ? {} : { accepts: [...types] }),
    ...cardPartsOf(agent),
    ...(resources === undefined ? {} : { resources: [...resources] }),
    ...(policy === undefined ? {} : { policy }),
    // All of them: what newer code says nothing of any more is not what older code said.
    permissions: { ...resolvePermissions(agent.name, permissions), ...permissions },
  }
}

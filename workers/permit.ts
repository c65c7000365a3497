/**
 * Permit: before deliveries begin, ask the resources that their agent needs; after they ended, tell them how they did. Costs an
 * agent that declares none nothing. Never here: what a resource makes of it (shared/resource.ts), whose fault it was (shared/blame.ts).
 */
import type { AgentRecord } from '../shared/agent.ts'
import type { LeasedDelivery } from '../shared/agent-port.ts'
import { verdictOn } from '../shared/blame.ts'
import type { Outcome } from '../shared/outcome.ts'
import type { Platform } from '../shared/ports.ts'
import type { News, Permit } from '../shared/resource.ts'
import type { Report } from '../shared/settlement.ts'

/** What was permitted, by lease token. Empty where nobody was asked, or where it was somebody else who asked. */
export type Permits = ReadonlyMap<string, readonly Given[]>

interface Given {
  readonly resource: string
  readonly epoch: number
  readonly remembered: boolean
}

export interface Permitted {
  readonly begin: readonly LeasedDelivery[]
  /** What is to be given back unbegun. */
  readonly held: readonly Report[]
  readonly permits: Permits
}

const silentWaitMs = 5_000

/**
 * Asks each resource of the agent once for all of these leases. Those with the fewest attempts come first, so that no single
 * delivery pays for every probe. Only who gets a permit from all of them may begin.
 */
export async function askPermits(
  platform: Platform,
  agent: AgentRecord,
  leases: readonly LeasedDelivery[],
): Promise<Permitted> {
  const permits = new Map<string, Given[]>()
  const held: Report[] = []
  let asking = leases.toSorted((a, b) => a.attempt - b.attempt)
  for (const resource of agent.resources ?? []) {
    if (asking.length === 0) break
    const answers = await ask(platform, agent, resource, asking)
    for (const answer of answers) {
      const { ticket } = answer
      if (answer.status === 'permitted') permits.set(ticket, [...(permits.get(ticket) ?? []), { resource, ...answer }])
      else held.push(heldBack(leases, answer))
    }
    const permitted = new Set(answers.flatMap((a) => (a.status === 'permitted' ? [a.ticket] : [])))
    asking = asking.filter((lease) => permitted.has(lease.token))
  }
  const out = new Set(held.map((report) => report.token))
  if (out.size > 0) platform.log('permit', { agent: agent.name, held: held.map((report) => report.id) })
  // What one resource permitted and another did not is given back, or nobody could have it.
  if (out.size > 0) platform.waitUntil(tellResources(platform, agent, held, permits))
  return { begin: leases.filter((lease) => !out.has(lease.token)), held, permits }
}

// A resource that does not answer permits nobody: to let all through would be a probe without end.
async function ask(
  platform: Platform,
  agent: AgentRecord,
  resource: string,
  leases: readonly LeasedDelivery[],
): Promise<readonly Permit[]> {
  const outside = agent.kind === 'pull' || agent.policy.ack === 'later'
  const asks = leases.map((l) => ({ ticket: l.token, forMs: l.deadlineAt - platform.now(), outside }))
  try {
    return await platform.resource(resource).permit(asks)
  } catch (error) {
    platform.log('permit.failed', { agent: agent.name, resource, error: String(error) })
    const because = `the broker's record of the resource ${resource} did not answer`
    return asks.map(({ ticket }) => ({ ticket, status: 'held', holdMs: silentWaitMs, because }))
  }
}

function heldBack(
  leases: readonly LeasedDelivery[],
  { ticket, because, holdMs }: Extract<Permit, { status: 'held' }>,
): Report {
  const id = leases.find((lease) => lease.token === ticket)?.id ?? ''
  return { id, token: ticket, outcome: { kind: 'parked', because, holdMs }, external: false }
}

/** Tells each resource what came of its permits. Never throws: a permit that nobody reports on ends by time. */
export async function tellResources(
  platform: Platform,
  agent: AgentRecord,
  reports: readonly Pick<Report, 'token' | 'outcome'>[],
  permits: Permits,
): Promise<void> {
  await Promise.all(
    (agent.resources ?? []).map(async (resource) => {
      const news = reports.flatMap(({ token, outcome }) => newsOf(agent, resource, token, outcome, permits.get(token)))
      if (news.length === 0) return
      try {
        await platform.resource(resource).tell(news, platform.token())
      } catch (error) {
        platform.log('resource.untold', { agent: agent.name, resource, error: String(error) })
      }
    }),
  )
}

function newsOf(
  agent: AgentRecord,
  resource: string,
  ticket: string,
  outcome: Outcome,
  given: readonly Given[] | undefined,
): News[] {
  const mine = given?.find((one) => one.resource === resource)
  // Not asked for by us: its permit is known by its ticket, if at all.
  if (given !== undefined && mine === undefined) return []
  const said = verdictOn(resource, outcome)
  if (said === undefined && (outcome.kind === 'later' || mine?.remembered === false)) return []
  const verdict = said?.kind === 'failure' ? { ...said, cause: `${agent.name} was ${said.cause}` } : said
  return [
    {
      ticket,
      ...(mine === undefined ? {} : { epoch: mine.epoch }),
      ...(verdict === undefined ? {} : { verdict }),
    },
  ]
}

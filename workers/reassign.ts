/**
 * Reassign: mail moves to another agent's mailbox. Accepted there first, then ended here: a crash in between is completed by the
 * mailbox's alarm, through `work`, or by the next call. Never here: what leaves, and when (shared/reassign.ts).
 */
import type { Fault } from '../shared/fault.ts'
import type { Platform } from '../shared/ports.ts'
import type { Departed, Departure } from '../shared/reassign.ts'
import { err, ok, type Result } from '../shared/result.ts'
import { accept } from './accept.ts'
import { enqueue } from './enqueue.ts'

// So that one call ends: what is left is told, and the next call goes on.
const rounds = 100
const perRound = 100

/** Moves all of an agent's mail that has not ended, in the order of its line. Ok also when some is left after many rounds. */
export async function reassignMail(platform: Platform, agent: string, to: string): Promise<Result<void, Fault>> {
  for (let round = 0; round < rounds; round++) {
    // One that has left is described to nobody, and its mail is there all the same.
    const stats = await platform.agent(agent).stats()
    if (stats === undefined || stats.figures.depth === 0) return ok(undefined)
    // Looked at before anything is touched: work in flight is not to be fenced off for a place that there is not.
    const place = await placesAt(platform, to)
    if (!place.ok) return place
    const departures = await platform.agent(agent).leave(to, Math.min(perRound, place.value))
    const fault = await depart(platform, agent, departures)
    if (fault !== undefined) return err(fault)
  }
  return ok(undefined)
}

async function placesAt(platform: Platform, to: string): Promise<Result<number, Fault>> {
  const find = () => platform.agent(to).describe()
  const found = (await find()) ?? ((await platform.enrolHandler(to)) ? await find() : undefined)
  if (found === undefined) return err({ code: 'agent_not_found', agent: to })
  const { depth } = found.figures
  const max = found.agent.policy.depth
  return depth < max ? ok(max - depth) : err({ code: 'backpressure', agent: to, depth, max, retryAfterSeconds })
}

// The mailbox does not say when there is room again.
const retryAfterSeconds = 5

/** Has these accepted where they go, and tells their mailbox. The fault is why some could not leave. */
export async function depart(
  platform: Platform,
  agent: string,
  departures: readonly Departure[],
): Promise<Fault | undefined> {
  let fault: Fault | undefined
  for (const [to, some] of Map.groupBy(departures, (d) => d.to)) {
    const incoming = some.map((d) => d.incoming)
    const answer = await accept(platform, to, incoming, platform.token())
    enqueue(platform, to, answer.references)
    const news = some.map(({ id }, place): Departed => {
      const admission = answer.admissions[place]
      if (admission !== undefined && 'id' in admission) return { id, became: admission.id }
      const isFull = admission?.status === 'full'
      fault ??= isFull
        ? { code: 'backpressure', agent: to, depth: admission.depth, max: admission.max, retryAfterSeconds }
        : { code: 'agent_not_found', agent: to }
      return { id, to, stays: isFull ? `\`${to}\` is full` : `no agent is registered as \`${to}\`` }
    })
    const told = await platform.agent(agent).departed(news)
    platform.log('reassign', {
      agent,
      to,
      deliveries: news.map((n) => `${n.id} ${'became' in n ? n.became : n.stays}`),
    })
    enqueue(platform, agent, told.references)
  }
  return fault
}

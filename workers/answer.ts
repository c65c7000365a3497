/**
 * Answer: a reply to a request that lies in the mailbox of whoever replies is made ready before it is reported, so that the report, its
 * journal and the arrival are one write. Whatever is not as simple as that goes the long way, out of the journal (workers/effects.ts).
 * Never here: whether it counts (shared/arrival.ts).
 */
import type { AgentRecord } from '../shared/agent.ts'
import type { LeasedDelivery } from '../shared/agent-port.ts'
import { gatherPlace } from '../shared/gather-place.ts'
import { asksToPass, journalOf } from '../shared/journal.ts'
import { destinationOf } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'
import type { Report } from '../shared/settlement.ts'
import { prepareReply } from './effects.ts'

// The word that the work is done waits for nobody: who does not hear it in time has it done again.
const soonMs = 1_000
// It is in the report twice, as an effect and as the message that it becomes, and many reports are one call.
const charactersMax = 65_536

/** The report with its reply, if that is for a request in the mailbox that is told. */
export async function withReply(
  platform: Platform,
  agent: AgentRecord,
  lease: LeasedDelivery,
  report: Report,
): Promise<Report> {
  const { outcome, token } = report
  const { id, head, hops, lineage } = lease
  const to = destinationOf({ to: head.replyto ?? '' })
  if (to.kind !== 'gather' || outcome.kind !== 'ok' || asksToPass(outcome) || lease.replays !== undefined) return report
  const place = gatherPlace(to.gather)
  if (place.kind !== 'mailbox' || place.agent !== agent.name) return report
  const [effect] = journalOf({ id, head, redrives: 0, key: '' }, outcome, token).effects
  if (effect?.kind !== 'reply' || effect.state.status !== 'pending') return report
  const openedAt = platform.now()
  const one = { id, hops, ...(lineage === undefined ? {} : { lineage }), head, openedAt, effects: [effect] }
  const incoming = await soon(platform, id, prepareReply(platform, agent, one, effect))
  if (incoming === undefined || incoming.body.length > charactersMax) return report
  const { body, key } = incoming
  const arrival = { by: agent.name, key, delivery: id, of: { id: head.id, source: head.source } }
  return {
    ...report,
    reply: { n: effect.n, gather: to.gather, arrival, body, tell: platform.bell.isAwaited(to.gather) },
  }
}

// Undefined when it fails, or takes too long.
function soon<T>(platform: Platform, delivery: string, work: Promise<T | undefined>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const late = (error: string) => {
      platform.log('answer.late', { delivery, error })
      resolve(undefined)
    }
    const stop = platform.after(soonMs, () => late(`it took longer than ${soonMs} ms`))
    work
      .then(resolve, (error: unknown) => late(String(error)))
      .finally(stop)
      .catch(() => undefined)
  })
}

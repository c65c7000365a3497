/**
 * Overdue: what has not come as far up the receipt ladder as its agent's policy wants, in time. It is told once, as a step of the
 * receipt, in the log and on its agent's topic, and goes to the fallback agent's mailbox if the policy names one. Never here: the
 * ladder (shared/ladder.ts), the move (shared/reassign.ts), announcing (workers/alert.ts).
 */
import { hasEnded, isLeaving, step } from './delivery.ts'
import { type Alert, overdueAtOf } from './ladder.ts'
import { limits } from './limits.ts'
import { agentOf, type Draft, leaseOf, liveOf, put } from './mailbox.ts'
import { sendOff } from './reassign.ts'
import { isReserved } from './topic.ts'

/** What has been found overdue since then, and has not ended, the latest first. Announcements that are late are not announced. */
export function alertsOf(draft: Draft, since: number): Alert[] {
  const late = agentOf(draft)?.policy.alert?.rung
  if (late === undefined) return []
  const alerts = [...liveOf(draft)].flatMap((delivery): Alert[] => {
    const { id, overdueAt, head } = delivery
    if (overdueAt === undefined || overdueAt < since || hasEnded(delivery)) return []
    return head.topic !== undefined && isReserved(head.topic) ? [] : [{ delivery: id, at: overdueAt, rung: late }]
  })
  return alerts.sort((a, b) => b.at - a.at)
}

/** Tells what is overdue now, and sends it on. Gives the ids. */
export function overdue(draft: Draft, now: number): readonly string[] {
  const agent = agentOf(draft)
  const alert = agent?.policy.alert
  if (agent === undefined || alert === undefined) return []
  const late: string[] = []
  for (const delivery of [...liveOf(draft)]) {
    if (hasEnded(delivery) || isLeaving(delivery)) continue
    const overdueAt = overdueAtOf(alert, delivery, leaseOf(draft, delivery.id))
    if (overdueAt === undefined || overdueAt > now) continue
    late.push(delivery.id)
    const to = delivery.hops < limits.hops && alert.fallback !== agent.name ? alert.fallback : undefined
    const told = `not ${alert.rung} within ${alert.afterSeconds} s${to === undefined ? '' : `: on to \`${to}\``}`
    const marked = step({ ...delivery, overdueAt: now }, { step: 'overdue', at: now, detail: told })
    if (to === undefined) put(draft, marked)
    else sendOff(draft, marked, to)
  }
  return late
}

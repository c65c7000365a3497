/**
 * Express: somebody waits for the answer, and the mailbox lets the delivery go at once. The gateway takes it itself, with an
 * ordinary lease, and saves the hop through the queue. If it dies meanwhile the lease ends in silence, which is the broker's
 * failure first and no attempt. Never here: the answer, which is the gather's and never the outcome in hand.
 */
import type { TakeAnswer } from '../shared/agent-port.ts'
import type { Outcome } from '../shared/outcome.ts'
import type { Platform } from '../shared/ports.ts'
import type { References } from '../shared/release.ts'
import type { Report } from '../shared/settlement.ts'
import type { Handlers } from './context.ts'
import { enqueue } from './enqueue.ts'
import { runTaken } from './run.ts'
import { Slots } from './slots.ts'
import { take } from './take.ts'

// What an attempt may take here at most: by then the asker has gone, and the invocation is about to be cut.
const attemptMs = 50_000

/** Delivers one of what was released under waitUntil, and has the queue carry the rest. `already`: what its acceptance has leased. */
export function express(
  platform: Platform,
  handlers: Handlers,
  agent: string,
  delivery: string,
  references: References,
  already: TakeAnswer | undefined,
): void {
  if (already !== undefined && already.leases.length > 0) {
    platform.log('take', { agent, leased: already.leases.map((l) => l.id) })
    enqueue(platform, agent, references)
    begin(platform, handlers, agent, delivery, async () => already)
    return
  }
  const mine = references.find((r) => r.alone === undefined && r.deliveries.includes(delivery))
  if (mine === undefined) {
    enqueue(platform, agent, references)
    return
  }
  const others = mine.deliveries.filter((id) => id !== delivery)
  const rest = references.filter((r) => r !== mine)
  enqueue(platform, agent, others.length === 0 ? rest : [...rest, { deliveries: others }])
  begin(platform, handlers, agent, delivery, () => take(platform, agent, [delivery], false))
}

function begin(
  platform: Platform,
  handlers: Handlers,
  agent: string,
  delivery: string,
  take: () => Promise<TakeAnswer>,
): void {
  platform.waitUntil(
    run(platform, handlers, agent, take).catch((error: unknown) =>
      // The mailbox repeats a release that nobody took, and a lease that ends in silence.
      platform.log('express.failed', { agent, delivery, error: String(error) }),
    ),
  )
}

async function run(
  platform: Platform,
  handlers: Handlers,
  agent: string,
  take: () => Promise<TakeAnswer>,
): Promise<void> {
  const taken = await take()
  const cutAt = platform.now() + attemptMs
  const short = taken.leases.filter((lease) => lease.deadlineAt > cutAt).map(({ id }) => id)
  const leases = taken.leases.map((lease) => ({ ...lease, deadlineAt: Math.min(lease.deadlineAt, cutAt) }))
  const slots = new Slots((ms, then) => platform.after(ms, then))
  const judge = (report: Report) =>
    short.includes(report.id) ? { ...report, outcome: cutShort(report.outcome) } : report
  await runTaken(platform, handlers, slots, agent, { ...taken, leases }, false, judge)
}

// It had less time than its policy gives it: that it was not enough is not the agent's fault.
function cutShort(outcome: Outcome): Outcome {
  if (outcome.kind !== 'retry' || outcome.error.code !== 'timeout') return outcome
  return { kind: 'retry', error: { ...outcome.error, code: 'broker' } }
}

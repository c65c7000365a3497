/**
 * Express: the mailbox lets a delivery go at once, for somebody who waits for the answer, or of a message that was just published. The
 * gateway takes it itself, with an ordinary lease, and saves the hop through the queue. If it dies meanwhile the lease ends in silence,
 * which is the broker's failure first and no attempt. Never here: the answer, which is the gather's and never the outcome in hand.
 */
import type { TakeAnswer } from '../shared/agent-port.ts'
import { agentIn } from '../shared/agent-text.ts'
import type { Outcome } from '../shared/outcome.ts'
import type { Platform } from '../shared/ports.ts'
import type { References } from '../shared/release.ts'
import type { Report } from '../shared/settlement.ts'
import { cutAfter, timeoutMsOf } from './attempt.ts'
import type { Handlers } from './context.ts'
import { enqueue } from './enqueue.ts'
import type { AtOnce } from './route.ts'
import { runTaken } from './run.ts'
import { Slots } from './slots.ts'
import { take } from './take.ts'

// An invocation is cut half a minute after its answer. What an attempt may take here at most: of a request, whose asker waits half a
// minute at most before that answer; of a publish, which is answered when the attempt begins.
const askedMs = 50_000
const publishedMs = 29_000

// What is published goes at once only where no attempt may take longer; the second that is missing is left to its report.
const longestPublishedMs = 30_000

/** For a publish by HTTP: what its acceptance leases is delivered under waitUntil, and the queue carries what else was released. */
export function atOnce(platform: Platform, handlers: Handlers): AtOnce {
  let isLeaving = false
  return {
    longestMs: longestPublishedMs,
    run: (agent, references, taken) => {
      isLeaving = true
      enqueue(platform, agent, references)
      beginLeased(platform, handlers, agent, taken, publishedMs)
    },
    // A call is sent when the turn is over in which it was made. Whatever else is done in that turn holds it up.
    left: async () => {
      if (isLeaving) await new Promise<void>((resolve) => platform.after(0, resolve))
    },
  }
}

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
    enqueue(platform, agent, references)
    beginLeased(platform, handlers, agent, already, askedMs)
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
  const run = async () => runCut(platform, handlers, agent, await take(platform, agent, [delivery], false), askedMs)
  underWaitUntil(platform, agent, run())
}

function beginLeased(
  platform: Platform,
  handlers: Handlers,
  agent: string,
  taken: TakeAnswer,
  attemptMs: number,
): void {
  platform.log('take', { agent, leased: taken.leases.map((l) => l.id) })
  underWaitUntil(platform, agent, runCut(platform, handlers, agent, taken, attemptMs))
}

function underWaitUntil(platform: Platform, agent: string, run: Promise<void>): void {
  platform.waitUntil(
    // The mailbox repeats a release that nobody took, and a lease that ends in silence.
    run.catch((error: unknown) => platform.log('express.failed', { agent, error: String(error) })),
  )
}

async function runCut(
  platform: Platform,
  handlers: Handlers,
  agent: string,
  taken: TakeAnswer,
  attemptMs: number,
): Promise<void> {
  const record = agentIn(taken.agent)
  if (record === undefined) return
  const leases = taken.leases.map((lease) => cutAfter(platform, record, lease, attemptMs))
  const short = taken.leases.flatMap((lease) => (timeoutMsOf(record, lease) > attemptMs ? [lease.id] : []))
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

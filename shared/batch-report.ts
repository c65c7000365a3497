/**
 * What a report means for a delivery that shared its call with others. The call is one verdict for the breaker and an attempt of
 * each; what failed as a whole is nobody's own fault yet; and nothing ends before its predecessor in the line (M3). Never here:
 * what an outcome does (shared/settlement.ts).
 */
import type { Verdict } from './breaker.ts'
import { type Delivery, hasEnded } from './delivery.ts'
import { verdictOf } from './gate.ts'
import type { Lease } from './lease.ts'
import { inLine, standing } from './line.ts'
import { type Draft, leaseOf } from './mailbox.ts'
import type { Outcome } from './outcome.ts'

/** What is read of a report (shared/settlement.ts). */
interface Report {
  readonly id: string
  readonly token: string
  readonly outcome: Outcome
  readonly whole?: true
}

/** A report, as it counts for its delivery. */
export interface Meant {
  readonly outcome: Outcome
  /** What was reported, by which a repeat of the report is known. */
  readonly reported: Outcome['kind']
  readonly verdict: Verdict | undefined
  /** It failed with others: alone it may do better. */
  readonly shared: boolean
}

/** By the number of a batch: what its call says of the agent. Told once. */
export type Verdicts = Map<number, Verdict | undefined>

/** One verdict for each call with several deliveries: a failure only where none of them went well. */
export function verdictsOf(draft: Draft, reports: readonly Report[]): Verdicts {
  const calls = new Map<number, Report[]>()
  for (const report of reports) {
    const lease = leaseOf(draft, report.id)
    if (lease?.batch === undefined || lease.token !== report.token) continue
    calls.set(lease.batch.n, [...(calls.get(lease.batch.n) ?? []), report])
  }
  return new Map([...calls].map(([n, all]) => [n, verdictOfCall(all)]))
}

// What is said of the whole is said of the call; beside it may stand some that the broker itself kept from it.
function verdictOfCall(reports: readonly Report[]): Verdict | undefined {
  const whole = reports.find((r) => r.whole === true)
  if (whole !== undefined) return verdictOf(whole.outcome)
  const verdicts = reports.flatMap(({ outcome }) => verdictOf(outcome) ?? [])
  return verdicts.find((v) => v.kind === 'success') ?? verdicts[0]
}

/** Who stands before it in its line and has not ended. */
export function predecessorOf(draft: Draft, delivery: Delivery, now: number): Delivery | undefined {
  if (delivery.partitionKey === undefined) return undefined
  for (const other of standing(draft, now)) {
    if (other.partitionKey !== delivery.partitionKey || hasEnded(other) || other.lineAt > now) continue
    if (other.id !== delivery.id && inLine(other, delivery) < 0) return other
  }
  return undefined
}

/** `early`: who stands before it and has not ended. The verdict of its call is given to the first that asks. */
export function meant(
  report: Report,
  lease: Lease | undefined,
  early: Delivery | undefined,
  verdicts: Verdicts,
): Meant {
  const { outcome } = report
  const reported = outcome.kind
  if (lease?.batch === undefined) return { outcome, reported, verdict: verdictOf(outcome), shared: false }
  const verdict = verdicts.get(lease.batch.n)
  verdicts.delete(lease.batch.n)
  if (report.whole === true && isFailure(outcome)) {
    const { error } = outcome
    // A refusal of the whole says of none that it can never work.
    const failed: Outcome = outcome.kind === 'fail' ? { kind: 'retry', error } : outcome
    return { outcome: failed, reported, verdict, shared: true }
  }
  if (early !== undefined && (outcome.kind === 'ok' || outcome.kind === 'fail')) {
    const error = { code: 'out_of_turn', message: `${early.id}, before it in its line, has not ended` }
    return { outcome: { kind: 'retry', error }, reported, verdict, shared: true }
  }
  return { outcome, reported, verdict, shared: false }
}

function isFailure(outcome: Outcome): outcome is Extract<Outcome, { kind: 'retry' | 'fail' }> {
  return outcome.kind === 'retry' || (outcome.kind === 'fail' && outcome.error.code !== 'no_handler')
}

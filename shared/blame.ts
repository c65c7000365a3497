/**
 * Whose fault it was: the agent's, or that of a resource it names. What a report says of the resource, and what it changes of the
 * attempt's outcome. Never here: counting (shared/breaker.ts), reading headers (shared/resource-report.ts).
 */
import type { Verdict } from './breaker.ts'
import { limits } from './limits.ts'
import { type AttemptError, isAboutMessage, minHoldMs, type Outcome } from './outcome.ts'
import type { ResourceReport } from './resource-report.ts'

/** What a resource is told. `hold`: it asked for a pause, which is no failure. */
export type ResourceVerdict = Exclude<Verdict, { kind: 'silence' }> | { readonly kind: 'hold'; readonly holdMs: number }

/** Whoever can say that the request was wrong is well. 429 with a pause is a pause; any other error is a failure. */
export function resourceVerdict({ status, retryAfterMs }: ResourceReport): ResourceVerdict {
  if (status < 400 || isAboutMessage(status)) return { kind: 'success' }
  if (status === 429 && retryAfterMs !== undefined) return { kind: 'hold', holdMs: Math.max(minHoldMs, retryAfterMs) }
  return { kind: 'failure', cause: `answered ${status}`, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
}

const isTrouble = (report: ResourceReport) => resourceVerdict(report).kind !== 'success'

/** Was it a resource's fault, and not the agent's? */
export function isResourceTrouble(outcome: Outcome): boolean {
  return 'resources' in outcome && outcome.resources?.some(isTrouble) === true
}

/** What the outcome says of this resource: what was reported, or that work done with it worked. Undefined: nothing. */
export function verdictOn(resource: string, outcome: Outcome): ResourceVerdict | undefined {
  const report = 'resources' in outcome ? outcome.resources?.find((r) => r.name === resource) : undefined
  if (report !== undefined) return resourceVerdict(report)
  return outcome.kind === 'ok' ? { kind: 'success' } : undefined
}

/**
 * Lays reports over the outcome of the attempt that made them. Only what the agent declares counts: else anybody could stop
 * everybody. A failure that a resource is to blame for becomes a hold where the resource asked for one.
 */
export function attributed(
  outcome: Outcome,
  reports: readonly ResourceReport[],
  declared: readonly string[] = [],
): Outcome {
  const resources = reports.filter((r) => declared.includes(r.name))
  const stranger = reports.find((r) => !declared.includes(r.name))
  const noted = stranger === undefined ? outcome : withNote(outcome, stranger.name)
  if (resources.length === 0) return noted
  switch (noted.kind) {
    case 'ok':
    case 'later':
    case 'fail':
      return { ...noted, resources }
    case 'retry':
    case 'hold':
      return blamed(noted, resources)
    default:
      return noted
  }
}

function withNote(outcome: Outcome, name: string): Outcome {
  if (!('error' in outcome)) return outcome
  return {
    ...outcome,
    error: said(outcome.error, `${outcome.error.message}; it does not declare the resource ${name}`),
  }
}

function blamed(outcome: Extract<Outcome, { kind: 'retry' | 'hold' }>, resources: ResourceReport[]): Outcome {
  const worst = resources.find(isTrouble)
  if (worst === undefined) return { ...outcome, resources }
  const whose = `${worst.name} answered ${worst.status}`
  const { message } = outcome.error
  const error = { ...said(outcome.error, message === whose ? whose : `${whose}; ${message}`), code: 'resource' }
  const verdicts = resources.map(resourceVerdict)
  const holdMs = Math.max(...verdicts.map((v) => (v.kind === 'hold' ? v.holdMs : 0)))
  if (outcome.kind === 'hold') return { ...outcome, error, holdMs: Math.max(outcome.holdMs, holdMs), resources }
  if (holdMs > 0) return { kind: 'hold', error, holdMs, resources }
  const askedMs = Math.max(
    outcome.retryAfterMs ?? 0,
    ...verdicts.map((v) => ('retryAfterMs' in v ? (v.retryAfterMs ?? 0) : 0)),
  )
  return { ...outcome, error, ...(askedMs > 0 ? { retryAfterMs: askedMs } : {}), resources }
}

const said = (error: AttemptError, message: string): AttemptError => ({
  ...error,
  message: message.slice(0, limits.errorMessageLength),
})

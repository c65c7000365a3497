/**
 * The circuit breaker of one agent: asked before a delivery goes, told when its report comes, because the verdict comes later
 * and from elsewhere.
 *
 *                 failures reach the threshold, or a person says so
 *       closed ─────────────────────────────────────────────────────► open
 *         ▲                                                           │  ▲
 *         │ a probe succeeds                          its time is over│  │ a probe fails (the wait doubles),
 *         └──────────────────────── half_open ◄───────────────────────┘  │ or ends in silence (it does not)
 *                                       └────────────────────────────────┘
 *
 *  B1 while open, nothing is taken · B2 in half-open no more than the probe limit is leased, and a lost probe does not wedge
 *  it, because a probe is a lease and ends · B3 a report of an older epoch changes nothing.
 * Never here: what becomes of the mail (shared/release.ts holds it, at no attempt).
 */
import * as z from 'zod'

const historyMax = 100
const causeLength = 300
/** Ends of attempts that are remembered; a policy may not wait for more. */
const windowMax = 1_000

export const breakerPolicy = z.strictObject({
  /** Consecutive failed attempts that open it. */
  failureThreshold: z.int().min(1).max(1_000),
  openSeconds: z.number().min(0.05).max(86_400),
  /** The wait doubles with each failed probe, up to this. */
  maxOpenSeconds: z.number().min(0.05).max(86_400),
  /** Deliveries that may probe at once in half-open. */
  probes: z.int().min(1).max(100),
  /** It also opens when at least `minimum` attempts ended within `seconds` and at least `ratio` of them failed. */
  window: z.strictObject({
    seconds: z.number().min(1).max(3_600),
    minimum: z.int().min(1).max(windowMax),
    ratio: z.number().min(0.01).max(1),
  }),
})
export type BreakerPolicy = z.infer<typeof breakerPolicy>

export const defaultBreakerPolicy: BreakerPolicy = {
  failureThreshold: 5,
  openSeconds: 60,
  maxOpenSeconds: 900,
  probes: 1,
  window: { seconds: 60, minimum: 10, ratio: 0.5 },
}

const closed = z.strictObject({
  at: z.literal('closed'),
  /** In a row, so far. A success sets it to 0 (T5). */
  failures: z.int(),
  /** Since a recovery: how many may be in flight; doubles with each success until it is no limit any more. */
  ramp: z.int().exactOptional(),
})
const open = z.strictObject({ at: z.literal('open'), openedAt: z.number(), until: z.number(), waitMs: z.number() })
const halfOpen = z.strictObject({ at: z.literal('half_open'), since: z.number(), waitMs: z.number() })

export const transitionSchema = z.strictObject({ at: z.number(), from: z.string(), to: z.string(), cause: z.string() })
export type Transition = z.infer<typeof transitionSchema>

export const breakerSchema = z.strictObject({
  v: z.literal(1),
  /** Counts transitions: a lease remembers the epoch it was given in. */
  epoch: z.int(),
  /** A person's word. `auto`: none. */
  forced: z.enum(['auto', 'open', 'closed']),
  state: z.discriminatedUnion('at', [closed, open, halfOpen]),
  /** Ends of recent attempts, for the ratio. Bounded, and saved only beside something else: a rebuilt object may know fewer. */
  window: z.array(z.strictObject({ at: z.number(), failed: z.boolean() })),
  history: z.array(transitionSchema),
})
export type Breaker = z.infer<typeof breakerSchema>

export const newBreaker: Breaker = {
  v: 1,
  epoch: 0,
  forced: 'auto',
  state: { at: 'closed', failures: 0 },
  window: [],
  history: [],
}

/** What a report says of the agent. `silence` is the broker's failure first: it only matters of a probe. */
export type Verdict =
  | { readonly kind: 'success' }
  | { readonly kind: 'failure'; readonly cause: string; readonly retryAfterMs?: number }
  | { readonly kind: 'silence' }

export type BreakerEvent = 'success' | 'failure' | 'silence' | 'time' | 'force_open' | 'force_closed' | 'force_auto'

/** Every state and event, and the states it may lead to. Ignored events are written too: they lead where they are. */
export const breakerTable: Readonly<
  Record<Breaker['state']['at'], Readonly<Record<BreakerEvent, readonly Breaker['state']['at'][]>>>
> = {
  closed: {
    success: ['closed'],
    failure: ['closed', 'open'],
    silence: ['closed'],
    time: ['closed'],
    force_open: ['open'],
    force_closed: ['closed'],
    force_auto: ['closed'],
  },
  open: {
    success: ['open'],
    failure: ['open'],
    silence: ['open'],
    time: ['open', 'half_open'],
    force_open: ['open'],
    force_closed: ['closed'],
    force_auto: ['open'],
  },
  half_open: {
    success: ['closed'],
    failure: ['open'],
    silence: ['open'],
    time: ['half_open'],
    force_open: ['open'],
    force_closed: ['closed'],
    force_auto: ['half_open'],
  },
}

/** How many may be in flight now, as far as the breaker is concerned. 0: nothing may be taken (B1). */
export function admits(breaker: Breaker, policy: BreakerPolicy): number {
  if (breaker.forced === 'closed') return Number.POSITIVE_INFINITY
  switch (breaker.state.at) {
    case 'closed':
      return breaker.state.ramp ?? Number.POSITIVE_INFINITY
    case 'open':
      return 0
    case 'half_open':
      return policy.probes
  }
}

/** Time passes: an open breaker whose wait is over lets probes through. */
export function elapse(breaker: Breaker, now: number): Breaker {
  const { state } = breaker
  if (state.at !== 'open' || breaker.forced === 'open' || now < state.until) return breaker
  return move(breaker, { at: 'half_open', since: now, waitMs: state.waitMs }, 'the wait is over', now)
}

/** When time alone will move it; undefined when it will not. */
export function breakerDueAt(breaker: Breaker): number | undefined {
  return breaker.state.at === 'open' && breaker.forced !== 'open' ? breaker.state.until : undefined
}

/** Tells it what came of a delivery that was admitted in `epoch`. A report of an older epoch changes nothing (B3). */
export function tell(breaker: Breaker, policy: BreakerPolicy, epoch: number, verdict: Verdict, now: number): Breaker {
  // Forced closed it lets everything through, so there is nothing to learn from what comes back.
  if (epoch !== breaker.epoch || breaker.forced === 'closed') return breaker
  switch (breaker.state.at) {
    case 'closed':
      return verdict.kind === 'silence' ? breaker : tellClosed(breaker, breaker.state, policy, verdict, now)
    case 'half_open':
      return tellProbe(breaker, breaker.state, policy, verdict, now)
    case 'open':
      return breaker
  }
}

function tellClosed(
  breaker: Breaker,
  state: z.infer<typeof closed>,
  policy: BreakerPolicy,
  verdict: Exclude<Verdict, { kind: 'silence' }>,
  now: number,
): Breaker {
  const window = within(breaker.window, policy, now)
  window.push({ at: now, failed: verdict.kind === 'failure' })
  if (verdict.kind === 'success') {
    const ramp = state.ramp === undefined || state.ramp >= rampMax ? undefined : state.ramp * 2
    return { ...breaker, window, state: { at: 'closed', failures: 0, ...(ramp === undefined ? {} : { ramp }) } }
  }
  const failures = state.failures + 1
  const failed = window.filter((e) => e.failed).length
  const tooMany = window.length >= policy.window.minimum && failed / window.length >= policy.window.ratio
  if (failures < policy.failureThreshold && !tooMany) return { ...breaker, window, state: { ...state, failures } }
  const cause =
    failures >= policy.failureThreshold
      ? `${failures === 1 ? 'a failure' : `${failures} failures in a row`}; the last: ${verdict.cause}`
      : `${failed} of ${window.length} failed within ${policy.window.seconds} s; the last: ${verdict.cause}`
  return openFor(breaker, firstWaitMs(policy), verdict.retryAfterMs, cause, now)
}

// Up to a thousand, in the order they came, at every report: the first that still counts is found, and the rest copied as one.
function within(window: Breaker['window'], policy: BreakerPolicy, now: number): Breaker['window'] {
  const since = now - policy.window.seconds * 1_000
  const first = window.findIndex(({ at }) => at > since)
  return first < 0 ? [] : window.slice(Math.max(first, window.length - windowMax + 1))
}

function tellProbe(
  breaker: Breaker,
  state: z.infer<typeof halfOpen>,
  policy: BreakerPolicy,
  verdict: Verdict,
  now: number,
): Breaker {
  switch (verdict.kind) {
    case 'success':
      return move({ ...breaker, window: [] }, { at: 'closed', failures: 0, ramp: 1 }, 'a probe succeeded', now)
    case 'failure':
      return openFor(
        breaker,
        Math.min(state.waitMs * 2, policy.maxOpenSeconds * 1_000),
        verdict.retryAfterMs,
        `a probe failed: ${verdict.cause}`,
        now,
      )
    case 'silence':
      return openFor(breaker, state.waitMs, undefined, 'a probe ended in silence', now)
  }
}

// Past this the ramp limits nobody: concurrency is at most 1,000.
const rampMax = 1_024

const firstWaitMs = (policy: BreakerPolicy) => Math.min(policy.openSeconds, policy.maxOpenSeconds) * 1_000

function openFor(
  breaker: Breaker,
  waitMs: number,
  retryAfterMs: number | undefined,
  cause: string,
  now: number,
): Breaker {
  const until = now + Math.max(waitMs, retryAfterMs ?? 0)
  return move({ ...breaker, window: [] }, { at: 'open', openedAt: now, until, waitMs }, cause, now)
}

function move(breaker: Breaker, state: Breaker['state'], cause: string, now: number): Breaker {
  return { ...noted(breaker, state.at, cause, now), epoch: breaker.epoch + 1, state }
}

function noted(breaker: Breaker, to: Breaker['state']['at'], cause: string, now: number): Breaker {
  const transition: Transition = { at: now, from: breaker.state.at, to, cause: cause.slice(0, causeLength) }
  return { ...breaker, history: [...breaker.history, transition].slice(-historyMax) }
}

/** Its latest moves, each with the epoch that it began. A person's word that moved nothing is in the history and is no move. */
export function movesOf({ epoch, history }: Breaker): (Transition & { readonly epoch: number })[] {
  const moves = history.filter(({ from, to }) => from !== to)
  return moves.map((move, i) => ({ ...move, epoch: epoch - (moves.length - 1 - i) }))
}

/** A person's word: `open` stays open until told otherwise, `closed` lets everything through, `auto` gives the machine its way again. */
export function force(
  breaker: Breaker,
  policy: BreakerPolicy,
  to: Breaker['forced'],
  by: string,
  now: number,
): Breaker {
  const forced = { ...breaker, forced: to }
  const cause = to === 'auto' ? `left to itself by ${by}` : `forced ${to} by ${by}`
  if (to === 'open' && breaker.state.at !== 'open') return openFor(forced, firstWaitMs(policy), undefined, cause, now)
  if (to === 'closed' && breaker.state.at !== 'closed')
    return move({ ...forced, window: [] }, { at: 'closed', failures: 0 }, cause, now)
  // Who said what is kept, also where it moves nothing; said twice it is one word.
  return to === breaker.forced ? breaker : noted(forced, breaker.state.at, cause, now)
}

/** What an operator sees of it. Without mail nobody has noticed yet that its wait is over. */
export function publicBreaker(agent: string, breaker: Breaker, now: number) {
  const { state, forced, epoch, history } = elapse(breaker, now)
  const iso = (at: number) => new Date(at).toISOString()
  return {
    agent,
    state: state.at,
    forced,
    epoch,
    ...(state.at === 'open' && forced !== 'open' ? { openUntil: iso(state.until) } : {}),
    ...(state.at === 'closed' ? { failures: state.failures } : {}),
    ...(state.at === 'closed' && state.ramp !== undefined ? { ramp: state.ramp } : {}),
    history: history.map((entry) => ({ ...entry, at: iso(entry.at) })),
  }
}

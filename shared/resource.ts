/**
 * A resource that several agents share, such as a model of a provider: what stands between all of them and it. The breaker is
 * that of shared/breaker.ts, asked for permits before deliveries begin and told when their reports come.
 *
 *   ask ──► permit ──► told, or its time is over: then nobody knows what became of it
 *      └──► held: how long, and why. The mail parks, at no attempt (M4)
 *
 *  B1 while it is open or held, nobody is permitted · B2 in half-open no more permits are out, over all agents, than the probe
 *  limit, and a lost one ends by time · B3 a report of an older epoch changes nothing.
 * Never here: whose fault a failure was (shared/blame.ts), what becomes of the mail (shared/settlement.ts).
 */
import * as z from 'zod'
import type { ResourceVerdict } from './blame.ts'
import {
  admits,
  type Breaker,
  breakerDueAt,
  breakerPolicy,
  breakerSchema,
  defaultBreakerPolicy,
  elapse,
  force,
  newBreaker,
  publicBreaker,
  tell,
} from './breaker.ts'
import { limits } from './limits.ts'
import { type PolicyInput, resolveBreaker } from './policy.ts'

const permitSchema = z.strictObject({
  /** The lease's token. */
  ticket: z.string(),
  /** The breaker's epoch when it was given. */
  epoch: z.int(),
  until: z.number(),
})

export const resourceRecord = z.strictObject({
  v: z.literal(1),
  name: z.string(),
  breaker: breakerSchema,
  /** Absent: the default. */
  policy: breakerPolicy.exactOptional(),
  /** It asked for a pause. */
  heldUntil: z.number().exactOptional(),
  /** Those that are counted, and those whose reports come from outside. All of the present epoch. */
  permits: z.array(permitSchema),
  /** The latest calls that told it something: repeated, they change nothing. */
  told: z.array(z.string()),
  /** The last epoch whose beginning was announced. */
  announced: z.int(),
  changedAt: z.number(),
})
export type Resource = z.infer<typeof resourceRecord>

/** A stored record, parsed as the network is. */
export const readResource = (stored: unknown): Resource => resourceRecord.parse(JSON.parse(String(stored)))

export function newResource(name: string): Resource {
  return { v: 1, name, breaker: newBreaker, permits: [], told: [], announced: 0, changedAt: 0 }
}

const toldMax = 64
/** A probe that runs for longer is taken for lost. */
const probeMaxMs = 900_000
/** Whoever waits for a probe, or for the ramp, asks again within this. */
const waitMinMs = 1_000
const waitMaxMs = 10_000
const forcedWaitMs = 60_000

const policyOf = (resource: Resource) => resource.policy ?? defaultBreakerPolicy

// --- asked ------------------------------------------------------------------------------------------------------------

/** One lease that wants to begin. `outside`: its report comes by a call that knows nothing of epochs. */
export interface Ask {
  readonly ticket: string
  readonly forMs: number
  readonly outside: boolean
}

export type Permit =
  | {
      readonly ticket: string
      readonly status: 'permitted'
      readonly epoch: number
      /** It is remembered, so it must be given back even when there is nothing to say. */
      readonly remembered: boolean
    }
  | { readonly ticket: string; readonly status: 'held'; readonly holdMs: number; readonly because: string }

/** Permits what may begin, in the order it is asked for. The same ticket again is given the same permit. */
export function permit(before: Resource, asks: readonly Ask[], now: number): [Resource, Permit[]] {
  const resource = elapsed(before, now)
  const { epoch } = resource.breaker
  const limit = isHeld(resource) ? 0 : admits(resource.breaker, policyOf(resource))
  const isCounted = Number.isFinite(limit)
  let free = limit - resource.permits.length
  const given: Resource['permits'] = []
  const answers = asks.map(({ ticket, forMs, outside }): Permit => {
    if (resource.permits.some((p) => p.ticket === ticket))
      return { ticket, status: 'permitted', epoch, remembered: true }
    if (free <= 0) return { ticket, status: 'held', ...waitOf(resource, given, now) }
    free -= 1
    const remembered = isCounted || outside
    const lastsMs = isCounted ? Math.min(forMs, probeMaxMs) : limits.claimSeconds * 1_000
    if (remembered) given.push({ ticket, epoch, until: now + lastsMs })
    return { ticket, status: 'permitted', epoch, remembered }
  })
  if (given.length === 0) return [resource, answers]
  return [{ ...resource, permits: [...resource.permits, ...given].slice(-limits.permitsPerResource) }, answers]
}

// A person's word is above what the resource asked for.
const isHeld = ({ heldUntil, breaker }: Resource) => heldUntil !== undefined && breaker.forced !== 'closed'

function waitOf(resource: Resource, given: Resource['permits'], now: number): { holdMs: number; because: string } {
  const { state, forced, history } = resource.breaker
  const because = (why: string) => `the resource ${resource.name} ${why}`
  if (state.at === 'open') {
    const holdMs = forced === 'open' ? forcedWaitMs : Math.max(1, state.until - now)
    return { holdMs, because: because(`is down (${history.at(-1)?.cause ?? 'failures'})`) }
  }
  if (isHeld(resource)) return { holdMs: (resource.heldUntil ?? now) - now, because: because('asked for quiet') }
  const firstEnd = Math.min(...[...resource.permits, ...given].map((p) => p.until))
  const untilEnd = Math.min(waitMaxMs, Math.max(waitMinMs, firstEnd - now))
  if (state.at === 'half_open') return { holdMs: untilEnd, because: because('is being probed') }
  return { holdMs: waitMinMs, because: because('has just recovered and is not given everything at once') }
}

// --- told -------------------------------------------------------------------------------------------------------------

/** What came of a permit; without a verdict it is only given back. Without an epoch the permit itself must be known. */
export interface News {
  readonly ticket: string
  readonly epoch?: number
  readonly verdict?: ResourceVerdict
}

/** Tells it what came of permits. `token` names the call: its repeat changes nothing. */
export function tellResource(before: Resource, news: readonly News[], token: string, now: number): Resource {
  if (before.told.includes(token)) return before
  let next = elapsed(before, now)
  for (const { ticket, epoch, verdict } of news) {
    const held = next.permits.find((p) => p.ticket === ticket)
    if (held !== undefined) next = { ...next, permits: next.permits.filter((p) => p !== held) }
    const givenIn = held?.epoch ?? epoch
    if (verdict !== undefined && givenIn !== undefined) next = heard(next, givenIn, verdict, now)
  }
  return { ...ofThisEpoch(next), told: [...next.told, token].slice(-toldMax) }
}

function heard(resource: Resource, epoch: number, verdict: ResourceVerdict, now: number): Resource {
  const { breaker } = resource
  if (verdict.kind !== 'hold') return { ...resource, breaker: tell(breaker, policyOf(resource), epoch, verdict, now) }
  if (epoch !== breaker.epoch) return resource
  return { ...resource, heldUntil: Math.max(resource.heldUntil ?? 0, now + verdict.holdMs) }
}

/** A person's word, and the policy that is to be in force from now on. */
export function forceResource(before: Resource, asked: Forcing, now: number): Resource {
  const resource = elapsed(before, now)
  const policy = asked.policy === undefined ? resource.policy : resolveBreaker(asked.policy)
  const breaker =
    asked.to === undefined ? resource.breaker : force(resource.breaker, policyOf(resource), asked.to, asked.by, now)
  return ofThisEpoch({ ...resource, breaker, ...(policy === undefined ? {} : { policy }) })
}

export interface Forcing {
  readonly to?: Breaker['forced']
  readonly policy?: NonNullable<PolicyInput['breaker']>
  readonly by: string
}

// --- time -------------------------------------------------------------------------------------------------------------

/** Time passes: permits that nobody reported on end, a wait is over, a pause is over. */
export function elapsed(resource: Resource, now: number): Resource {
  const over = resource.permits.filter((p) => p.until <= now).toSorted((a, b) => a.until - b.until)
  // As of when its time was over: nobody need have looked in that moment.
  const silent = over.reduce(
    (breaker, { epoch, until }) => tell(breaker, policyOf(resource), epoch, { kind: 'silence' }, until),
    resource.breaker,
  )
  const breaker = elapse(silent, now)
  const isQuietOver = resource.heldUntil !== undefined && resource.heldUntil <= now
  if (over.length === 0 && breaker === resource.breaker && !isQuietOver) return resource
  const { heldUntil, ...rest } = resource
  const permits = resource.permits.filter((p) => p.until > now)
  const held = heldUntil === undefined || isQuietOver ? {} : { heldUntil }
  return ofThisEpoch({ ...rest, ...held, breaker, permits })
}

// What was permitted before it moved has no claim on a place, and nothing to tell.
function ofThisEpoch(resource: Resource): Resource {
  const permits = resource.permits.filter((p) => p.epoch === resource.breaker.epoch)
  return permits.length === resource.permits.length ? resource : { ...resource, permits }
}

const announceRetryMs = 60_000
/** A resource of which nothing was heard for so long is forgotten. */
export const resourceKeptMs = 30 * 86_400_000

/** When it wants to be looked at again (M6). */
export function resourceDueAt(resource: Resource, now: number): number {
  const { breaker, permits, changedAt, announced } = resource
  const kept = changedAt + resourceKeptMs
  return Math.min(
    breakerDueAt(breaker) ?? Number.POSITIVE_INFINITY,
    // A lost probe moves it; any other lost permit only ends.
    ...(breaker.state.at === 'half_open' ? permits.map((p) => p.until) : []),
    announced < breaker.epoch ? now + announceRetryMs : Number.POSITIVE_INFINITY,
    kept > now ? kept : now + resourceKeptMs,
  )
}

/** Nothing was heard of it for long, and nothing would be lost with it. */
export function isForgettable({ breaker, policy, announced, changedAt }: Resource, now: number): boolean {
  const isPlain = breaker.state.at === 'closed' && breaker.forced === 'auto' && policy === undefined
  return isPlain && announced >= breaker.epoch && now >= changedAt + resourceKeptMs
}

/** Is anything changed that must outlive the object? The breaker's window is only a memory of the last minute. */
export function isResourceChanged(before: Resource, after: Resource): boolean {
  const kept = ({ breaker: { window: _window, ...breaker }, told: _told, ...rest }: Resource) =>
    JSON.stringify({ ...rest, breaker })
  return before !== after && kept(before) !== kept(after)
}

// --- questions --------------------------------------------------------------------------------------------------------

/** What an operator sees of it. Nobody need have noticed yet that its wait is over. */
export function publicResource(resource: Resource, now: number) {
  const { heldUntil, breaker } = elapsed(resource, now)
  const { agent: name, ...shown } = publicBreaker(resource.name, breaker, now)
  return {
    resource: name,
    ...shown,
    ...(heldUntil === undefined ? {} : { heldUntil: new Date(heldUntil).toISOString() }),
    policy: policyOf(resource),
  }
}

/** One resource. Asking is repeated by its tickets, telling by its token; force and announced change nothing twice. */
export interface ResourcePort {
  permit(asks: readonly Ask[]): Promise<readonly Permit[]>
  tell(news: readonly News[], token: string): Promise<void>
  force(asked: Forcing): Promise<Resource>
  /** What it did up to that epoch has been said. */
  announced(upTo: number): Promise<void>
  /** Undefined: nothing ever happened to it. */
  report(): Promise<Resource | undefined>
}

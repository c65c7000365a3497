/**
 * A ledger of one run, kept outside of the broker: what was promised, what receivers saw, how everything ended, and what came of it
 * downstream. `faultsOf` counts what is wrong with it. Never here: causing or reading any of it (test/system/ledger-run.ts).
 */

/** A publish that was answered 202: this delivery, `n`-th of its key. */
export interface Promised {
  readonly delivery: string
  readonly agent: string
  readonly key?: string
  readonly n: number
  /** Work that is done sets off one message. */
  readonly hasEffect: boolean
}

/** A delivery that came to a receiver. Those of one batch come by the same call. */
export interface Seen {
  readonly at: number
  readonly call: number
  readonly delivery: string
  /** It was answered with 429: a hold, which is no attempt. */
  readonly held?: true
}

/** A receipt that will not change any more; or one that should not. */
export interface Ended {
  readonly delivery: string
  readonly status: string
  /** How often it says that it ended; once in each of its lives. */
  readonly endings: number
  readonly lives: number
  readonly attempts: number
  readonly maxAttempts: number
  /** Of the attempt whose work counted. */
  readonly nonce?: string
}

/** What came of work, as whoever it was sent to saw it. */
export interface Effect {
  readonly of: string
  readonly nonce: string
  /** The effect's own delivery. */
  readonly delivery: string
}

export interface Span {
  readonly from: number
  readonly until: number
}

/** A breaker's half-open windows, and the attempts of its agent. */
export interface Probing {
  readonly agent: string
  readonly probes: number
  readonly windows: readonly Span[]
  readonly attempts: readonly Span[]
}

/** Anything else that was promised to happen so often: a request's reply, a workflow's steps, a schedule's firings. */
export interface Kept {
  readonly what: string
  readonly wanted: number
  readonly got: number
}

export interface Ledger {
  readonly promised: readonly Promised[]
  readonly seen: readonly Seen[]
  readonly ended: readonly Ended[]
  readonly effects: readonly Effect[]
  readonly probing: readonly Probing[]
  readonly kept: readonly Kept[]
}

/** Each with its evidence. Empty lists are a pass. */
export interface Faults {
  readonly lost: string[]
  readonly doubled: string[]
  readonly outOfOrder: string[]
  readonly overAttempts: string[]
  readonly overProbes: string[]
}

const ends: ReadonlySet<string> = new Set(['completed', 'failed', 'dead_lettered', 'expired', 'cancelled'])

export function faultsOf(ledger: Ledger): Faults {
  const faults: Faults = { lost: [], doubled: [], outOfOrder: [], overAttempts: [], overProbes: [] }
  const seen = grouped(ledger.seen, (one) => one.delivery)
  const ended = grouped(ledger.ended, (one) => one.delivery)
  const effects = grouped(ledger.effects, (one) => one.of)
  for (const one of ledger.promised) {
    const [receipt, ...others] = ended.get(one.delivery) ?? []
    if (receipt === undefined || !ends.has(receipt.status))
      faults.lost.push(`M1: ${one.delivery} was accepted and is ${receipt?.status ?? 'unknown'}`)
    if (others.length > 0) faults.doubled.push(`M1: ${one.delivery} is there ${others.length + 1} times`)
    if (receipt?.status !== 'completed') continue
    if (!seen.has(one.delivery)) faults.lost.push(`M1: ${one.delivery} is completed, and nobody was ever called`)
    checkEffects(faults, one, receipt, effects.get(one.delivery) ?? [])
  }
  for (const receipt of ledger.ended) checkAttempts(faults, receipt, seen.get(receipt.delivery) ?? [])
  for (const [of, those] of effects)
    if (!ended.has(of)) faults.doubled.push(`M2: ${JSON.stringify(those[0])} came of what nobody knows`)
  for (const { what, wanted, got } of ledger.kept) {
    if (got < wanted) faults.lost.push(`M1: ${what} happened ${got} times, not ${wanted}`)
    if (got > wanted) faults.doubled.push(`M2: ${what} happened ${got} times, not ${wanted}`)
  }
  checkOrder(faults, ledger.promised, seen)
  for (const probing of ledger.probing) checkProbes(faults, probing)
  return faults
}

// M2 and E1: one effect, of the attempt whose work counted; however often it was carried to its receiver, one delivery.
function checkEffects(faults: Faults, one: Promised, receipt: Ended, effects: readonly Effect[]): void {
  if (!one.hasEffect) return
  if (effects.length === 0) faults.lost.push(`E1: ${one.delivery} is completed, and its effect never came`)
  const deliveries = new Set(effects.map((effect) => effect.delivery))
  const nonces = new Set(effects.map((effect) => effect.nonce))
  if (deliveries.size > 1) faults.doubled.push(`M2: the effect of ${one.delivery} is ${[...deliveries].join(' and ')}`)
  if (nonces.size > 1 || (nonces.size === 1 && !nonces.has(receipt.nonce ?? '')))
    faults.doubled.push(
      `M2: ${one.delivery} ended with the work of ${receipt.nonce}, and ${[...nonces].join(', ')} came of it`,
    )
}

// M1: once in each of its lives. M4: attempts within the policy, starts one more.
function checkAttempts(faults: Faults, receipt: Ended, calls: readonly Seen[]): void {
  const { delivery, endings, lives, attempts, maxAttempts } = receipt
  if (endings > lives) faults.doubled.push(`M1: ${delivery} ended ${endings} times in ${lives} lives`)
  if (attempts > maxAttempts) faults.overAttempts.push(`M4: ${delivery} counts ${attempts} attempts of ${maxAttempts}`)
  const starts = calls.filter((call) => call.held !== true).length
  if (starts > (maxAttempts + 1) * lives)
    faults.overAttempts.push(
      `M4: ${delivery} was begun ${starts} times, with ${maxAttempts} attempts and ${lives} lives`,
    )
}

// M3: of one key nothing is begun again once its successor was begun, but for what went with it in one batch (docs/decisions/0024).
function checkOrder(faults: Faults, promised: readonly Promised[], seen: ReadonlyMap<string, readonly Seen[]>): void {
  const keyed = promised.filter((one) => one.key !== undefined)
  for (const [key, line] of grouped(keyed, (one) => `${one.agent} ${one.key}`)) {
    let before: readonly Seen[] = []
    for (const { delivery } of line.toSorted((a, b) => a.n - b.n)) {
      const calls = seen.get(delivery) ?? []
      if (calls.length === 0) continue
      const together = new Set(before.map((one) => one.call))
      const first = calls.find((one) => !together.has(one.call))
      const late = before.find((one) => first !== undefined && one.at > first.at)
      if (late !== undefined) faults.outOfOrder.push(`M3: of ${key}, ${delivery} was begun before ${late.delivery}`)
      before = calls
    }
  }
}

// B2: at once, of those that began in the window. One that was answered with a hold says nothing, and the next may follow it.
function checkProbes(faults: Faults, { agent, probes, windows, attempts }: Probing): void {
  for (const { from, until } of windows) {
    const began = attempts.filter((one) => from <= one.from && one.from < until)
    const atOnce = began.map(({ from: at }) => began.filter((one) => one.from <= at && at < one.until).length)
    const most = Math.max(0, ...atOnce)
    if (most > probes) faults.overProbes.push(`B2: ${most} probes of ${agent} at once between ${from} and ${until}`)
  }
}

function grouped<T>(items: readonly T[], by: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(by(item))
    if (group === undefined) groups.set(by(item), [item])
    else group.push(item)
  }
  return groups
}

/** As one list, for a test that expects none. */
export const allOf = (faults: Faults): string[] => Object.values(faults).flat()

/**
 * A broker on one page: what docs/protocol.md promises of one agent's mailbox, as a list of items and a clock. Written to be read
 * and to be slow; it shares no code with what it is held against. Never here: storage, queues, bytes, or who is asking.
 *
 *  Items are named by the order in which they were accepted: 0 is the first.
 */

/** What the agent's policy says, in milliseconds. */
export interface ModelPolicy {
  readonly kind: 'pull' | 'webhook'
  readonly depth: number
  readonly maxAttempts: number
  readonly concurrency: number
  /** How long a delivery that the consumer took is its own. */
  readonly leaseMs: number
  readonly dedupeMs: number
  /** The pause after the first failure; it doubles. */
  readonly backoffMs: number
  readonly failureThreshold: number
  readonly openMs: number
  readonly maxOpenMs: number
  readonly probes: number
}

export interface Wanted {
  readonly key: string
  readonly content: number
  readonly partition?: string | undefined
  readonly priority: number
  readonly delayMs?: number | undefined
  readonly lifeMs?: number | undefined
  readonly exactlyOnce: boolean
}

export type Status = 'waiting' | 'leased' | 'completed' | 'dead_lettered' | 'expired' | 'cancelled'

export interface Item extends Omit<Wanted, 'delayMs' | 'lifeMs'> {
  readonly acceptedAt: number
  status: Status
  /** Its place in line: when it became due, then who came first. */
  lineAt: number
  place: number
  dueAt: number
  expiresAt: number | undefined
  attempt: number
  /** It fell silent once: from then on it goes alone. */
  suspect: boolean
  /** It asked for quiet, and waits for that. */
  quiet: boolean
  lease?: { readonly n: number; readonly until: number; readonly epoch: number; readonly mayLapse: boolean } | undefined
  /** Leases so far: the number of the next. */
  leases: number
  /** What closed which lease, the last time. */
  closed?: { readonly n: number; readonly by: Report } | undefined
  /** Done, and its effects are still to be carried. */
  effectsOpen: boolean
}

/** What became of an attempt. */
export type Report = 'ok' | 'ok_with_effects' | 'retry' | 'fail' | 'hold' | 'gone' | 'unsent'

export interface Breaker {
  at: 'closed' | 'open' | 'half_open'
  forced: 'auto' | 'open' | 'closed'
  epoch: number
  failures: number
  ramp: number
  until: number
  waitMs: number
}

export class BrokerModel {
  now = 0
  readonly items: Item[] = []
  /** On their way to the consumer, by name. */
  released: number[] = []
  paused = false
  quietUntil = Number.NEGATIVE_INFINITY
  readonly breaker: Breaker = {
    ...{ at: 'closed', forced: 'auto', epoch: 0, failures: 0 },
    ...{ ramp: Number.POSITIVE_INFINITY, until: 0, waitMs: 0 },
  }
  readonly policy: ModelPolicy
  #places = 0

  constructor(policy: ModelPolicy) {
    this.policy = policy
  }

  // --- asking -----------------------------------------------------------------------------------------------------------

  depth(): number {
    return this.items.filter((i) => i.status === 'waiting' || i.status === 'leased').length
  }

  leased(): number[] {
    return [...this.items.keys()].filter((name) => this.#item(name).status === 'leased')
  }

  /** When something has to happen here by itself, at the latest; undefined when only somebody else can make it. */
  nextAt(): number | undefined {
    const times = this.items.flatMap(({ status, lease, dueAt, expiresAt }) => {
      if (status === 'leased') return [lease?.until ?? 0]
      return status === 'waiting' ? [...(dueAt > this.now ? [dueAt] : []), expiresAt ?? Number.POSITIVE_INFINITY] : []
    })
    if (this.depth() > 0 && !this.paused && this.quietUntil > this.now) times.push(this.quietUntil)
    const { at, forced, until } = this.breaker
    if (this.depth() > 0 && at === 'open' && forced !== 'open' && !this.#isParked()) times.push(until)
    const next = Math.min(...times)
    return Number.isFinite(next) ? next : undefined
  }

  #item(name: number): Item {
    const item = this.items[name]
    if (item === undefined) throw new Error(`there is no item ${name}`)
    return item
  }

  // --- publishers -------------------------------------------------------------------------------------------------------

  publish(wanted: readonly Wanted[]): string[] {
    return wanted.map((one) => this.#publishOne(one))
  }

  #publishOne({ delayMs, lifeMs, ...wanted }: Wanted): string {
    const holder = this.items.findIndex((i) => i.key === wanted.key && !this.#isKeyFree(i))
    if (holder !== -1) return `${this.#item(holder).content === wanted.content ? 'duplicate' : 'conflict'} ${holder}`
    // A tenth is kept for what the broker itself has to deliver.
    const max = this.policy.depth - Math.floor(this.policy.depth / 10)
    if (this.depth() >= max) return `full ${this.depth()} of ${max}`
    const dueAt = delayMs === undefined ? this.now : this.now + Math.max(0, delayMs)
    this.items.push({
      ...wanted,
      ...{ acceptedAt: this.now, status: 'waiting', lineAt: dueAt, dueAt, place: this.#places++ },
      expiresAt: lifeMs === undefined ? undefined : dueAt + lifeMs,
      ...{ attempt: 0, leases: 0, suspect: false, quiet: false, effectsOpen: false },
    })
    return `accepted ${this.items.length - 1}`
  }

  // A publisher may send again what died; what completed, after a while; under exactly_once, never.
  #isKeyFree({ status, exactlyOnce, acceptedAt }: Item): boolean {
    if (status === 'waiting' || status === 'leased' || exactlyOnce) return false
    return status !== 'completed' || acceptedAt + this.policy.dedupeMs <= this.now
  }

  // --- who may go -------------------------------------------------------------------------------------------------------

  #isParked(): boolean {
    return this.paused || this.quietUntil > this.now
  }

  #isShut(): boolean {
    const { at, forced } = this.breaker
    return this.#isParked() || (this.policy.kind === 'webhook' && at === 'open' && forced !== 'closed')
  }

  /** Who has this key to itself: whoever is at work, or whose effects are under way; else the first in line. */
  #holderOf(partition: string): number | undefined {
    const ofKey = [...this.items.keys()].filter((name) => this.#item(name).partition === partition)
    const busy = ofKey.find((name) => this.#item(name).status === 'leased' || this.#item(name).effectsOpen)
    if (busy !== undefined) return busy
    return ofKey
      .filter((n) => this.#item(n).status === 'waiting' && this.#item(n).lineAt <= this.now)
      .sort(this.#byLine)[0]
  }

  readonly #byLine = (a: number, b: number) =>
    this.#item(a).lineAt - this.#item(b).lineAt || this.#item(a).place - this.#item(b).place

  #mayGo(name: number): boolean {
    const { status, dueAt, expiresAt, partition } = this.#item(name)
    if (status !== 'waiting' || dueAt > this.now || (expiresAt !== undefined && expiresAt <= this.now)) return false
    return partition === undefined || this.#holderOf(partition) === name
  }

  /** One level of priority for each minute waited, then the line. */
  #line(): number[] {
    const rank = (name: number) => {
      const { priority, lineAt } = this.#item(name)
      return priority + Math.max(0, Math.floor((this.now - lineAt) / 60_000))
    }
    return [...this.items.keys()]
      .filter((name) => this.#mayGo(name) && !this.released.includes(name))
      .sort((a, b) => rank(b) - rank(a) || this.#byLine(a, b))
  }

  #room(promised: number): number {
    const leased = this.leased()
    const free = this.policy.concurrency - leased.length
    if (this.policy.kind === 'pull') return free - promised
    const { at, forced, epoch, ramp } = this.breaker
    const ofEpoch = leased.filter((name) => this.#item(name).lease?.epoch === epoch).length
    const admitted =
      forced === 'closed' ? Number.POSITIVE_INFINITY : { closed: ramp, open: 0, half_open: this.policy.probes }[at]
    return Math.min(free, admitted - ofEpoch) - promised
  }

  /** After everything that happens: whoever may go is sent on its way. */
  settleDown(): void {
    if (this.policy.kind === 'pull') return
    this.#elapse()
    if (this.#isShut()) {
      this.released = []
      return
    }
    const free = this.#room(this.released.length)
    if (free <= 0) return
    const line = this.#line()
    // The probe is the one that has paid least so far.
    if (this.breaker.at === 'half_open')
      line.sort((a, b) => this.#item(a).attempt - this.#item(b).attempt || this.#byLine(a, b))
    this.released.push(...line.slice(0, free))
  }

  // --- workers ----------------------------------------------------------------------------------------------------------

  /** A puller asks for up to `max`. */
  pull(max: number, leaseMs: number): number[] {
    if (this.#isParked()) return []
    const granted = this.#line().slice(0, Math.max(0, Math.min(max, this.#room(0))))
    for (const name of granted) this.#lease(name, leaseMs, true)
    return granted
  }

  /** The consumer was told of these by one message of the queue; `alone`: that message was for a suspect. */
  take(names: readonly number[], alone: boolean): number[] {
    this.#elapse()
    const unique = [...new Set(names)]
    const shut = this.#isShut()
    const ready = new Set(unique.filter((name) => this.#mayGo(name)))
    return unique.filter((name) => {
      const item = this.#item(name)
      if (item.status !== 'waiting' || (item.suspect && (!alone || unique.length > 1))) return false
      const promised = this.released.includes(name)
      this.released = this.released.filter((one) => one !== name)
      if (shut || !ready.has(name)) return false
      if (!promised && this.breaker.at === 'half_open') return false
      if (this.#room(promised ? 0 : this.released.length) <= 0) return false
      this.#lease(name, this.policy.leaseMs, item.suspect)
      return true
    })
  }

  #lease(name: number, leaseMs: number, mayLapse: boolean): void {
    const item = this.#item(name)
    item.status = 'leased'
    item.leases += 1
    item.lease = { n: item.leases, until: this.now + leaseMs, epoch: this.breaker.epoch, mayLapse }
  }

  /** What came of lease `n`. `ours`: the consumer says so, not somebody who holds a token. */
  report(name: number, n: number, report: Report, ours: boolean, pauseMs?: number): string {
    const item = this.#item(name)
    if (item.closed?.n === n && kindOf(item.closed.by) === kindOf(report)) return 'settled'
    if (item.status !== 'waiting' && item.status !== 'leased') return `already_settled ${item.status}`
    if (item.closed?.n === n) return 'stale'
    if (item.status === 'waiting') {
      // Work that is done counts, if nobody began anew; but not out of turn.
      if (!ours || kindOf(report) !== 'ok' || this.#hasPredecessor(name)) return 'stale'
    } else if (item.lease?.n !== n) return 'stale'
    this.#tellBreaker(item.lease?.epoch ?? -1, report)
    if (item.status === 'waiting') item.leases += 1
    item.closed = { n, by: report }
    this.#free(name)
    this.#conclude(item, report, pauseMs)
    return 'settled'
  }

  /** Whoever works on it needs longer, and so is alive. */
  extend(name: number, n: number, leaseMs: number): string {
    const { lease } = this.#item(name)
    if (lease?.n !== n) return 'stale'
    this.#tellBreaker(lease.epoch, 'ok')
    this.#item(name).lease = { ...lease, until: this.now + leaseMs, mayLapse: true }
    return 'extended'
  }

  /** Its object is gone from memory, and comes back with what it stored: what was on its way may not have been heard of. */
  restart(): void {
    this.released = []
  }

  #hasPredecessor(name: number): boolean {
    const { partition } = this.#item(name)
    return [...this.items.keys()].some((other) => {
      const { status, lineAt, partition: theirs } = this.#item(other)
      const isWaiting = (status === 'waiting' || status === 'leased') && lineAt <= this.now
      return partition !== undefined && theirs === partition && isWaiting && this.#byLine(other, name) < 0
    })
  }

  #free(name: number): void {
    this.#item(name).lease = undefined
    this.released = this.released.filter((one) => one !== name)
  }

  #conclude(item: Item, report: Report, pauseMs: number | undefined): void {
    item.status = 'waiting'
    // What was never begun says nothing new of it.
    if (report !== 'unsent') item.quiet = false
    switch (report) {
      case 'ok':
      case 'ok_with_effects':
        item.attempt += 1
        item.status = 'completed'
        item.effectsOpen = report === 'ok_with_effects'
        return
      case 'fail':
        item.attempt += 1
        item.status = 'dead_lettered'
        return
      case 'retry':
        this.#again(item, pauseMs)
        return
      case 'hold':
        item.dueAt = this.now + (pauseMs ?? 0)
        item.quiet = true
        this.quietUntil = Math.max(this.quietUntil, item.dueAt)
        return
      case 'gone':
        item.dueAt = this.now
        this.paused = true
        return
      case 'unsent':
        item.dueAt = this.now + 500
    }
  }

  #again(item: Item, pauseMs: number | undefined): void {
    item.attempt += 1
    item.status = 'waiting'
    const { backoffMs, maxAttempts } = this.policy
    if (item.attempt >= maxAttempts) item.status = 'dead_lettered'
    else if (item.expiresAt !== undefined && item.expiresAt <= this.now) item.status = 'expired'
    else item.dueAt = this.now + (pauseMs ?? backoffMs * 2 ** (item.attempt - 1))
  }

  /** Those that were waited for are carried: its successors may go. */
  carry(name: number): void {
    this.#item(name).effectsOpen = false
  }

  // --- people -----------------------------------------------------------------------------------------------------------

  cancel(name: number): string {
    const item = this.#item(name)
    if (item.status === 'cancelled') return 'cancelled'
    if (item.status !== 'waiting' && item.status !== 'leased') return `already_settled ${item.status}`
    this.#free(name)
    item.status = 'cancelled'
    return 'cancelled'
  }

  redrive(name: number): string {
    const item = this.#item(name)
    if (item.status !== 'dead_lettered' && item.status !== 'expired') return 'not_redrivable'
    if (this.depth() >= this.policy.depth) return 'full'
    Object.assign(item, {
      ...{ status: 'waiting', attempt: 0, suspect: false, expiresAt: undefined },
      ...{ lineAt: this.now, dueAt: this.now, place: this.#places++ },
    })
    return 'redriven'
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.quietUntil = Number.NEGATIVE_INFINITY
    for (const item of this.items)
      if (item.status === 'waiting' && item.quiet) item.dueAt = Math.min(item.dueAt, this.now)
  }

  // --- time -------------------------------------------------------------------------------------------------------------

  /** The clock says this now, forward or back, and whoever has to notice has noticed. */
  clock(now: number): void {
    this.now = now
    for (const name of this.leased()) {
      const item = this.#item(name)
      if (item.lease === undefined || item.lease.until > now) continue
      const { mayLapse, epoch } = item.lease
      this.#tellBreaker(epoch, 'silence')
      this.#free(name)
      item.suspect = true
      item.quiet = false
      // Silence is the broker's own failure, until it is heard where nothing else ran.
      if (mayLapse) this.#again(item, undefined)
      else Object.assign(item, { status: 'waiting', dueAt: now })
    }
    for (const [name, item] of this.items.entries())
      if (item.status === 'waiting' && item.expiresAt !== undefined && item.expiresAt <= now) {
        this.#free(name)
        item.status = 'expired'
      }
  }

  // --- the breaker ------------------------------------------------------------------------------------------------------

  force(to: Breaker['forced']): void {
    const { breaker } = this
    if (this.policy.kind === 'pull') return
    breaker.forced = to
    if (to === 'open' && breaker.at !== 'open') this.#open(this.#firstWait())
    if (to === 'closed' && breaker.at !== 'closed') this.#close(Number.POSITIVE_INFINITY)
  }

  readonly #firstWait = () => Math.min(this.policy.openMs, this.policy.maxOpenMs)

  #open(waitMs: number): void {
    const { breaker } = this
    Object.assign(breaker, { at: 'open', epoch: breaker.epoch + 1, until: this.now + waitMs, waitMs })
  }

  #close(ramp: number): void {
    const { breaker } = this
    Object.assign(breaker, { at: 'closed', epoch: breaker.epoch + 1, failures: 0, ramp })
  }

  #elapse(): void {
    const { breaker } = this
    if (this.policy.kind === 'pull' || breaker.at !== 'open' || breaker.forced === 'open' || this.now < breaker.until)
      return
    Object.assign(breaker, { at: 'half_open', epoch: breaker.epoch + 1 })
  }

  #tellBreaker(epoch: number, report: Report | 'silence'): void {
    const { breaker } = this
    const heard = { ok: 1, ok_with_effects: 1, fail: 1, retry: -1, silence: -2, hold: 0, gone: 0, unsent: 0 }[report]
    if (this.policy.kind === 'pull' || heard === 0 || epoch !== breaker.epoch || breaker.forced === 'closed') return
    if (breaker.at === 'half_open') {
      if (heard === 1) this.#close(1)
      else this.#open(heard === -1 ? Math.min(breaker.waitMs * 2, this.policy.maxOpenMs) : breaker.waitMs)
    } else if (breaker.at === 'closed' && heard === 1) {
      breaker.failures = 0
      breaker.ramp *= 2
      if (breaker.ramp > 1_024) breaker.ramp = Number.POSITIVE_INFINITY
    } else if (breaker.at === 'closed' && heard === -1) {
      breaker.failures += 1
      if (breaker.failures >= this.policy.failureThreshold) this.#open(this.#firstWait())
    }
  }
}

const kindOf = (report: Report) => (report === 'ok_with_effects' ? 'ok' : report)

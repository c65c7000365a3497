/**
 * What is live, in the order in which it goes: memory's index, so that a step costs what it changes and not what waits. The truth is the
 * mailbox's map of live deliveries, of which this can be made anew at any time. Never here: what may go (shared/line.ts).
 */
import { type Delivery, hasEnded } from './delivery.ts'

/** What waits with one priority, the first in line first. What has changed since is among them still, as it was. */
interface Lane {
  items: Delivery[]
  /** Those before it have gone. */
  head: number
}

// A lane is swept when a walk has met so many that are gone, and they were most of what it met.
const goneWorthASweep = 64

export class WaitingLine {
  readonly #live: ReadonlyMap<string, Delivery>
  readonly #lanes = new Map<number, Lane>()
  readonly #unfinished = new Set<string>()
  #known = 0
  #batched = 0
  /** How many are due before they are in line: the clock stepped back, and somebody had them go at once. Nearly always none. */
  #early = 0

  private constructor(live: ReadonlyMap<string, Delivery>) {
    this.#live = live
  }

  /** The line of a mailbox: the one it has, if that is of this map as it is now, or one that is made anew. */
  static of({
    live,
    line,
  }: {
    readonly live: ReadonlyMap<string, Delivery>
    readonly line?: WaitingLine
  }): WaitingLine {
    if (line !== undefined && line.#live === live && line.#known === live.size) return line
    const fresh = new WaitingLine(live)
    for (const delivery of live.values()) fresh.note(undefined, delivery)
    return fresh
  }

  /** How many bring a batch of their own. */
  get batched(): number {
    return this.#batched
  }

  /** Whether some are due before they are in line. Then a walk stops at nothing. */
  get isOutOfTime(): boolean {
    return this.#early > 0
  }

  /** The ids of what has ended and is live still: its effects are to be carried, or it is to be buried. */
  get unfinished(): Iterable<string> {
    return this.#unfinished
  }

  /** One is live that was not, is so no more, or has changed. Together with the same change of the map. */
  note(before: Delivery | undefined, after: Delivery | undefined): void {
    this.#count(before, -1)
    this.#count(after, 1)
    if (before !== undefined) this.#unfinished.delete(before.id)
    if (after === undefined) return
    if (hasEnded(after)) this.#unfinished.add(after.id)
    else this.#place(after)
  }

  /**
   * Of each priority what has not ended and is in line by now, in order; ends early where nobody asks for more. What becomes due later is
   * not looked at, however much of it there is.
   */
  *lanes(now: number): Generator<Iterable<Delivery>> {
    for (const lane of this.#lanes.values()) yield this.#walk(lane, now)
  }

  *#walk(lane: Lane, now: number): Generator<Delivery> {
    let gone = 0
    let met = 0
    // Another walk may sweep the lane while this one is under way.
    const { items } = lane
    for (let i = lane.head; i < items.length; i++) {
      const item = items[i]
      if (item !== undefined && this.#live.get(item.id) === item) {
        if (item.lineAt > now && !this.isOutOfTime) break
        met += 1
        yield item
      } else if (i === lane.head && lane.items === items) lane.head += 1
      else gone += 1
      if (gone >= goneWorthASweep && gone > met) break
    }
    if (gone >= goneWorthASweep) yield* this.#swept(lane, met, now)
  }

  // Without those that are gone; goes on after as many as were walked already.
  *#swept(lane: Lane, met: number, now: number): Generator<Delivery> {
    lane.items = lane.items.filter((item) => this.#live.get(item.id) === item)
    lane.head = 0
    for (const item of lane.items.slice(met)) {
      if (item.lineAt > now && !this.isOutOfTime) break
      yield item
    }
  }

  #count(delivery: Delivery | undefined, by: 1 | -1): void {
    if (delivery === undefined) return
    this.#known += by
    if (delivery.batch !== undefined) this.#batched += by
    if (delivery.dueAt < delivery.lineAt) this.#early += by
  }

  #place(delivery: Delivery): void {
    const lane = this.#lanes.get(delivery.priority) ?? { items: [], head: 0 }
    this.#lanes.set(delivery.priority, lane)
    const { items } = lane
    if (lane.head >= goneWorthASweep && lane.head > items.length / 2) {
      items.splice(0, lane.head)
      lane.head = 0
    }
    // Most come last.
    let at = items.length
    for (let low = lane.head; low < at; ) {
      const last = items[at - 1]
      if (last !== undefined && comesBefore(last, delivery)) break
      const middle = (low + at) >> 1
      const item = items[middle]
      if (item !== undefined && comesBefore(item, delivery)) low = middle + 1
      else at = middle
    }
    if (items[at]?.id === delivery.id) items[at] = delivery
    else items.splice(at, 0, delivery)
  }
}

/** In line: by the time each became due, then by its number. */
export const byLine = (a: Delivery, b: Delivery): number => a.lineAt - b.lineAt || a.sequence - b.sequence

const comesBefore = (a: Delivery, b: Delivery): boolean => byLine(a, b) < 0

/**
 * Virtual time and seeded chance. Events run one by one in time order; between two of them every promise that can move has
 * moved. The same seed gives the same story.
 */

/** mulberry32: small, fast, good enough to choose faults with. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

interface Event {
  readonly at: number
  readonly order: number
  readonly run: () => void
  cancelled: boolean
}

export class World {
  now = Date.UTC(2026, 0, 1)
  readonly random: () => number
  #events: Event[] = []
  #order = 0
  #counter = 0

  constructor(seed: number) {
    this.random = seeded(seed)
  }

  chance(probability: number): boolean {
    return this.random() < probability
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.random() * items.length)] as T
  }

  unique(prefix: string): string {
    this.#counter += 1
    return `${prefix}${this.#counter}`
  }

  at(time: number, run: () => void): () => void {
    const event: Event = { at: Math.max(time, this.now), order: this.#order++, run, cancelled: false }
    this.#push(event)
    return () => {
      event.cancelled = true
    }
  }

  in(ms: number, run: () => void): () => void {
    return this.at(this.now + ms, run)
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.in(ms, resolve))
  }

  /** Runs events until none is left, or until `until`. Returns how many ran. */
  async run(until: number): Promise<number> {
    let ran = 0
    await settled()
    for (;;) {
      const event = this.#events[0]
      if (event === undefined || event.at > until) return ran
      this.#pop()
      if (event.cancelled) continue
      this.now = Math.max(this.now, event.at)
      event.run()
      ran += 1
      await settled()
    }
  }

  // A binary heap: a story has tens of thousands of events.
  #push(event: Event): void {
    const heap = this.#events
    heap.push(event)
    let i = heap.length - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!before(event, heap[parent] as Event)) break
      heap[i] = heap[parent] as Event
      i = parent
    }
    heap[i] = event
  }

  #pop(): void {
    const heap = this.#events
    const last = heap.pop() as Event
    if (heap.length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child += 1
      if (!before(heap[child] as Event, last)) break
      heap[i] = heap[child] as Event
      i = child
    }
    heap[i] = last
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

// All microtasks run before the next macrotask does.
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

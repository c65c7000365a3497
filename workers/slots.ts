/**
 * Connection slots. The platform lets six connections of one invocation wait for response headers; a seventh waits unseen,
 * with its deadline running. So at most four webhooks wait here at once, two per agent, and the last free slot is for an agent that
 * has none: one dead agent leaves room for the living, and so do two. Who is alone in its invocation is in nobody's way, and has
 * all four. Never here: the request (workers/webhook.ts).
 */

export const slotsInAll = 4
export const slotsPerAgent = 2

interface Waiter {
  readonly agent: string
  readonly grant: () => void
}

/** The slots of one invocation. First come, first served, but who has none goes before who asks for a second. */
export class Slots {
  readonly #after: (ms: number, then: () => void) => () => void
  readonly #used = new Map<string, number>()
  #total = 0
  readonly #forOne: boolean
  /** As they came. */
  readonly #waiters = new Set<Waiter>()

  /** `forOne`: all that this invocation delivers is for one agent, and it has all slots. */
  constructor(after: (ms: number, then: () => void) => () => void, forOne = false) {
    this.#after = after
    this.#forOne = forOne
  }

  /** A slot, as the function that gives it back; undefined when none was free within `waitMs`. */
  acquire(agent: string, waitMs: number): Promise<(() => void) | undefined> {
    return new Promise((resolve) => {
      let granted = false
      let stop: () => void = () => undefined
      const waiter: Waiter = {
        agent,
        grant: () => {
          granted = true
          stop()
          resolve(this.#held(agent))
        },
      }
      this.#waiters.add(waiter)
      this.#serve()
      // Most need not wait, and a timer is not free.
      if (granted) return
      stop = this.#after(waitMs, () => {
        this.#waiters.delete(waiter)
        resolve(undefined)
      })
    })
  }

  #held(agent: string): () => void {
    let given = false
    return () => {
      if (given) return
      given = true
      this.#total -= 1
      this.#used.set(agent, (this.#used.get(agent) ?? 1) - 1)
      this.#serve()
    }
  }

  #serve(): void {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const waiter = next
      this.#total += 1
      this.#used.set(waiter.agent, this.#usedBy(waiter) + 1)
      this.#waiters.delete(waiter)
      waiter.grant()
    }
  }

  #next(): Waiter | undefined {
    const free = slotsInAll - this.#total
    if (free <= 0) return undefined
    let second: Waiter | undefined
    for (const waiter of this.#waiters) {
      const used = this.#usedBy(waiter)
      if (this.#forOne || used === 0) return waiter
      if (free > 1 && used < slotsPerAgent) second ??= waiter
    }
    return second
  }

  #usedBy({ agent }: Waiter): number {
    return this.#used.get(agent) ?? 0
  }
}

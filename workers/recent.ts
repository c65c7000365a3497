/**
 * What was read lately, kept for a short time and in a bounded number: the per-isolate memory in front of the directory.
 * Never here: the clock (it is an argument), or anything whose staleness is not stated where it is used.
 */

export class Recent<T> {
  readonly #entries = new Map<string, { readonly value: T; readonly until: number }>()
  readonly #capacity: number

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get(name: string, now: number): T | undefined {
    const entry = this.#entries.get(name)
    return entry !== undefined && entry.until > now ? entry.value : undefined
  }

  /** The oldest gives way when it is full. */
  set(name: string, value: T, until: number): void {
    this.#entries.delete(name)
    this.#entries.set(name, { value, until })
    if (this.#entries.size <= this.#capacity) return
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }
}

/**
 * The bodies of what was stored last, by delivery: nearly every message is taken a moment after it came, and is then not read from
 * storage. A bounded cache of what storage has. Never here: a body that storage has not.
 */

const bytesMax = 262_144

export class RecentBodies {
  readonly #bodies = new Map<string, string>()
  #size = 0

  get(id: string): string | undefined {
    return this.#bodies.get(id)
  }

  /** Those that came first give way; one that is larger than all may be is not kept. */
  keep(id: string, body: string): void {
    this.drop(id)
    if (body.length > bytesMax) return
    this.#bodies.set(id, body)
    this.#size += body.length
    for (const oldest of this.#bodies.keys()) {
      if (this.#size <= bytesMax) return
      this.drop(oldest)
    }
  }

  drop(id: string): void {
    this.#size -= this.#bodies.get(id)?.length ?? 0
    this.#bodies.delete(id)
  }
}

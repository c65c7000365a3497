/**
 * The bell of one invocation: who waits by asking again and again is told that it is worth asking now, when the very same invocation
 * brought what is waited for. It only shortens a pause: whoever hears nothing asks again anyway. Never here: what is asked
 * (workers/poll.ts), or anything about another invocation.
 */

export class Bell {
  /** Rung since somebody last listened. */
  readonly #rung = new Set<string>()
  readonly #listening = new Map<string, () => void>()

  ring(about: string): void {
    const wake = this.#listening.get(about)
    this.#listening.delete(about)
    if (wake === undefined) this.#rung.add(about)
    else wake()
  }

  /** Calls `then` at the next ring, or at once if it rang since the last time. The returned function stops listening. */
  listen(about: string, then: () => void): () => void {
    if (this.#rung.delete(about)) {
      then()
      return () => undefined
    }
    this.#listening.set(about, then)
    return () => void this.#listening.delete(about)
  }
}

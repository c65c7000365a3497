/**
 * The bell of one invocation: who waits by asking again and again is told that it is worth asking now, when the very same invocation
 * brought what is waited for, or is told what the gather itself said then. It only shortens a pause: whoever hears nothing asks again
 * anyway. Never here: what is asked (workers/poll.ts), an outcome that no gather has stored, or anything about another invocation.
 */
import type { GatherReport } from './gather-port.ts'

export class Bell {
  /** Rung since somebody last listened, with what was said. */
  readonly #rung = new Map<string, GatherReport | undefined>()
  readonly #listening = new Map<string, (said: GatherReport | undefined) => void>()

  /** `said`: the gather's own word of how it stands, where whoever rings was told it. */
  ring(about: string, said?: GatherReport): void {
    const wake = this.#listening.get(about)
    this.#listening.delete(about)
    if (wake === undefined) this.#rung.set(about, said)
    else wake(said)
  }

  /** Does somebody wait for it? */
  isAwaited(about: string): boolean {
    return this.#listening.has(about)
  }

  /** Calls `then` at the next ring, or at once if it rang since the last time. The returned function stops listening. */
  listen(about: string, then: (said: GatherReport | undefined) => void): () => void {
    if (this.#rung.has(about)) {
      const said = this.#rung.get(about)
      this.#rung.delete(about)
      then(said)
      return () => undefined
    }
    this.#listening.set(about, then)
    return () => void this.#listening.delete(about)
  }
}

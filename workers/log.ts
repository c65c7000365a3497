/**
 * The log of one invocation: what its steps say, in one line when it is over. A line is billed by itself and is not cheap to write
 * (docs/decisions/0045), so the steps of one invocation share it. Never here: a step.
 */

type Ids = Readonly<Record<string, unknown>>
type Write = (line: string, level: 'log' | 'error') => void
type After = (ms: number, then: () => void) => () => void

// Whoever watches an invocation that goes on sees what it has done so far.
const heldMs = 1_000
// The platform cuts a line at 256 KB.
const stepsPerLine = 100

export class InvocationLog {
  readonly #write: Write
  readonly #after: After
  #steps: Ids[] = []
  #stop: (() => void) | undefined
  /** What the invocation still does; its handler is the first. */
  #open = 1

  constructor(write: Write, after: After) {
    this.#write = write
    this.#after = after
  }

  /** Notes a step. An error is written at once. */
  note(step: Ids): void {
    this.#steps.push(step)
    const isError = step['level'] === 'error'
    if (isError || this.#open === 0 || this.#steps.length >= stepsPerLine) this.#flush(isError ? 'error' : 'log')
    else this.#stop ??= this.#after(heldMs, () => this.#flush('log'))
  }

  /** Something goes on after the handler has returned. The same promise. */
  during<T>(work: Promise<T>): Promise<T> {
    this.#open += 1
    return work.finally(() => this.end())
  }

  /** The handler has returned, or one of those that went on is over. Writes when that was the last. */
  end(): void {
    this.#open -= 1
    if (this.#open === 0) this.#flush('log')
  }

  #flush(level: 'log' | 'error'): void {
    this.#stop?.()
    this.#stop = undefined
    const [first, ...others] = this.#steps
    if (first === undefined) return
    const told = others.length === 0 ? first : { ...(level === 'error' && { level }), steps: this.#steps }
    this.#write(JSON.stringify(told), level)
    this.#steps = []
  }
}

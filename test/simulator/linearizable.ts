/**
 * Is a history of concurrent calls linearizable: can each call be thought to have happened at one moment between when it was
 * made and when it was answered, so that all answers are as one caller after another would have got them (Wing and Gong; the
 * search remembers where it has been, as Lowe's does)? Never here: what is called, and time: only what came before what.
 */

export interface Called<Call, Answer> {
  readonly call: Call
  /** Absent: it was never answered. It may have happened at any moment since, or not at all. */
  readonly answer?: Answer
  readonly startedAt: number
  /** Infinity when it was never answered. */
  readonly endedAt: number
}

/** What one caller after another would see. States are plain JSON. */
export interface Model<State, Call, Answer> {
  readonly initial: State
  /** The state after it, or undefined when this call cannot be answered so in this state. Without an answer, whatever it does. */
  after(state: State, call: Call, answer: Answer | undefined): State | undefined
}

export type Verdict<Call, Answer> =
  | { readonly linearizable: true; readonly order: readonly Called<Call, Answer>[] }
  /** `longest`: as far as any order goes; `stuck`: what was left then. */
  | {
      readonly linearizable: false
      readonly longest: readonly Called<Call, Answer>[]
      readonly stuck: readonly Called<Call, Answer>[]
    }

/** Decides by trying; what was tried once is not tried again. For histories of up to a few hundred calls. */
export function linearize<State, Call, Answer>(
  history: readonly Called<Call, Answer>[],
  model: Model<State, Call, Answer>,
): Verdict<Call, Answer> {
  const byStart = [...history].sort((a, b) => a.startedAt - b.startedAt)
  const seen = new Set<string>()
  const order: number[] = []
  const done = new Set<number>()
  let longest: readonly number[] = []
  const shown = (indices: readonly number[]) => indices.flatMap((i) => byStart[i] ?? [])

  const search = (state: State): boolean => {
    if (byStart.every(({ answer }, i) => answer === undefined || done.has(i))) return true
    const key = `${byStart.map((_, i) => (done.has(i) ? '1' : '0')).join('')} ${JSON.stringify(state)}`
    if (seen.has(key)) return false
    seen.add(key)
    for (const index of candidates(byStart, done)) {
      const one = byStart[index]
      const next = one && model.after(state, one.call, one.answer)
      if (next === undefined) continue
      done.add(index)
      order.push(index)
      if (order.length > longest.length) longest = [...order]
      if (search(next)) return true
      done.delete(index)
      order.pop()
    }
    return false
  }

  if (search(model.initial)) return { linearizable: true, order: shown(order) }
  const left = byStart.map((_, i) => i).filter((i) => !longest.includes(i))
  return { linearizable: false, longest: shown(longest), stuck: shown(left) }
}

/** Those that may be next: nothing that is left was over before they began. */
function candidates(byStart: readonly Called<unknown, unknown>[], done: ReadonlySet<number>): readonly number[] {
  const left = byStart.flatMap((one, index) => (done.has(index) ? [] : [{ one, index }]))
  const firstEnd = Math.min(...left.map(({ one }) => one.endedAt))
  return left.filter(({ one }) => one.startedAt <= firstEnd).map(({ index }) => index)
}

/** Notes calls as they are made and answered: before and after are counted, not timed. */
export class History<Call, Answer> {
  readonly calls: Called<Call, Answer>[] = []
  #now = 0

  /** `ask` fails: it was never answered, as far as anybody knows. */
  async note(call: Call, ask: () => Promise<Answer>): Promise<Answer | undefined> {
    const startedAt = this.#now++
    try {
      const answer = await ask()
      this.calls.push({ call, answer, startedAt, endedAt: this.#now++ })
      return answer
    } catch {
      this.calls.push({ call, startedAt, endedAt: Number.POSITIVE_INFINITY })
      return undefined
    }
  }
}

// --- what the project's own calls are held to -------------------------------------------------------------------------

export type StateCall =
  | { readonly kind: 'read' }
  | { readonly kind: 'write'; readonly ifVersion: number; readonly value: string }
/** What was there when the call was answered: after it, if it wrote. */
export interface StateAnswer {
  readonly status: 'ok' | 'late'
  readonly version: number
  readonly value: string
}

/** Shared state under `If-Match`: one version, one value; who is late changes nothing and is told what is there (W2). */
export const stateModel = (
  version: number,
  value: string,
): Model<readonly [number, string], StateCall, StateAnswer> => ({
  initial: [version, value],
  after: ([was, held], call, answer) => {
    const isLate = call.kind === 'write' && call.ifVersion !== was
    const next = call.kind === 'write' && !isLate ? ([was + 1, call.value] as const) : ([was, held] as const)
    if (answer === undefined) return next
    const fits = answer.status === (isLate ? 'late' : 'ok') && answer.version === next[0] && answer.value === next[1]
    return fits ? next : undefined
  },
})

export type BreakerCall =
  | { readonly kind: 'read' }
  | { readonly kind: 'admit' }
  | { readonly kind: 'force'; readonly to: string }
/** `admit` is answered with whether it was let through, the others with how the breaker stands. */
export type BreakerAnswer = boolean | { readonly state: string; readonly forced: string }

/** A breaker under people's word: what it lets through and what it says of itself are of one moment. */
export const breakerModel: Model<{ readonly state: string; readonly forced: string }, BreakerCall, BreakerAnswer> = {
  initial: { state: 'closed', forced: 'auto' },
  after: (was, call, answer) => {
    const next = call.kind !== 'force' ? was : { state: call.to === 'auto' ? was.state : call.to, forced: call.to }
    if (answer === undefined) return next
    if (typeof answer === 'boolean')
      return call.kind === 'admit' && answer === (was.state !== 'open') ? next : undefined
    return call.kind !== 'admit' && answer.state === next.state && answer.forced === next.forced ? next : undefined
  },
}

/**
 * Poll: ask again at growing pauses until the answer is the one that was waited for. The gateway does the waiting; no object
 * holds a call open, because a waiting object is billed for every second. Never here: what is asked.
 */
import type { Platform } from '../shared/ports.ts'

const firstPauseMs = 50
const longestPauseMs = 1_000

export interface Waiting {
  readonly seconds: number
  /** The client's: there is nothing to wait for once it hung up. */
  readonly signal: AbortSignal
}

/** Who brings the answer, or word that it is worth asking for, in the middle of a pause. The returned function stops listening. */
export interface Listening<T> {
  readonly listen: (then: (answer: T | undefined) => void) => () => void
  /** There is nothing to be had before somebody brings it: a pause comes first. */
  readonly first: boolean
}

/** The first answer that is done, or the last one that was had in time; undefined when the client was gone before the first. */
export async function poll<T>(
  platform: Platform,
  { seconds, signal }: Waiting,
  ask: () => Promise<T>,
  isDone: (answer: T) => boolean,
  listening?: Listening<T>,
): Promise<T | undefined> {
  const until = platform.now() + seconds * 1_000
  const listen = listening?.listen
  let pauseMs = firstPauseMs
  let answer: T | undefined
  let heard = listening?.first === true ? await pause(platform, Math.min(pauseMs, seconds * 1_000), listen) : undefined
  while (!signal.aborted) {
    answer = heard ?? (await ask())
    const leftMs = until - platform.now()
    if (signal.aborted || isDone(answer) || leftMs <= 0) break
    heard = await pause(platform, Math.min(pauseMs, leftMs), listen)
    pauseMs = Math.min(longestPauseMs, pauseMs * 2)
  }
  return answer
}

function pause<T>(
  platform: Platform,
  ms: number,
  listen: Listening<T>['listen'] = () => () => undefined,
): Promise<T | undefined> {
  return new Promise((resolve) => {
    let deaf: () => void = () => undefined
    const stop = platform.after(ms, () => {
      deaf()
      resolve(undefined)
    })
    deaf = listen((answer) => {
      stop()
      resolve(answer)
    })
  })
}

/**
 * Poll: ask again at growing pauses until the answer is the one that was waited for. The gateway does the waiting; no object
 * holds a call open, because a waiting object is billed for every second. Never here: what is asked.
 */
import type { Platform } from '../shared/ports.ts'

const firstPauseMs = 50
const longestPauseMs = 1_000

export interface Waiting {
  readonly seconds: number
  /** What the invocation's bell rings with when it is worth asking again at once. */
  readonly about?: string
  /** The client's: there is nothing to wait for once it hung up. */
  readonly signal: AbortSignal
}

/** The first answer that is done, or the last one that was had in time; undefined when the client was gone before the first. */
export async function poll<T>(
  platform: Platform,
  { seconds, about, signal }: Waiting,
  ask: () => Promise<T>,
  isDone: (answer: T) => boolean,
): Promise<T | undefined> {
  const until = platform.now() + seconds * 1_000
  let answer: T | undefined
  for (let pauseMs = firstPauseMs; !signal.aborted; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
    answer = await ask()
    const leftMs = until - platform.now()
    if (signal.aborted || isDone(answer) || leftMs <= 0) break
    await pause(platform, Math.min(pauseMs, leftMs), about)
  }
  return answer
}

function pause(platform: Platform, ms: number, about: string | undefined): Promise<void> {
  return new Promise((resolve) => {
    const stop = platform.after(ms, () => {
      deaf()
      resolve()
    })
    let deaf: () => void = () => undefined
    if (about !== undefined)
      deaf = platform.bell.listen(about, () => {
        stop()
        resolve()
      })
  })
}

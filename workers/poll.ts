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

/** The first answer that is done, or the last one that was had in time; undefined when the client was gone before the first. */
export async function poll<T>(
  platform: Platform,
  { seconds, signal }: Waiting,
  ask: () => Promise<T>,
  isDone: (answer: T) => boolean,
): Promise<T | undefined> {
  const until = platform.now() + seconds * 1_000
  let answer: T | undefined
  for (let pauseMs = firstPauseMs; !signal.aborted; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
    answer = await ask()
    const leftMs = until - platform.now()
    if (signal.aborted || isDone(answer) || leftMs <= 0) break
    await pause(platform, Math.min(pauseMs, leftMs))
  }
  return answer
}

const pause = (platform: Platform, ms: number) => new Promise<void>((resolve) => platform.after(ms, resolve))

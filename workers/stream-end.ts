/**
 * Stream an end: how something stands now, how it moves where that is asked for, and how it ended, as server-sent events. The gateway asks again at growing pauses; no
 * object holds a call open. Never here: what is waited for.
 */
import { limits } from '../shared/limits.ts'
import type { Platform } from '../shared/ports.ts'
import { poll, type Waiting } from './poll.ts'

/** Does the caller want a stream in place of an answer? */
export const wantsStream = (accept: string | undefined): boolean =>
  accept?.split(',').some((part) => part.split(';')[0]?.trim().toLowerCase() === 'text/event-stream') === true

/** What is asked for, and how it is told: an event named after its status. */
export interface Awaited<T> {
  readonly first: T
  readonly ask: () => Promise<T | undefined>
  readonly isOver: (found: T) => boolean
  /** Is this worth telling after that? Without it only the end is. */
  readonly hasMoved?: (found: T, told: T) => boolean
  readonly view: (found: T) => { readonly status: string }
}

// Proxies cut what is silent for a minute; a comment says that somebody is still there.
const quietSeconds = 15

/** The stream. It ends with what is awaited, with its time (`limits.watchSeconds` for 0), or with its reader; who was cut asks again. */
export function streamEnd<T>(
  platform: Platform,
  { seconds, signal }: Waiting,
  { first, ask, isOver, hasMoved = () => false, view }: Awaited<T>,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  const closed = new AbortController()
  signal.addEventListener('abort', () => closed.abort())
  const until = platform.now() + (seconds > 0 ? seconds : limits.watchSeconds) * 1_000
  return new ReadableStream({
    start: async (controller) => {
      const say = (text: string) => closed.signal.aborted || controller.enqueue(encoder.encode(text))
      const tell = (found: T) => {
        const seen = view(found)
        say(`event: ${seen.status}\ndata: ${JSON.stringify(seen)}\n\n`)
      }
      try {
        tell(first)
        let told = first
        const isNews = (one: T) => isOver(one) || hasMoved(one, told)
        for (let found: T | undefined = first; found !== undefined && !isOver(found) && !closed.signal.aborted; ) {
          const leftSeconds = (until - platform.now()) / 1_000
          if (leftSeconds <= 0) break
          const waiting = { seconds: Math.min(quietSeconds, leftSeconds), signal: closed.signal }
          found = await poll(platform, waiting, ask, (one) => one === undefined || isNews(one))
          if (found === undefined || !isNews(found)) say(': still here\n\n')
          else {
            tell(found)
            told = found
          }
        }
      } catch (error) {
        platform.log('stream.failed', { error: String(error) })
      }
      if (!closed.signal.aborted) controller.close()
    },
    cancel: () => closed.abort(),
  })
}

export const streamHeaders = { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' } as const

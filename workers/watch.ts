/**
 * Watch: a workflow's history as server-sent events. The gateway asks again at growing pauses; no object holds a call open.
 * Never here: what an entry says (shared/workflow-history.ts).
 */
import { limits } from '../shared/limits.ts'
import type { Platform } from '../shared/ports.ts'
import { type HistoryEntry, publicEntry } from '../shared/workflow-history.ts'
import type { HistoryFound } from '../shared/workflow-port.ts'
import { poll } from './poll.ts'

/** Proxies cut what is silent for a minute; a comment says that somebody is still there. */
const quietSeconds = 15

export interface Watching {
  /** The number of the last entry that the client has. */
  readonly after: number
  readonly seconds: number
  readonly signal: AbortSignal
}

/** The stream, from the first page on. It ends with the workflow, with its time, or with its reader. */
export function watch(
  platform: Platform,
  first: HistoryFound,
  { after, seconds, signal }: Watching,
  ask: (after: number) => Promise<HistoryFound | undefined>,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  const closed = new AbortController()
  signal.addEventListener('abort', () => closed.abort())
  const until = platform.now() + seconds * 1_000
  return new ReadableStream({
    start: async (controller) => {
      const say = (text: string) => closed.signal.aborted || controller.enqueue(encoder.encode(text))
      try {
        let last = after
        let page: HistoryFound | undefined = first
        while (page !== undefined && !closed.signal.aborted) {
          for (const entry of page.entries) say(eventOf(entry))
          last = page.entries.at(-1)?.n ?? last
          const leftSeconds = (until - platform.now()) / 1_000
          if (page.ended || (leftSeconds <= 0 && page.entries.length === 0)) break
          if (page.entries.length === 0) say(': still here\n\n')
          const waiting = { seconds: Math.max(0, Math.min(quietSeconds, leftSeconds)), signal: closed.signal }
          page = await poll(platform, waiting, () => ask(last), hasNews)
        }
      } catch (error) {
        // The client asks again with its Last-Event-ID.
        platform.log('watch.failed', { error: String(error) })
      }
      if (!closed.signal.aborted) controller.close()
    },
    cancel: () => closed.abort(),
  })
}

const hasNews = (page: HistoryFound | undefined) => page === undefined || page.ended || page.entries.length > 0

function eventOf(entry: HistoryEntry): string {
  return `id: ${entry.n}\nevent: ${entry.kind}\ndata: ${JSON.stringify(publicEntry(entry))}\n\n`
}

/** The number that a client's `Last-Event-ID` names; 0 when it names none. */
export function lastEventNumber(header: string | undefined): number {
  return header !== undefined && /^[0-9]{1,15}$/.test(header) ? Number(header) : 0
}

/** Entries read at once. */
export const watchedAtOnce = limits.pageSize

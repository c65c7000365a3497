/**
 * Export: dead letters as lines of JSON, page by page as the reader takes them. Never here: who may see which
 * (workers/routes/dead-letters.ts).
 */
import type { DeadLetter, DeadLetterFilter } from '../shared/dead-letter.ts'
import { limits } from '../shared/limits.ts'
import type { Platform } from '../shared/ports.ts'

/**
 * The newest first, at most `limits.lettersExported`. If there are more, the last line is a cursor: to go on from, and the sign that
 * this was not all. An export that breaks ends without it, and without what is missing, as an error of the stream.
 */
export function exportLetters(
  platform: Pick<Platform, 'deadLetters'>,
  filter: DeadLetterFilter,
  from: string | undefined,
  shown: (letter: DeadLetter) => unknown,
  max: number = limits.lettersExported,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let cursor = from
  let left = max
  return new ReadableStream({
    // The next page is read when the one before it was taken.
    pull: async (controller) => {
      const page = await platform.deadLetters().list(filter, cursor, Math.min(left, limits.pageSize))
      left -= page.items.length
      cursor = page.cursor
      const lines = page.items.map((letter) => shown(letter))
      if (left <= 0 && cursor !== undefined) lines.push({ cursor })
      if (lines.length > 0)
        controller.enqueue(encoder.encode(lines.map((line) => `${JSON.stringify(line)}\n`).join('')))
      if (left <= 0 || cursor === undefined) controller.close()
    },
  })
}

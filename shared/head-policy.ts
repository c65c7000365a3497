/**
 * What an operator may decide about a line: the messages of one partition key, whose head keeps failing. Never here: what is
 * done about it (shared/head-of-line.ts).
 */
import * as z from 'zod'
import { limits } from './limits.ts'

const day = 86_400

const parts = {
  /**
   * `block`: the line waits until the head has ended. `skip-to-dlq`: the head is given up early, and the line goes on.
   * `dead-letter-rest-of-key`: what waits behind a head that died, dies with it.
   */
  onFailure: z.enum(['block', 'skip-to-dlq', 'dead-letter-rest-of-key']),
  /** The head is given up after so many failed attempts, */
  attempts: z.int().min(1).max(limits.attemptsPerReceipt).exactOptional(),
  /** or when its next attempt would begin later than this after its first failure. */
  seconds: z
    .number()
    .min(0.05)
    .max(30 * day)
    .exactOptional(),
}

export const headOfLinePolicy = z.strictObject(parts)
export type HeadOfLine = z.infer<typeof headOfLinePolicy>

export const headOfLineInput = headOfLinePolicy.refine(
  ({ onFailure, attempts, seconds }) => onFailure !== 'block' || (attempts === undefined && seconds === undefined),
  {
    path: ['onFailure'],
    error: '`block` waits for its head as long as the policy tries: it takes neither `attempts` nor `seconds`',
  },
)

const defaultSeconds = 300

/** Who skips and does not say when, skips after five minutes. */
export function resolveHeadOfLine(asked: HeadOfLine): HeadOfLine {
  return asked.onFailure === 'skip-to-dlq' && asked.attempts === undefined && asked.seconds === undefined
    ? { ...asked, seconds: defaultSeconds }
    : asked
}

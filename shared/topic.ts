/**
 * Topics and the patterns that match them, as NATS subjects do: dotted tokens, `*` for one token, `>` for the rest (one or
 * more). Never here: who is subscribed (shared/subscription.ts).
 */
import * as z from 'zod'
import { limits } from './limits.ts'

/** Only the broker publishes here, and a pattern reaches it only by naming it. */
export const reservedPrefix = 'switchboard'

/** Where the broker says what became of an agent. */
export const agentTopic = (agent: string) => `${reservedPrefix}.agent.${agent}`

/** Where the broker says how a workflow stands. */
export const workflowTopic = (workflow: string) => `${reservedPrefix}.workflow.${workflow}`

/** Where the broker says that nobody replied to a request in time. */
export const requestTimeoutTopic = `${reservedPrefix}.request.timeout`

/** Where the broker says that a mailbox does not add up (shared/audit.ts). */
export const auditMismatchTopic = `${reservedPrefix}.audit.mismatch`

/** Where the broker says what became of a resource that agents share. */
export const resourceTopic = (resource: string) => `${reservedPrefix}.resource.${resource.replaceAll(/[/:]/g, '.')}`

const token = /^[A-Za-z0-9_-]+$/

export const topicName = z
  .string()
  .max(limits.topicLength)
  .refine(
    (t) => t.split('.').every((part) => token.test(part)),
    'a topic is tokens of A-Z, a-z, 0-9, _ and -, joined by dots; wildcards are for subscriptions',
  )

export const topicPattern = z
  .string()
  .max(limits.topicLength)
  .refine(
    isPattern,
    'a pattern is tokens joined by dots; `*` stands for one token, and `>` for the rest, at the end only',
  )

function isPattern(pattern: string): boolean {
  const parts = pattern.split('.')
  return parts.every((part, i) => token.test(part) || part === '*' || (part === '>' && i === parts.length - 1))
}

export function isReserved(topicOrPattern: string): boolean {
  return topicOrPattern === reservedPrefix || topicOrPattern.startsWith(`${reservedPrefix}.`)
}

/** Does the pattern match the topic? Reserved topics only match patterns that name the prefix. */
export function topicMatches(pattern: string, topic: string): boolean {
  if (isReserved(topic) && !isReserved(pattern)) return false
  const wanted = pattern.split('.')
  const parts = topic.split('.')
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === '>') return parts.length > i
    if (i >= parts.length || (wanted[i] !== '*' && wanted[i] !== parts[i])) return false
  }
  return wanted.length === parts.length
}

/** Of two patterns that match one topic, the more specific wins: literal before `*` before `>`, token by token. */
export function moreSpecific(a: string, b: string): number {
  const [left, right] = [a.split('.'), b.split('.')]
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = weight(right[i]) - weight(left[i])
    if (difference !== 0) return difference
  }
  return 0
}

function weight(part: string | undefined): number {
  if (part === undefined) return -1
  return part === '>' ? 0 : part === '*' ? 1 : 2
}

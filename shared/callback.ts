/**
 * A callback: where an asker wants to be told of its reply. It has a mailbox of its own, so that it is signed, retried and
 * buried as any mail is, for as long as it is needed. Never here: registering the mailbox (workers/callback.ts).
 */
import { type Gather, gatherKeptMs } from './gather.ts'
import { deliveryId, digest, mid } from './ids.ts'
import { limits } from './limits.ts'

const prefix = 'callback-'

/** The name of its mailbox: one for each asker, URL and secret, so that nobody's secret signs another's mail. */
export function callbackAgent(owner: string, { url, secret = '' }: NonNullable<Gather['callback']>): string {
  return `${prefix}${digest('callback', owner, url, secret)}`
}

/** Only the broker makes such mailboxes, and only it writes to them. */
export const isCallbackAgent = (name: string): boolean => name.startsWith(prefix)

/** Where the outcome of a gather is told, if anywhere. */
export function callbackOf(
  gather: Gather,
): { readonly agent: string; readonly key: string; readonly delivery: string } | undefined {
  const { outcome, callback, failureCallback, owner, id, openedAt } = gather
  if (outcome === undefined || outcome.status === 'cancelled') return undefined
  const target = outcome.status === 'replied' ? callback : failureCallback
  if (target === undefined) return undefined
  const agent = callbackAgent(owner, target)
  const key = `${id}-callback.${openedAt}`
  return { agent, key, delivery: deliveryId(agent, mid(owner, key, 0)) }
}

// A question to a person may wait longest, in each of its stages.
const longestMs = (limits.approvalStages + 1) * limits.approvalSeconds * 1_000

/** What is over is remembered for so long, and so is where it was told. */
export const callbackKeptMs = gatherKeptMs

/**
 * Until when its mailbox is needed, now that somebody will be told there within `forMs`. What was asked earlier may come later still; a
 * mailbox that does not know what was asked (one of before) is needed as long as anything may wait.
 */
export function neededUntil(before: { readonly neededUntil?: number } | undefined, forMs: number, now: number): number {
  if (before === undefined) return now + forMs
  return Math.max(before.neededUntil ?? now + longestMs + callbackKeptMs, now + forMs)
}

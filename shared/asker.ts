/**
 * Who asks a workflow, and which one is meant: an id may be given again, to another workflow. Never here: what permissions are
 * (shared/permissions.ts), where what it sends gets its ids (shared/outgoing.ts).
 */
import type { OutgoingName } from './outgoing.ts'
import { allows, ownSource, type Principal } from './permissions.ts'
import type { WorkflowRecord } from './workflow.ts'

/** Whoever asks: its source, and whether its permissions name this workflow. */
export interface Asker {
  readonly source: string
  readonly permitted: boolean
  /** Of an agent: when it was registered. What is older was made by another one of its name. */
  readonly since?: number
  /** The workflow's own message that led to this. */
  readonly after?: OutgoingName
}

export type StateAction = 'readState' | 'writeState'

export function askerOf(principal: Principal, action: StateAction, id: string): Asker {
  const since = principal.kind === 'agent' && principal.since !== undefined ? { since: principal.since } : {}
  return { source: ownSource(principal), permitted: allows(principal, action, id), ...since }
}

/** Why it is not answered. Its creator may always ask; what a workflow has set off is not for one that was made after it. */
export function whyClosed(
  { createdBy, createdAt, incarnation }: Pick<WorkflowRecord, 'createdBy' | 'createdAt' | 'incarnation'>,
  { source, permitted, since = 0, after }: Asker,
): 'unknown' | 'forbidden' | undefined {
  if (after !== undefined && after.incarnation !== incarnation) return 'unknown'
  return permitted || (source === createdBy && createdAt >= since) ? undefined : 'forbidden'
}

/**
 * Who asks a workflow, and which one is meant: an id may be given again, to another workflow. Never here: permissions
 * (shared/permissions.ts), where what it sends gets its ids (shared/outgoing.ts).
 */
import type { OutgoingName } from './outgoing.ts'
import type { WorkflowRecord } from './workflow.ts'

/** Whoever asks: its source, and whether its permissions name this workflow. */
export interface Asker {
  readonly source: string
  readonly permitted: boolean
  /** The workflow's own message that led to this. */
  readonly after?: OutgoingName
}

/** Why it is not answered. Its creator may always ask; what a workflow has set off is not for one that was made after it. */
export function whyClosed(
  { createdBy, incarnation }: Pick<WorkflowRecord, 'createdBy' | 'incarnation'>,
  { source, permitted, after }: Asker,
): 'unknown' | 'forbidden' | undefined {
  if (after !== undefined && after.incarnation !== incarnation) return 'unknown'
  return permitted || source === createdBy ? undefined : 'forbidden'
}

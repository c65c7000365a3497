/**
 * What is due for a workflow, and when: its timers, what somebody outside has to do for it, and its end (M6). Never here:
 * doing it.
 */
import { type Budget, budgetDueAt } from './budget.ts'
import type { WorkflowRecord } from './workflow.ts'
import { isOver } from './workflow-status.ts'

const chaseMinMs = 5_000
const chaseMaxMs = 300_000

/** The index does not know yet how it stands. */
export const isUnlisted = (record: WorkflowRecord): boolean => record.listed !== record.status

/** When an ended one is forgotten. */
export function forgetAt({ endedAt, keptMs }: WorkflowRecord): number | undefined {
  return endedAt === undefined ? undefined : endedAt + keptMs
}

/** Has somebody outside something to do for it: carry effects, or tell the index? */
export const isOwing = (record: WorkflowRecord): boolean =>
  record.open > 0 || record.owes !== undefined || isUnlisted(record) || record.forgetting === true

/** Its time is over, and it owes nobody a message any more (E1). */
export const isForgettable = (record: WorkflowRecord): boolean => record.forgetting === true && record.open === 0

/**
 * Sets when somebody is to be asked to do what it owes. Only the asking moves that on: steps that follow each other quickly
 * must not put it off for ever.
 */
export function withChase(record: WorkflowRecord, now: number): WorkflowRecord {
  if (isOwing(record)) return record.chaseAt === undefined ? { ...record, chaseAt: now + chaseMinMs } : record
  const { chaseAt: _chaseAt, ...rest } = record
  return rest
}

/** It was asked for now; the next time comes at intervals that grow with how long it has been owing. */
export function chased(record: WorkflowRecord, now: number): WorkflowRecord {
  const since = Math.max(record.updatedAt, record.endedAt ?? 0)
  return { ...record, chaseAt: now + Math.min(chaseMaxMs, Math.max(chaseMinMs, (now - since) / 2)) }
}

/** When its alarm must ring next; undefined while nothing is due by itself (M6). */
export function dueAt(record: WorkflowRecord, budget?: Budget): number | undefined {
  const { status, timers, paused, waiting, updatedAt, chaseAt, forgetting } = record
  const times = [
    ...(status === 'running' ? timers.map((t) => t.dueAt) : []),
    ...(status === 'running' && waiting > 0 ? [updatedAt] : []),
    ...(budget === undefined || isOver(status) ? [] : [budgetDueAt(budget)]),
    ...[paused?.untilAt, chaseAt, forgetting === true ? undefined : forgetAt(record)],
  ].filter((time) => time !== undefined)
  return times.length === 0 ? undefined : Math.min(...times)
}

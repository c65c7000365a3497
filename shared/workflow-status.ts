/**
 * How a workflow stands.
 *
 *   running ◄──► paused        both ──► failed, cancelled        running ──► completed
 *
 * Never here: what moves it (shared/workflow.ts, shared/workflow-step.ts).
 */
import * as z from 'zod'

export const workflowStatus = z.enum(['running', 'paused', 'completed', 'failed', 'cancelled'])
export type WorkflowStatus = z.infer<typeof workflowStatus>

/** Nothing changes it any more. */
export const isOver = (status: WorkflowStatus): boolean => status !== 'running' && status !== 'paused'

/** From each status and each event, where it may lead. */
export const workflowTable = {
  running: {
    event: ['running', 'completed', 'failed', 'paused'],
    timer: ['running', 'completed', 'failed', 'paused'],
    write: ['running'],
    pause: ['paused'],
    resume: ['running'],
    cancel: ['cancelled'],
  },
  paused: {
    event: ['paused'],
    timer: ['paused'],
    write: ['paused'],
    pause: ['paused'],
    resume: ['running', 'completed', 'failed', 'paused'],
    cancel: ['cancelled'],
  },
  completed: {
    event: ['completed'],
    timer: ['completed'],
    write: ['completed'],
    pause: ['completed'],
    resume: ['completed'],
    cancel: ['completed'],
  },
  failed: {
    event: ['failed'],
    timer: ['failed'],
    write: ['failed'],
    pause: ['failed'],
    resume: ['failed'],
    cancel: ['failed'],
  },
  cancelled: {
    event: ['cancelled'],
    timer: ['cancelled'],
    write: ['cancelled'],
    pause: ['cancelled'],
    resume: ['cancelled'],
    cancel: ['cancelled'],
  },
} as const satisfies Readonly<Record<WorkflowStatus, Readonly<Record<string, readonly WorkflowStatus[]>>>>

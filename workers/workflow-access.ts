/**
 * What every route about workflows does first and last: who asks, and what an object's answer means over HTTP. Never here: a
 * route (workers/routes/), whether somebody may (shared/asker.ts, asked where the creator is known).
 */

import type { Context } from 'hono'
import { type Asker, askerOf, type StateAction } from '../shared/asker.ts'
import type { Fault } from '../shared/fault.ts'
import { limits } from '../shared/limits.ts'
import { ownSource } from '../shared/permissions.ts'
import { unreachable } from '../shared/result.ts'
import type { ChangeFault } from '../shared/versioned.ts'
import { workflowId } from '../shared/workflow.ts'
import { contentOf, operationId } from '../shared/workflow-history.ts'
import type { Asked, Moved, Workflow, WorkflowPort } from '../shared/workflow-port.ts'
import type { Written } from '../shared/workflow-write.ts'
import type { App } from './context.ts'
import { idempotencyKeyOf } from './idempotency-key.ts'
import { refuse } from './problem.ts'

/** Something of one workflow, as one caller asks for it. */
export interface Request {
  readonly id: string
  readonly asker: Asker
  readonly port: WorkflowPort
  readonly action: string
}

/** The workflow that the path names. An id that cannot be one names nothing, and wakes no object. */
export function requestOf(c: Context<App>, action: StateAction): Request {
  const id = c.req.param('workflow') ?? ''
  if (!workflowId.safeParse(id).success) return notFound(id)
  const asker = askerOf(c.get('principal'), action, id)
  return { id, asker, port: c.get('platform').workflow(id), action: action === 'readState' ? 'read' : 'change' }
}

/** The answer, if there is such a workflow and the caller may ask. */
export function permitted<T extends { readonly status: string }>({ id, action }: Request, asked: Asked<T>): T {
  if (asked.status === 'unknown') return notFound(id)
  if (asked.status === 'forbidden') return refuse({ code: 'forbidden', action, subject: id })
  // The two arms above are all that Asked adds.
  return asked as T
}

export const notFound = (id: string): never => refuse({ code: 'not_found', what: 'workflow', id })

/** The workflow that was moved, or why it was not. */
export function moved(request: Request, asked: Asked<Moved>): Workflow {
  const answer = permitted(request, asked)
  if (answer.status === 'over') return refuse({ code: 'workflow_over', workflow: request.id, ended: answer.ended })
  if (answer.status === 'spent') return refuse({ code: 'budget_spent', workflow: request.id, reason: answer.reason })
  return answer.workflow
}

/** Names this call: by the caller's key, or for once only. */
export function operationOf(c: Context<App>, asked: unknown): { readonly id: string; readonly content: string } {
  const id = operationId(ownSource(c.get('principal')), idempotencyKeyOf(c) ?? c.get('platform').token())
  return { id, content: contentOf(asked) }
}

/** The version written, or why nothing was. */
export function written(request: Request, asked: Asked<Written & { readonly retryAfterMs?: number }>) {
  const answer = permitted(request, asked)
  const workflow = request.id
  switch (answer.status) {
    case 'written':
      return answer
    case 'stale': {
      const { expected, actual, state, lastWriter, changedFields, retryAfterMs = 0 } = answer
      const at = new Date(lastWriter.at).toISOString()
      const evidence = { expected, actual, state, lastWriter: { by: lastWriter.by, at }, retryAfterMs }
      return refuse({ code: 'version_mismatch', workflow, ...evidence, ...(changedFields && { changedFields }) })
    }
    case 'refused':
      return refuse(faultOf(workflow, answer.fault))
    case 'over':
      return refuse({ code: 'workflow_over', workflow, ended: answer.ended })
    case 'conflict':
      return refuse({ code: 'operation_reused', workflow })
    default:
      return unreachable(answer)
  }
}

export function faultOf(workflow: string, fault: ChangeFault): Fault {
  switch (fault.code) {
    case 'patch_failed':
      return { code: 'patch_failed', workflow, ...fault.failure }
    case 'state_not_object':
      return { code: 'invalid_request', issues: [{ path: '', message: 'the state would no longer be an object' }] }
    case 'state_too_large':
      return { code: 'too_large', what: 'state', limitBytes: limits.stateBytes, gotBytes: fault.gotBytes }
    case 'state_too_deep':
      return { code: 'too_deep', limit: limits.jsonDepth }
    default:
      return unreachable(fault)
  }
}

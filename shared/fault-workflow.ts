/**
 * The faults of workflows: who came late, what a statechart does not take, what cannot be applied. Never here: the other faults
 * (shared/fault.ts).
 */
import { unreachable } from './result.ts'

export type WorkflowFault =
  | {
      readonly code: 'version_mismatch'
      readonly workflow: string
      readonly expected: number
      readonly actual: number
      readonly state: unknown
      readonly lastWriter: { readonly by: string; readonly at: string }
      readonly changedFields?: readonly string[]
      readonly retryAfterMs: number
    }
  | { readonly code: 'version_required'; readonly workflow: string }
  | {
      readonly code: 'patch_failed'
      readonly workflow: string
      readonly index: number
      readonly op: string
      readonly path: string
      readonly reason: string
    }
  | { readonly code: 'operation_reused'; readonly workflow: string }
  | { readonly code: 'workflow_exists'; readonly workflow: string }
  | { readonly code: 'workflow_over'; readonly workflow: string; readonly ended: string }
  | { readonly code: 'workflow_live'; readonly workflow: string; readonly now: string }
  | {
      readonly code: 'workflow_full'
      readonly workflow: string
      readonly max: number
      readonly retryAfterSeconds: number
    }
  | {
      readonly code: 'illegal_transition'
      readonly workflow: string
      readonly from: unknown
      readonly event: string
      readonly allowed: readonly string[]
    }
  | { readonly code: 'no_statechart'; readonly workflow: string }
  | {
      readonly code: 'invalid_definition'
      readonly issues: readonly { readonly path: string; readonly message: string }[]
    }
  | { readonly code: 'definition_shipped'; readonly definition: string }
  | { readonly code: 'too_many_definitions'; readonly max: number }

const conflict = (title: string, detail: string) => ({ status: 409, title, detail })

/** The status, and a sentence that tells the caller what to do next. */
export function wireOfWorkflow(f: WorkflowFault) {
  switch (f.code) {
    case 'version_mismatch':
      return {
        status: 412,
        title: 'The state has changed',
        detail: `You saw version ${f.expected}; it is ${f.actual} now, written by \`${f.lastWriter.by}\`. Nothing was changed: apply your change to \`state\` and send it with If-Match: "${f.actual}".`,
        headers: { ETag: `"${f.actual}"`, 'Retry-After-Ms': String(f.retryAfterMs) },
      }
    case 'version_required':
      return {
        status: 428,
        title: 'Version required',
        detail:
          'Send If-Match with the ETag of the state that you saw, or `If-Match: *` if it does not matter what is there. Operations that never conflict (POST) need none.',
      }
    case 'patch_failed':
      return {
        status: 422,
        title: 'Cannot be applied',
        detail: `Operation ${f.index} (\`${f.op}\` at \`${f.path}\`) cannot be applied: ${f.reason}. Nothing was changed.`,
      }
    case 'operation_reused':
      return {
        status: 422,
        title: 'Key used for another change',
        detail: 'This Idempotency-Key or event id was already used for something else. Use a new one for a new change.',
      }
    case 'workflow_exists':
      return conflict(
        'Workflow exists',
        `There is a workflow \`${f.workflow}\` already, made otherwise. Choose another id, or leave it out.`,
      )
    case 'workflow_over':
      return conflict('The workflow is over', `\`${f.workflow}\` ended as ${f.ended}: nothing changes it any more.`)
    case 'workflow_live':
      return conflict(
        'The workflow has not ended',
        `\`${f.workflow}\` is ${f.now}. Cancel it first: DELETE without \`purge\`.`,
      )
    case 'workflow_full':
      return {
        status: 429,
        title: 'Too many events wait',
        detail: `\`${f.workflow}\` is paused, and ${f.max} events wait for it to be resumed. Nothing was stored: send again later.`,
        retryable: true,
        headers: { 'Retry-After': String(Math.ceil(f.retryAfterSeconds)) },
      }
    default:
      return wireOfChart(f)
  }
}

type ChartFault = Extract<
  WorkflowFault,
  {
    code: 'illegal_transition' | 'no_statechart' | 'invalid_definition' | 'definition_shipped' | 'too_many_definitions'
  }
>

function wireOfChart(f: ChartFault) {
  switch (f.code) {
    case 'illegal_transition':
      return conflict(
        'Illegal transition',
        `\`${f.event}\` leads nowhere from here. It takes: ${f.allowed.join(', ') || 'nothing'}. Nothing was changed.`,
      )
    case 'no_statechart':
      return conflict(
        'No statechart',
        `\`${f.workflow}\` has no definition: it is shared state alone, and takes no events.`,
      )
    case 'invalid_definition':
      return {
        status: 422,
        title: 'Invalid definition',
        detail: `Correct these and send again: ${f.issues.map((i) => `${i.path || '(root)'}: ${i.message}`).join('; ')}.`,
      }
    case 'definition_shipped':
      return conflict(
        'Shipped with the code',
        `\`${f.definition}\` is in this Worker’s own code. Change it there, or use another name.`,
      )
    case 'too_many_definitions':
      return conflict('Too many definitions', `There are ${f.max} names already.`)
    default:
      return unreachable(f)
  }
}

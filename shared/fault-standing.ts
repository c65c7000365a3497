/**
 * Refusals about what stands for the whole deployment, schedules, schemas, questions to people and promises: their evidence and their words. A part of the one
 * union in shared/fault.ts. Never here: any other fault, what a problem document is.
 */
import { limits } from './limits.ts'

/** Where data does not fit a schema: RFC 6901 pointers into the message, and into the schema. */
export interface Mismatch {
  readonly pointer: string
  readonly schemaPointer: string
  readonly message: string
}

export type StandingFault =
  | { readonly code: 'schema_mismatch'; readonly schema: string; readonly mismatches: readonly Mismatch[] }
  | { readonly code: 'data_forgotten'; readonly delivery: string }
  | { readonly code: 'too_many_schemas'; readonly max: number; readonly maxBytes: number }
  | { readonly code: 'too_many_schedules'; readonly owner: string; readonly max: number }
  | { readonly code: 'too_many_approvals'; readonly owner: string; readonly max: number }
  | {
      readonly code: 'approval_over'
      readonly approval: string
      readonly ended: string
      readonly option?: string
      readonly decision?: { readonly option: string; readonly by: string; readonly how: string; readonly at: string }
      readonly cancelledBy?: string
      readonly endedAt?: string
    }
  | {
      readonly code: 'promise_over'
      readonly promise: string
      readonly ended: string
      readonly value?: unknown
      readonly error?: unknown
      readonly endedBy?: string
      readonly endedAt?: string
    }
  | {
      readonly code: 'schedule_busy'
      readonly schedule: string
      readonly pending: number
      readonly retryAfterSeconds: number
    }

/** One arm a code, as in shared/fault.ts. */
export function wireOfStanding(f: StandingFault): {
  status: number
  title: string
  detail: string
  retryable?: boolean
  headers?: Record<string, string>
} {
  switch (f.code) {
    case 'schema_mismatch':
      return {
        status: 422,
        title: 'Does not fit its schema',
        detail: `The message does not fit the schema \`${f.schema}\`: ${f.mismatches.map((m) => `${m.pointer}: ${m.message.replace(/\.$/, '')}`).join('; ')}. Nothing was stored. Read the schema at GET /v1/schemas/${f.schema}.`,
      }
    case 'data_forgotten':
      return {
        status: 410,
        title: 'Its data is forgotten',
        detail: `The data of \`${f.delivery}\` was dropped when it ended; that of a dead letter is kept. Send it along as \`data\`.`,
      }
    case 'too_many_schemas':
      return {
        status: 409,
        title: 'Too many schemas',
        detail: `There may be ${f.max} schemas, of ${f.maxBytes} bytes in all. Delete one first.`,
      }
    case 'too_many_schedules':
      return {
        status: 409,
        title: 'Too many schedules',
        detail: `\`${f.owner}\` has ${f.max} schedules, or the deployment is full of them. Delete one first.`,
      }
    case 'too_many_approvals':
      return {
        status: 409,
        title: 'Too many approvals',
        detail: `\`${f.owner}\` may have ${limits.approvalsPerOwner} questions that wait for an answer and ${limits.approvalsKeptPerOwner} with those that ended within a week, the deployment ${limits.approvals}. The bound of ${f.max} is reached: withdraw one that waits, or ask when one is forgotten.`,
      }
    case 'approval_over':
      return {
        status: 409,
        title: 'It is over',
        detail: `The question \`${f.approval}\` ended before, as ${f.ended}. What ended it holds and is not replaced.`,
      }
    case 'promise_over':
      return {
        status: 409,
        title: 'The promise has ended',
        detail: `The promise \`${f.promise}\` ended before, as ${f.ended}. Its end holds and is not replaced.`,
      }
    case 'schedule_busy':
      return {
        status: 429,
        title: 'Schedule busy',
        detail: `\`${f.schedule}\` has ${f.pending} firings that are due and could not be published yet; see its \`firings\`. Nothing was added: try again later.`,
        retryable: true,
        headers: { 'Retry-After': String(Math.ceil(f.retryAfterSeconds)) },
      }
  }
}

/**
 * Everything Switchboard refuses, as one union with evidence, and the one exhaustive place that decides what a caller sees
 * (RFC 9457 problem details). Never here: what only logs should know; an `internal` fault carries no cause outward.
 * Each code has a page in docs/problems.md (a test compares the two).
 */
import { type AccessFault, wireOfAccess } from './fault-access.ts'
import { type AgentFault, wireOfAgent } from './fault-agent.ts'
import { type GuardFault, wireOfGuard } from './fault-guard.ts'
import { type RequestFault, wireOfRequest } from './fault-request.ts'
import { type ScatterFault, wireOfScatter } from './fault-scatter.ts'
import { type StandingFault, wireOfStanding } from './fault-standing.ts'
import { type WorkflowFault, wireOfWorkflow } from './fault-workflow.ts'
import { unreachable } from './result.ts'

/** Where in the input something was wrong: a JSON path such as `policy.backoff.factor`, and what was expected there. */
export interface Issue {
  readonly path: string
  readonly message: string
}

export type Fault =
  | { readonly code: 'invalid_json'; readonly reason: string }
  | { readonly code: 'invalid_request'; readonly issues: readonly Issue[] }
  | { readonly code: 'too_large'; readonly what: string; readonly limitBytes: number; readonly gotBytes: number }
  | { readonly code: 'too_deep'; readonly limit: number }
  | { readonly code: 'unsupported_media_type'; readonly got: string; readonly supported: readonly string[] }
  | AccessFault
  | AgentFault
  | { readonly code: 'not_found'; readonly what: string; readonly id: string }
  | { readonly code: 'route_not_found'; readonly path: string }
  | { readonly code: 'method_not_allowed'; readonly method: string; readonly allow: readonly string[] }
  | { readonly code: 'key_reused'; readonly key: string; readonly delivery: string }
  | { readonly code: 'key_required' }
  | { readonly code: 'already_expired'; readonly expirytime: string }
  /** `agent`: it is for a pull agent, which asks for what is stored. */
  | { readonly code: 'not_durable'; readonly attribute: string; readonly agent?: string }
  | { readonly code: 'unroutable'; readonly destination: string }
  | { readonly code: 'invalid_url'; readonly url: string; readonly reason: string }
  | { readonly code: 'stale_lease'; readonly delivery: string; readonly reason: string }
  | { readonly code: 'already_settled'; readonly delivery: string; readonly ended: string; readonly result?: unknown }
  | { readonly code: 'not_redrivable'; readonly delivery: string; readonly ended: string; readonly reason?: string }
  | GuardFault
  | StandingFault
  | RequestFault
  | ScatterFault
  | WorkflowFault
  | { readonly code: 'not_configured' }
  | { readonly code: 'unavailable'; readonly what: string; readonly retryAfterSeconds: number }
  | { readonly code: 'internal'; readonly incident: string }

export type FaultCode = Fault['code']

/** What a caller sees: an RFC 9457 document, with the response's status and headers beside it. */
export interface Problem {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: {
    readonly type: string
    readonly title: string
    readonly status: number
    readonly code: FaultCode
    readonly detail: string
    readonly retryable: boolean
    readonly instance?: string
  } & Readonly<Record<string, unknown>>
}

interface Wire {
  status: number
  title: string
  detail: string
  retryable?: boolean
  headers?: Record<string, string>
}

/** Renders a fault for the outside. `instance` is the path of the request, or of the item within a batch. */
export function problemOf(fault: Fault, instance?: string): Problem {
  const { code, ...evidence } = fault
  const wire = wireOf(fault)
  const standard = {
    type: `/problems#${code}`,
    title: wire.title,
    status: wire.status,
    code,
    detail: wire.detail,
    retryable: wire.retryable ?? false,
    ...(instance === undefined ? {} : { instance }),
  }
  // The standard members come first to be read first, and once more last, so that no evidence of the same name replaces them.
  return { status: wire.status, headers: wire.headers ?? {}, body: { ...standard, ...evidence, ...standard } }
}

// RFC 9110, 10.2.3: whole seconds. Rounded up, because sooner would be too soon.
function retryAfter(seconds: number): Record<string, string> {
  return { 'Retry-After': String(Math.ceil(seconds)) }
}

const conflict = (title: string, detail: string): Wire => ({ status: 409, title, detail })

// One arm a code: the status, and a sentence that tells the caller what to do next.
function wireOf(f: Fault): Wire {
  switch (f.code) {
    case 'invalid_json':
      return {
        status: 400,
        title: 'Not JSON',
        detail: `The body is not valid JSON: ${f.reason}. Send application/json in UTF-8.`,
      }
    case 'invalid_request':
      return {
        status: 400,
        title: 'Invalid request',
        detail: `Correct these and send again: ${f.issues.map((i) => `${i.path || '(body)'}: ${i.message}`).join('; ')}.`,
      }
    case 'too_large':
      return {
        status: 413,
        title: 'Too large',
        detail: `The ${f.what} has ${f.gotBytes} bytes; at most ${f.limitBytes} are accepted. Store the content elsewhere and send a reference.`,
      }
    case 'too_deep':
      return {
        status: 400,
        title: 'Nested too deeply',
        detail: `Arrays and objects may be nested ${f.limit} deep. Flatten the data, or send it as a string.`,
      }
    case 'unsupported_media_type':
      return {
        status: 415,
        title: 'Unsupported media type',
        detail: `Content-Type \`${f.got}\` is not accepted here. Use one of: ${f.supported.join(', ')}.`,
      }
    case 'unauthenticated':
    case 'invalid_signature':
    case 'stale_timestamp':
    case 'forbidden':
    case 'foreign_source':
    case 'rate_limited':
    case 'too_many_keys':
    case 'already_made':
    case 'too_many_subscriptions':
      return wireOfAccess(f)
    case 'not_found':
      return { status: 404, title: 'Not found', detail: `There is no ${f.what} \`${f.id}\`, or it is no longer kept.` }
    case 'route_not_found':
      return {
        status: 404,
        title: 'No such route',
        detail: `Nothing is served at ${f.path}. The routes are listed at /openapi.json and /docs.`,
      }
    case 'method_not_allowed':
      return {
        status: 405,
        title: 'Method not allowed',
        detail: `${f.method} is not served here. Use ${f.allow.join(' or ')}.`,
        headers: { Allow: f.allow.join(', ') },
      }
    case 'key_reused':
      return {
        status: 422,
        title: 'Key used for another message',
        detail: `\`${f.key}\` was already used for a message with other content. Use a new key for a new message, or send the same content again.`,
      }
    case 'key_required':
      return {
        status: 422,
        title: 'Key required',
        detail:
          'exactly_once needs an `id` or an Idempotency-Key chosen by the publisher: without it a re-send cannot be told from a new message.',
      }
    case 'already_expired':
      return {
        status: 422,
        title: 'Already expired',
        detail: `\`expirytime\` ${f.expirytime} has passed, or comes before \`delivertime\`: the message could never be delivered.`,
      }
    case 'not_durable':
      return {
        status: 422,
        title: 'Needs a durable mode',
        detail: `${f.agent === undefined ? `\`${f.attribute}\` needs` : `\`${f.agent}\` is a pull agent, which needs`} the message to be stored; at_most_once stores nothing. Use at_least_once.`,
      }
    case 'unroutable':
      return {
        status: 404,
        title: 'Reaches nobody',
        detail: `Nobody is reached by \`${f.destination}\`. Subscribe somebody with PUT /v1/subscriptions/{id}, or leave \`onunroutable\` out to keep such messages as dead letters.`,
      }
    case 'invalid_url':
      return { status: 422, title: 'URL not allowed', detail: `\`${f.url}\` cannot be a webhook: ${f.reason}` }
    case 'stale_lease':
      return conflict(
        'Stale lease',
        `${f.reason} The delivery may have been given to another worker: stop, and lease again.`,
      )
    case 'already_settled':
      return conflict(
        'Already settled',
        `This delivery ended as ${f.ended}. The first settlement wins and is not replaced.`,
      )
    case 'not_redrivable':
      return conflict(
        'Cannot be redriven',
        f.reason ?? `This delivery is ${f.ended}; only a dead letter can be redriven.`,
      )
    case 'agent_not_found':
    case 'agent_has_mail':
    case 'wrong_kind':
    case 'backpressure':
      return wireOfAgent(f)
    case 'loop_detected':
    case 'hop_limit':
    case 'budget_spent':
      return wireOfGuard(f)
    case 'schema_mismatch':
    case 'data_forgotten':
    case 'too_many_schemas':
    case 'too_many_schedules':
    case 'too_many_approvals':
    case 'approval_over':
    case 'promise_over':
    case 'schedule_busy':
      return wireOfStanding(f)
    case 'request_timeout':
    case 'request_failed':
    case 'request_over':
    case 'breaker_open':
      return wireOfRequest(f)
    case 'empty_scatter':
    case 'scatter_over':
      return wireOfScatter(f)
    case 'version_mismatch':
    case 'version_required':
    case 'patch_failed':
    case 'operation_reused':
    case 'workflow_exists':
    case 'workflow_over':
    case 'workflow_live':
    case 'workflow_full':
    case 'illegal_transition':
    case 'no_statechart':
    case 'invalid_definition':
    case 'definition_shipped':
    case 'too_many_definitions':
      return wireOfWorkflow(f)
    case 'not_configured':
      return {
        status: 503,
        title: 'No admin key',
        detail:
          'This Switchboard has no admin key, so it serves nobody. Set one with `npx wrangler secret put SWITCHBOARD_ADMIN_KEY` (locally: in .dev.vars, or just `npm start`).',
      }
    case 'unavailable':
      return {
        status: 503,
        title: 'Temporarily unavailable',
        detail: `The ${f.what} did not answer. Whether the call took effect is not known: send it again with the same id or key, which cannot double it.`,
        retryable: true,
        headers: retryAfter(f.retryAfterSeconds),
      }
    case 'internal':
      return {
        status: 500,
        title: 'Internal error',
        detail: `Something broke on our side. The log has it as incident ${f.incident}.`,
        retryable: true,
      }
    default:
      return unreachable(f)
  }
}

/** A zod error's issues, as paths a caller can find in what they sent. */
export function issuesOf(error: {
  readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[]
}): Issue[] {
  return error.issues.slice(0, 20).map((i) => ({ path: i.path.map(String).join('.'), message: i.message }))
}

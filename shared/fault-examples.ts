/**
 * One example of every fault, so that the codes can be listed: the OpenAPI document and the page at /problems render these
 * through `problemOf`, as a caller would see them. A fault without an example does not compile. Never here: what a fault
 * means (shared/fault.ts).
 */
import { type Fault, type FaultCode, type Problem, problemOf } from './fault.ts'
import { limits } from './limits.ts'

const delivery = 'writer_k3v7zq2mfa6x4hnc5w2yt7dbre'
const workflow = 'research-42'
const request = 'r-m4t2kz7qfa6x3hnc5w2yv7dbre'

const examples: { readonly [Code in FaultCode]: Extract<Fault, { code: Code }> } = {
  invalid_json: { code: 'invalid_json', reason: 'Unexpected end of JSON input' },
  invalid_request: {
    code: 'invalid_request',
    issues: [{ path: 'type', message: 'Invalid input: expected string, received undefined' }],
  },
  too_large: { code: 'too_large', what: 'message', limitBytes: limits.messageBytes, gotBytes: limits.messageBytes + 1 },
  too_deep: { code: 'too_deep', limit: limits.jsonDepth },
  unsupported_media_type: { code: 'unsupported_media_type', got: 'text/xml', supported: ['application/json'] },
  unauthenticated: { code: 'unauthenticated', reason: 'This key is not known.' },
  invalid_signature: { code: 'invalid_signature', reason: 'No signature in webhook-signature fits.' },
  stale_timestamp: {
    code: 'stale_timestamp',
    toleranceSeconds: limits.signatureToleranceSeconds,
    skewSeconds: 900,
  },
  forbidden: { code: 'forbidden', action: 'send to', subject: 'writer' },
  foreign_source: { code: 'foreign_source', claimed: 'admin', allowed: ['researcher'] },
  rate_limited: { code: 'rate_limited', limit: 100, perSeconds: 60, retryAfterSeconds: 12 },
  agent_not_found: { code: 'agent_not_found', agent: 'writr', suggestions: ['writer'] },
  not_found: { code: 'not_found', what: 'delivery', id: delivery },
  route_not_found: { code: 'route_not_found', path: '/v1/message' },
  method_not_allowed: { code: 'method_not_allowed', method: 'PATCH', allow: ['GET', 'PUT', 'DELETE'] },
  key_reused: { code: 'key_reused', key: 'order-17', delivery },
  key_required: { code: 'key_required' },
  already_expired: { code: 'already_expired', expirytime: '2026-01-31T12:00:00Z' },
  not_durable: { code: 'not_durable', attribute: 'partitionkey' },
  unroutable: { code: 'unroutable', destination: 'news.daily' },
  invalid_url: { code: 'invalid_url', url: 'http://10.0.0.1/hook', reason: 'it must be https and public.' },
  stale_lease: { code: 'stale_lease', delivery, reason: 'This token does not hold the lease in force.' },
  already_settled: { code: 'already_settled', delivery, ended: 'completed', result: { pages: 3 } },
  data_forgotten: { code: 'data_forgotten', delivery },
  not_redrivable: { code: 'not_redrivable', delivery, ended: 'completed' },
  agent_has_mail: { code: 'agent_has_mail', agent: 'writer', depth: 12 },
  wrong_kind: { code: 'wrong_kind', agent: 'writer', kind: 'webhook', needed: 'pull' },
  backpressure: { code: 'backpressure', agent: 'writer', depth: 900, max: 900, retryAfterSeconds: 1 },
  already_made: { code: 'already_made', what: 'key', id: 'key_9f86d081884c7d65' },
  too_many_keys: { code: 'too_many_keys', agent: 'writer', max: limits.keysPerAgent },
  loop_detected: {
    code: 'loop_detected',
    reason: 'writer is on the way that led here 5 times already',
    path: ['writer_mfrggzdfmztwq2lknnwg23tpob', 'critic_nbswy3dpeb3w64tmmqqho33snr'],
    delivery: 'writer_onswg4tforxw4zdfojuxeylhmu',
  },
  hop_limit: {
    code: 'hop_limit',
    reason: `the causal chain is longer than ${limits.hops}`,
    path: ['writer_mfrggzdfmztwq2lknnwg23tpob', 'critic_nbswy3dpeb3w64tmmqqho33snr'],
    delivery: 'writer_onswg4tforxw4zdfojuxeylhmu',
  },
  budget_spent: { code: 'budget_spent', workflow: 'order-17', reason: '1204 of 1000 tokens are spent' },
  too_many_subscriptions: { code: 'too_many_subscriptions', agent: 'writer', max: limits.subscriptionsPerAgent },
  schema_mismatch: {
    code: 'schema_mismatch',
    schema: 'orders',
    mismatches: [
      {
        pointer: '/data/title',
        schemaPointer: '/properties/title/type',
        message: 'Instance type "number" is invalid. Expected "string".',
      },
    ],
  },
  too_many_schemas: { code: 'too_many_schemas', max: limits.schemas, maxBytes: limits.schemasBytes },
  too_many_schedules: { code: 'too_many_schedules', owner: 'researcher', max: limits.schedulesPerOwner },
  too_many_approvals: { code: 'too_many_approvals', owner: 'researcher', max: limits.approvalsPerOwner },
  approval_over: {
    code: 'approval_over',
    approval: 'ap-m4t2kz7qfa6x3hnc5w2yv7dbre',
    ended: 'decided',
    option: 'approve',
    decision: { option: 'approve', by: 'pager', how: 'link', at: '2026-01-31T12:00:00.000Z' },
    endedAt: '2026-01-31T12:00:00.000Z',
  },
  promise_over: {
    code: 'promise_over',
    promise: 'pr-m4t2kz7qfa6x3hnc5w2yv7dbre',
    ended: 'resolved',
    value: { paid: true },
    endedBy: 'cashier',
    endedAt: '2026-01-31T12:00:00.000Z',
  },
  schedule_busy: {
    code: 'schedule_busy',
    schedule: 'morning-report',
    pending: limits.firingsPending,
    retryAfterSeconds: 5,
  },
  request_timeout: { code: 'request_timeout', request, timeoutSeconds: 30, asked: 1 },
  request_failed: {
    code: 'request_failed',
    request,
    why: 'ended',
    agent: 'writer',
    delivery,
    status: 'dead_lettered',
    reason: 'attempts_exhausted',
    error: { code: 'http', message: 'answered 500', httpStatus: 500 },
  },
  empty_scatter: { code: 'empty_scatter', what: 'items' },
  scatter_over: { code: 'scatter_over', scatter: 's-m4t2kz7qfa6x3hnc5w2yv7dbre', ended: 'completed' },
  request_over: { code: 'request_over', request, ended: 'replied' },
  breaker_open: {
    code: 'breaker_open',
    agent: 'writer',
    request,
    retryAfterSeconds: 42,
    openedAt: '2026-01-31T12:00:00.000Z',
    lastError: 'answered 500',
  },
  version_mismatch: {
    code: 'version_mismatch',
    workflow,
    expected: 3,
    actual: 4,
    state: { topic: 'queues', drafts: 2 },
    lastWriter: { by: 'writer', at: '2026-01-31T12:00:00.000Z' },
    changedFields: ['drafts'],
    retryAfterMs: 40,
  },
  version_required: { code: 'version_required', workflow },
  patch_failed: {
    code: 'patch_failed',
    workflow,
    index: 0,
    op: 'test',
    path: '/topic',
    reason: 'another value is there',
  },
  operation_reused: { code: 'operation_reused', workflow },
  workflow_exists: { code: 'workflow_exists', workflow },
  workflow_over: { code: 'workflow_over', workflow, ended: 'completed' },
  workflow_live: { code: 'workflow_live', workflow, now: 'running' },
  workflow_full: { code: 'workflow_full', workflow, max: limits.deferredEvents, retryAfterSeconds: 5 },
  illegal_transition: {
    code: 'illegal_transition',
    workflow,
    from: 'analysis_pending',
    event: 'synthesis_complete',
    allowed: ['analysis_complete', 'agent_error'],
  },
  no_statechart: { code: 'no_statechart', workflow },
  invalid_definition: {
    code: 'invalid_definition',
    issues: [{ path: 'states.review.on.approve', message: 'there is no state "published"' }],
  },
  definition_shipped: { code: 'definition_shipped', definition: 'research' },
  too_many_definitions: { code: 'too_many_definitions', max: limits.workflowDefinitions },
  not_configured: { code: 'not_configured' },
  unavailable: { code: 'unavailable', what: 'mailbox of writer', retryAfterSeconds: 1 },
  internal: { code: 'internal', incident: '019a6f0e-7c1b-7d43-9a55-2f60c1f7be21' },
}

/** Every code, in the order in which shared/fault.ts tells them. */
// The keys of a record typed by FaultCode are FaultCodes; Object.keys only forgets it.
export const faultCodes = Object.keys(examples) as readonly FaultCode[]

/** What a caller would see of this code. */
export function exampleOf(code: FaultCode): Problem {
  return problemOf(examples[code])
}

/**
 * The limits that a schema of the HTTP interface holds to: for each, an operation, where in its input the limit is, and an input that
 * has so much of it. Never here: an expectation (bounds.test.ts), limits that other code decides (limits.test.ts tells where).
 */
import type { Limits } from '../../shared/limits.ts'

export interface InputBound {
  readonly limit: keyof Limits
  /** Method and path, as the table of operations has them. */
  readonly operation: string
  readonly in: 'body' | 'query'
  /** Where the issue is. */
  readonly path: string
  /** An input with so much of it. */
  readonly input: (n: number) => unknown
}

const text = (n: number) => 'x'.repeat(n)
const many = <Item>(n: number, item: (i: number) => Item) => Array.from({ length: n }, (_, i) => item(i))
/** A JSON string of so many bytes. */
const bytes = (n: number) => text(n - 2)

type Row = readonly [limit: keyof Limits, path: string, input: (n: number) => unknown]

const bodyOf = (operation: string, rows: readonly Row[]): InputBound[] =>
  rows.map(([limit, path, input]) => ({ limit, operation, in: 'body', path, input }))
const queryOf = (operation: string, limit: keyof Limits, name: string): InputBound => ({
  ...{ limit, operation, in: 'query', path: name },
  input: (n) => ({ [name]: String(n) }),
})

const agent = (more: object) => ({ kind: 'pull', ...more })
const skill = (more: object) => agent({ skills: [{ id: 'a', name: 'a', ...more }] })
const policy = (more: object) => agent({ policy: more })
const request = (more: object) => ({ to: 'ada', type: 't', ...more })
const scatter = (more: object) => ({ to: 'ada', type: 't', ...more })
const approval = (more: object) => ({ question: 'May I?', notify: ['ada'], ...more })
const workflow = (more: object) => ({ ...more })
const schedule = (more: object) => ({ everySeconds: 60, message: { to: 'ada', type: 't' }, ...more })

export const inputBounds: readonly InputBound[] = [
  ...bodyOf('POST /v1/messages', [
    ['typeLength', 'type', (n) => ({ to: 'ada', type: text(n) })],
    ['idLength', 'id', (n) => ({ to: 'ada', type: 't', id: text(n) })],
    ['attributeLength', 'subject', (n) => ({ to: 'ada', type: 't', subject: text(n) })],
    ['topicLength', 'topic', (n) => ({ topic: text(n), type: 't' })],
    ['urlLength', 'dataref', (n) => ({ to: 'ada', type: 't', dataref: `https://a.example/`.padEnd(n, 'x') })],
    ['hops', 'chain', (n) => ({ to: 'first', type: 't', chain: many(n, (i) => `a${i}`) })],
    ['attemptsPerReceipt', 'maxattempts', (n) => ({ to: 'ada', type: 't', maxattempts: n })],
    ['timeoutSeconds', 'timeoutseconds', (n) => ({ to: 'ada', type: 't', timeoutseconds: n })],
    ['debounceSeconds', 'debounceseconds', (n) => ({ to: 'ada', type: 't', collapsekey: 'k', debounceseconds: n })],
  ]),
  ...bodyOf('PUT /v1/agents/{agent}', [
    ['attemptsPerReceipt', 'policy.maxAttempts', (n) => policy({ maxAttempts: n })],
    ['timeoutSeconds', 'policy.timeoutSeconds', (n) => policy({ timeoutSeconds: n })],
    ['claimSeconds', 'policy.ackSeconds', (n) => policy({ ackSeconds: n })],
    ['catchUpBackSeconds', 'policy.catchUp.sinceSeconds', (n) => policy({ catchUp: { sinceSeconds: n } })],
    [
      'batchDeliveries',
      'policy.batch.size',
      (n) => ({ kind: 'webhook', url: 'https://a.example/', policy: { batch: { size: n } } }),
    ],
    [
      'leaseBytes',
      'policy.batch.bytes',
      (n) => ({ kind: 'webhook', url: 'https://a.example/', policy: { batch: { bytes: n } } }),
    ],
    ['capabilitiesPerAgent', 'capabilities', (n) => agent({ capabilities: many(n, (i) => `c${i}`) })],
    ['protocolVersions', 'protocolVersions', (n) => agent({ protocolVersions: many(n, (i) => `1.${i}`) })],
    ['skillsPerAgent', 'skills', (n) => agent({ skills: many(n, (i) => ({ id: `s${i}`, name: 's' })) })],
    ['skillTags', 'skills.0.tags', (n) => skill({ tags: many(n, (i) => `t${i}`) })],
    ['skillModes', 'skills.0.inputModes', (n) => skill({ inputModes: many(n, (i) => `m${i}`) })],
    ['skillDescriptionLength', 'skills.0.description', (n) => skill({ description: text(n) })],
    [
      'cardBytes',
      'skills',
      (n) => {
        const empty = [{ id: 'a', name: 'a', schema: { x: '' } }]
        return skill({ schema: { x: text(n - JSON.stringify(empty).length) } })
      },
    ],
    ['resourcesPerAgent', 'resources', (n) => agent({ resources: many(n, (i) => `r${i}`) })],
    ['resourceNameLength', 'resources.0', (n) => agent({ resources: [text(n)] })],
    ['permissionPatterns', 'permissions.send', (n) => agent({ permissions: { send: many(n, (i) => `a${i}`) } })],
  ]),
  queryOf('DELETE /v1/agents/{agent}', 'keepMailSeconds', 'keepSeconds'),
  ...bodyOf('POST /v1/agents/{agent}/pause', [['errorMessageLength', 'reason', (n) => ({ reason: text(n) })]]),
  ...bodyOf('POST /v1/agents/{agent}/lease', [
    ['leaseMax', 'max', (n) => ({ max: n })],
    ['leaseSeconds', 'leaseSeconds', (n) => ({ leaseSeconds: n })],
    ['waitSeconds', 'waitSeconds', (n) => ({ waitSeconds: n })],
  ]),
  ...bodyOf('POST /v1/agents/{agent}/handshake', [
    ['handshakeSeconds', 'expiresInSeconds', (n) => ({ protocolVersions: ['1.0'], expiresInSeconds: n })],
  ]),
  ...bodyOf('POST /v1/deliveries/{id}/ack', [
    [
      'effectsPerAttempt',
      'effects.messages',
      (n) => ({ token: 't', effects: { messages: many(n, () => ({ to: 'ada', type: 't' })) } }),
    ],
  ]),
  ...bodyOf('POST /v1/deliveries/{id}/nack', [
    ['delaySeconds', 'delaySeconds', (n) => ({ token: 't', delaySeconds: n })],
    [
      'resourceHoldSeconds',
      'resource.retryAfterSeconds',
      (n) => ({ token: 't', resource: { name: 'r', status: 429, retryAfterSeconds: n } }),
    ],
    ['budgetTokens', 'usage.inputTokens', (n) => ({ token: 't', usage: { inputTokens: n } })],
    ['budgetUsd', 'usage.costUsd', (n) => ({ token: 't', usage: { costUsd: n } })],
  ]),
  ...bodyOf('POST /v1/deliveries/{id}/extend', [
    ['progressNoteLength', 'progress.note', (n) => ({ token: 't', seconds: 1, progress: { note: text(n) } })],
  ]),
  ...bodyOf('POST /v1/requests', [
    ['requestSeconds', 'timeoutSeconds', (n) => request({ timeoutSeconds: n })],
    ['requestRetries', 'onTimeout.times', (n) => request({ onTimeout: { kind: 'retry', times: n } })],
    ['contextBytes', 'context', (n) => request({ context: bytes(n) })],
  ]),
  ...bodyOf('POST /v1/scatters', [
    ['requestSeconds', 'deadlineSeconds', (n) => scatter({ deadlineSeconds: n })],
    ['scatterAgents', 'to', (n) => scatter({ to: many(n, (i) => `a${i}`) })],
    ['scatterItems', 'items', (n) => scatter({ items: many(n, () => 1) })],
    [
      'contextBytes',
      'reduce',
      (n) => scatter({ reduce: { to: 'ada', type: 't', data: { x: text(n - '{"x":""}'.length) } } }),
    ],
  ]),
  queryOf('GET /v1/scatters/{id}', 'scatterLegs', 'cursor'),
  ...bodyOf('POST /v1/dead-letters/redrive', [['redriveMany', 'max', (n) => ({ max: n })]]),
  queryOf('GET /v1/agents', 'pageSize', 'limit'),
  ...bodyOf('PUT /v1/schedules/{schedule}', [
    ['delaySeconds', 'everySeconds', (n) => schedule({ everySeconds: n })],
    ['catchUpSeconds', 'catchUpSeconds', (n) => schedule({ catchUpSeconds: n })],
    ['jitterSeconds', 'jitterSeconds', (n) => schedule({ jitterSeconds: n })],
  ]),
  ...bodyOf('POST /v1/schedules/{schedule}/pause', [['scheduleReasonLength', 'reason', (n) => ({ reason: text(n) })]]),
  ...bodyOf('POST /v1/approvals', [
    ['approvalQuestionLength', 'question', (n) => approval({ question: text(n) })],
    ['approvalOptions', 'options', (n) => approval({ options: many(n, (i) => `o${i}`) })],
    ['approvalContextBytes', 'context', (n) => approval({ context: bytes(n) })],
    ['approvalAsked', 'notify', (n) => approval({ notify: many(n, (i) => `a${i}`) })],
    ['approvalSeconds', 'expiresInSeconds', (n) => approval({ expiresInSeconds: n })],
    [
      'approvalStages',
      'onTimeout',
      (n) =>
        approval({
          expiresInSeconds: 1,
          onTimeout: { escalate: many(n, () => ({ notify: ['ada'], expiresInSeconds: 1 })) },
        }),
    ],
  ]),
  ...bodyOf('POST /v1/approvals/{approval}/decision', [
    ['approvalNoteLength', 'note', (n) => ({ option: 'approve', note: text(n) })],
  ]),
  ...bodyOf('POST /v1/promises', [
    ['promiseSeconds', 'timeoutSeconds', (n) => ({ timeoutSeconds: n })],
    ['promiseResolvers', 'resolvers', (n) => ({ resolvers: many(n, (i) => `a${i}`) })],
    ['idempotencyKeyLength', 'name', (n) => ({ name: text(n) })],
  ]),
  ...bodyOf('POST /v1/workflows', [
    ['descendants', 'guards.messages', (n) => workflow({ guards: { messages: n } })],
    ['hops', 'guards.hops', (n) => workflow({ guards: { hops: n } })],
    ['budgetMessages', 'budget.messages', (n) => workflow({ budget: { messages: n } })],
    ['budgetTokens', 'budget.tokens', (n) => workflow({ budget: { tokens: n } })],
    ['budgetUsd', 'budget.costUsd', (n) => workflow({ budget: { costUsd: n } })],
    ['budgetSeconds', 'budget.seconds', (n) => workflow({ budget: { seconds: n } })],
    ['workflowKeptSeconds', 'retainSeconds', (n) => workflow({ retainSeconds: n })],
  ]),
  queryOf('GET /v1/workflows/{workflow}/watch', 'watchSeconds', 'seconds'),
  ...bodyOf('POST /v1/workflows/{workflow}/state', [
    ['patchOperations', 'operations', (n) => ({ operations: many(n, () => ({ op: 'increment', path: '/n', by: 1 })) })],
  ]),
  ...bodyOf('PUT /v1/subscriptions/{subscription}', [
    ['selectedPaths', 'select', (n) => ({ agent: 'ada', topic: 't', select: many(n, (i) => `p${i}`) })],
    [
      'selectionLength',
      'select',
      (n) => ({ agent: 'ada', topic: 't', select: many(16, (i) => text(i === 0 ? n - 15 * 128 : 128)) }),
    ],
    ['messageBytes', 'maxBytes', (n) => ({ agent: 'ada', topic: 't', maxBytes: n })],
  ]),
  queryOf('POST /v1/documents', 'documentSeconds', 'expiresSeconds'),
  queryOf('GET /v1/stats', 'statsAgents', 'limit'),
  queryOf('GET /v1/audit', 'auditAgents', 'limit'),
]

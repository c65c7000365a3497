/** Faults: what a caller sees of each, and that docs/problems.md explains every one with an example that is true. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { type Fault, issuesOf, problemOf } from '../../shared/fault.ts'
import { exampleOf, faultCodes } from '../../shared/fault-examples.ts'

const text = (path: string) => readFileSync(join(import.meta.dirname, '../..', path), 'utf8')

describe('docs/problems.md', () => {
  const page = text('docs/problems.md')
  const sections = new Map(
    page
      .split(/^## /m)
      .slice(1)
      .map((section) => [section.slice(0, section.indexOf('\n')), section]),
  )

  it('has a section for each code of the Fault union, and for nothing else', () => {
    // There is an example of each code: the compiler sees to it.
    expect([...sections.keys()].sort()).toEqual([...faultCodes].sort())
  })

  it.each(faultCodes)('%s: tells the status, and the body that is really sent', (code) => {
    const section = sections.get(code) ?? ''
    const { status, headers, body } = exampleOf(code)
    expect(section).toContain(`**${status}**`)
    for (const [name, value] of Object.entries(headers)) expect(section).toContain(`\`${name}: ${value}\``)
    expect(JSON.parse(/```json\n(.*?)```/s.exec(section)?.[1] ?? 'null')).toEqual(body)
  })

  it.each(faultCodes)('%s: says what to do next, after the example (A121)', (code) => {
    expect(sections.get(code)?.split('```').at(-1)?.trim().length).toBeGreaterThan(10)
  })
})

const samples: readonly [Fault, number, { retryable?: true; headers?: Record<string, string> }][] = [
  [{ code: 'invalid_json', reason: 'x' }, 400, {}],
  [{ code: 'invalid_request', issues: [] }, 400, {}],
  [{ code: 'too_large', what: 'message', limitBytes: 1, gotBytes: 2 }, 413, {}],
  [{ code: 'too_deep', limit: 64 }, 400, {}],
  [{ code: 'unsupported_media_type', got: 'a/b', supported: ['c/d'] }, 415, {}],
  [{ code: 'unauthenticated', reason: 'x' }, 401, { headers: { 'WWW-Authenticate': 'Bearer realm="switchboard"' } }],
  [{ code: 'invalid_signature', reason: 'x' }, 401, { headers: { 'WWW-Authenticate': 'Bearer realm="switchboard"' } }],
  [
    { code: 'stale_timestamp', toleranceSeconds: 300, skewSeconds: -301 },
    401,
    { headers: { 'WWW-Authenticate': 'Bearer realm="switchboard"' } },
  ],
  [{ code: 'forbidden', action: 'send to', subject: 'a' }, 403, {}],
  [{ code: 'foreign_source', claimed: 'a', allowed: ['b'] }, 403, {}],
  [
    { code: 'rate_limited', limit: 10, perSeconds: 1, retryAfterSeconds: 0.2 },
    429,
    { retryable: true, headers: { 'Retry-After': '1' } },
  ],
  [{ code: 'agent_not_found', agent: 'a' }, 404, {}],
  [{ code: 'not_found', what: 'delivery', id: 'x' }, 404, {}],
  [{ code: 'route_not_found', path: '/x' }, 404, {}],
  [{ code: 'method_not_allowed', method: 'PUT', allow: ['GET', 'POST'] }, 405, { headers: { Allow: 'GET, POST' } }],
  [{ code: 'key_reused', key: 'k', delivery: 'd' }, 422, {}],
  [{ code: 'key_required' }, 422, {}],
  [{ code: 'already_expired', expirytime: 't' }, 422, {}],
  [{ code: 'empty_scatter', what: 'agents' }, 422, {}],
  [{ code: 'scatter_over', scatter: 's', ended: 'completed' }, 409, {}],
  [{ code: 'not_durable', attribute: 'partitionkey' }, 422, {}],
  [{ code: 'unroutable', destination: '*' }, 404, {}],
  [{ code: 'invalid_url', url: 'x', reason: 'y' }, 422, {}],
  [{ code: 'stale_lease', delivery: 'd', reason: 'x' }, 409, {}],
  [{ code: 'already_settled', delivery: 'd', ended: 'completed' }, 409, {}],
  [{ code: 'data_forgotten', delivery: 'd' }, 410, {}],
  [{ code: 'not_redrivable', delivery: 'd', ended: 'completed' }, 409, {}],
  [{ code: 'agent_has_mail', agent: 'a', depth: 1 }, 409, {}],
  [{ code: 'wrong_kind', agent: 'a', kind: 'pull', needed: 'webhook' }, 409, {}],
  [
    { code: 'backpressure', agent: 'a', depth: 900, max: 900, retryAfterSeconds: 2 },
    429,
    { retryable: true, headers: { 'Retry-After': '2' } },
  ],
  [{ code: 'loop_detected', reason: 'x', path: ['a_1'], delivery: 'b_1' }, 409, {}],
  [{ code: 'hop_limit', reason: 'x', path: [] }, 409, {}],
  [{ code: 'budget_spent', workflow: 'w', reason: 'x' }, 409, {}],
  [{ code: 'too_many_keys', agent: 'a', max: 20 }, 409, {}],
  [{ code: 'already_made', what: 'key', id: 'key_1' }, 409, {}],
  [{ code: 'already_made', what: 'secret', id: 'a' }, 409, {}],
  [{ code: 'too_many_subscriptions', agent: 'a', max: 1_000 }, 409, {}],
  [
    {
      ...{ code: 'version_mismatch', workflow: 'w', expected: 1, actual: 2, state: {}, retryAfterMs: 20 },
      lastWriter: { by: 'a', at: 't' },
    },
    412,
    { headers: { ETag: '"2"', 'Retry-After-Ms': '20' } },
  ],
  [{ code: 'version_required', workflow: 'w' }, 428, {}],
  [{ code: 'patch_failed', workflow: 'w', index: 0, op: 'test', path: '/a', reason: 'x' }, 422, {}],
  [{ code: 'operation_reused', workflow: 'w' }, 422, {}],
  [{ code: 'workflow_exists', workflow: 'w' }, 409, {}],
  [{ code: 'workflow_over', workflow: 'w', ended: 'completed' }, 409, {}],
  [{ code: 'workflow_live', workflow: 'w', now: 'running' }, 409, {}],
  [
    { code: 'workflow_full', workflow: 'w', max: 1_000, retryAfterSeconds: 5 },
    429,
    { retryable: true, headers: { 'Retry-After': '5' } },
  ],
  [{ code: 'illegal_transition', workflow: 'w', from: 'a', event: 'x', allowed: [] }, 409, {}],
  [{ code: 'no_statechart', workflow: 'w' }, 409, {}],
  [{ code: 'invalid_definition', issues: [] }, 422, {}],
  [{ code: 'definition_shipped', definition: 'd' }, 409, {}],
  [{ code: 'too_many_definitions', max: 1 }, 409, {}],
  [{ code: 'too_many_approvals', owner: 'x', max: 1 }, 409, {}],
  [{ code: 'approval_over', approval: 'ap-x', ended: 'decided' }, 409, {}],
  [{ code: 'promise_over', promise: 'pr-x', ended: 'resolved', value: 1 }, 409, {}],
  [{ code: 'schema_mismatch', schema: 's', mismatches: [] }, 422, {}],
  [{ code: 'too_many_schemas', max: 1, maxBytes: 1 }, 409, {}],
  [{ code: 'too_many_schedules', owner: 'x', max: 1 }, 409, {}],
  [
    { code: 'schedule_busy', schedule: 's', pending: 1, retryAfterSeconds: 5 },
    429,
    { retryable: true, headers: { 'Retry-After': '5' } },
  ],
  [{ code: 'request_timeout', request: 'g-x', timeoutSeconds: 30, asked: 1 }, 504, { retryable: true }],
  [{ code: 'request_failed', request: 'g-x', why: 'ended', agent: 'a', delivery: 'a_x' }, 502, {}],
  [{ code: 'request_over', request: 'g-x', ended: 'replied' }, 409, {}],
  [
    { code: 'breaker_open', agent: 'a', request: 'g-x', retryAfterSeconds: 42 },
    503,
    { retryable: true, headers: { 'Retry-After': '42' } },
  ],
  [{ code: 'not_configured' }, 503, {}],
  [
    { code: 'unavailable', what: 'mailbox', retryAfterSeconds: 1 },
    503,
    { retryable: true, headers: { 'Retry-After': '1' } },
  ],
  [{ code: 'internal', incident: 'x' }, 500, { retryable: true }],
]

describe('problemOf', () => {
  it('is tried below with every code (TB39)', () => {
    expect(new Set(samples.map(([fault]) => fault.code))).toEqual(new Set(faultCodes))
  })

  it.each(samples)('%j is %d', (fault, status, { retryable, headers }) => {
    const { code, ...evidence } = fault
    const problem = problemOf(fault, '/v1/messages')
    expect(problem.status).toBe(status)
    expect(problem.headers).toEqual(headers ?? {})
    expect(problem.body).toEqual({
      type: `/problems#${code}`,
      title: expect.stringMatching(/^[A-Z]/),
      status,
      code,
      detail: expect.stringMatching(/.{20}/),
      retryable: retryable ?? false,
      instance: '/v1/messages',
      ...evidence,
    })
  })

  it('names no instance when there is none', () => {
    expect(problemOf({ code: 'key_required' }).body).not.toHaveProperty('instance')
  })

  it('evidence never replaces a standard member, and those are told first', () => {
    const posing = { type: 'evil', title: 'evil', status: 200, detail: 'evil', retryable: true, instance: '/evil' }
    const fault = { code: 'not_found', what: 'delivery', id: 'x', ...posing } as Fault
    const { body } = problemOf(fault, '/v1/deliveries/x')
    expect(body).toEqual({
      ...problemOf({ code: 'not_found', what: 'delivery', id: 'x' }, '/v1/deliveries/x').body,
    })
    expect(Object.keys(body).slice(0, 7)).toEqual([
      'type',
      'title',
      'status',
      'code',
      'detail',
      'retryable',
      'instance',
    ])
  })

  it('an internal fault tells outsiders its incident and no cause', () => {
    const { body } = problemOf({ code: 'internal', incident: 'i-1' })
    expect(Object.keys(body).sort()).toEqual(['code', 'detail', 'incident', 'retryable', 'status', 'title', 'type'])
  })

  it('Retry-After is whole seconds, and never sooner than asked', () => {
    const after = (retryAfterSeconds: number) =>
      problemOf({ code: 'unavailable', what: 'mailbox', retryAfterSeconds }).headers['Retry-After']
    expect([0, 0.2, 1, 1.5].map(after)).toEqual(['0', '1', '1', '2'])
  })

  it('what is told to come back later says when, and only that is retryable with a 4xx (A121)', () => {
    for (const [fault, status] of samples) {
      const { headers, body } = problemOf(fault)
      // A surprise of ours has no time when it is over, and whoever was waited for in vain may be asked again at once.
      if (body.retryable && status !== 500 && status !== 504) expect(headers).toHaveProperty('Retry-After')
      if (status < 500) expect(body.retryable).toBe(status === 429)
    }
  })

  it('the reason of a redrive that is refused is told in its own words', () => {
    const { body } = problemOf({ code: 'not_redrivable', delivery: 'd', ended: 'expired', reason: 'It was purged.' })
    expect(body.detail).toBe('It was purged.')
  })
})

describe('issuesOf', () => {
  const schema = z.object({ policy: z.object({ list: z.array(z.number()) }) })
  const issues = (value: unknown) => issuesOf(schema.safeParse(value).error ?? { issues: [] })

  it('names the path as the caller finds it in what was sent', () => {
    expect(issues({ policy: { list: [1, 'x'] } })).toEqual([{ path: 'policy.list.1', message: expect.any(String) }])
    expect(issues(7)).toEqual([{ path: '', message: expect.any(String) }])
    expect(problemOf({ code: 'invalid_request', issues: issues(7) }).body.detail).toContain('(body): ')
  })

  it('is bounded, however much is wrong', () => {
    expect(issues({ policy: { list: Array(1_000).fill('x') } })).toHaveLength(20)
  })
})

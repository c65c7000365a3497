/**
 * Every limit that a schema of the HTTP interface holds to: at the limit an input is taken, one over is refused, and the caller is
 * told where. Never here: which inputs (input-bounds.ts); limits that other code decides (test/limits-table.ts tells where).
 */
import { describe, expect, it } from 'vitest'
import type * as z from 'zod'
import { operations } from '../../shared/api.ts'
import { newBudget, permit as permitBudget } from '../../shared/budget.ts'
import { issuesOf, problemOf } from '../../shared/fault.ts'
import { limits } from '../../shared/limits.ts'
import { messageSchema, publishInput } from '../../shared/message.ts'
import { defaultPublishRate, spend } from '../../shared/publish-rate.ts'
import { newResource, permit } from '../../shared/resource.ts'
import { Rules, schemaRecord } from '../../shared/schema.ts'
import { parseDefinition } from '../../shared/statechart.ts'
import { type InputBound, inputBounds } from './input-bounds.ts'

function schemaOf({ operation, in: place }: InputBound): z.ZodType {
  const found = operations.find((one) => `${one.method.toUpperCase()} ${one.path}` === operation)
  const schema = place === 'query' ? found?.query : found?.body?.types['application/json']
  if (schema === undefined) throw new Error(`${operation} takes no ${place}`)
  return schema
}

describe('an input', () => {
  it.each(inputBounds)('of $operation with exactly $limit of `$path` is taken, and one more is told', (bound) => {
    const schema = schemaOf(bound)
    const taken = schema.safeParse(bound.input(limits[bound.limit]))
    expect(taken.success ? [] : issuesOf(taken.error)).toEqual([])
    const refused = schema.safeParse(bound.input(limits[bound.limit] + 1))
    const issues = refused.success ? [] : issuesOf(refused.error)
    expect(issues.map((issue) => issue.path)).toEqual([bound.path])
    const { status, body } = problemOf({ code: 'invalid_request', issues })
    expect([status, body['issues']]).toEqual([400, issues])
    expect(body.detail).toContain(bound.path)
  })
})

const numbered = (n: number) => Array.from({ length: n }, (_, i) => i)

describe('what is filled in when nobody says', () => {
  it.each([
    ['POST /v1/promises', 'body', 'timeoutSeconds', limits.promiseDefaultSeconds],
    ['POST /v1/documents', 'query', 'expiresSeconds', limits.documentSecondsDefault],
    ['POST /v1/dead-letters/redrive', 'body', 'max', limits.redriveMany],
    ['GET /v1/agents', 'query', 'limit', limits.pageSize],
  ] as const)('by %s in its %s is `%s`: %i', (operation, place, name, filled) => {
    expect(schemaOf({ operation, in: place } as InputBound).parse({})).toHaveProperty(name, filled)
  })

  it('and a document is kept no shorter than its least', () => {
    const query = schemaOf({ operation: 'POST /v1/documents', in: 'query' } as InputBound)
    const taken = (expiresSeconds: number) => query.safeParse({ expiresSeconds: String(expiresSeconds) }).success
    expect([taken(limits.documentSecondsMin), taken(limits.documentSecondsMin - 1)]).toEqual([true, false])
  })
})

describe('an attribute of one’s own', () => {
  it('has a name of at most so many characters', () => {
    const taken = (n: number) => publishInput.safeParse({ to: 'ada', type: 't', ['x'.repeat(n)]: 1 }).success
    expect([taken(limits.attributeNameLength), taken(limits.attributeNameLength + 1)]).toEqual([true, false])
  })
})

describe('a statechart', () => {
  it('has a message sent again at most so often', () => {
    const found = (times: number) =>
      parseDefinition({ initial: 'a', states: { a: { meta: { switchboard: { retry: { times } } } } } })
    expect(found(limits.chartRetries).ok).toBe(true)
    expect(found(limits.chartRetries + 1)).toMatchObject({
      ok: false,
      error: [{ path: 'states.a.meta.switchboard.retry.times' }],
    })
  })
})

describe('a key of which nothing else is said', () => {
  it('publishes so many messages in so many seconds, and the next one waits its share of them', () => {
    const all = spend(0, defaultPublishRate, limits.keyMessages, 0)
    if (all.status !== 'spent') throw new Error('over')
    const next = spend(all.paidUntil, defaultPublishRate, 1, 0)
    expect(next).toMatchObject({ status: 'over' })
    expect(next.status === 'over' && next.retryAfterSeconds).toBeCloseTo(
      limits.keyMessagesPerSeconds / limits.keyMessages,
      4,
    )
    expect(
      spend(all.paidUntil, defaultPublishRate, limits.keyMessages, limits.keyMessagesPerSeconds * 1_000),
    ).toMatchObject({ status: 'spent' })
  })
})

describe('a resource', () => {
  it('remembers so many permits of those who must report, the latest, and gives no fewer', () => {
    const asks = numbered(limits.permitsPerResource + 1).map((i) => ({ ticket: `t${i}`, forMs: 1_000, outside: true }))
    const [full] = permit(newResource('r'), asks.slice(0, -1), 0)
    expect(full.permits).toHaveLength(limits.permitsPerResource)
    const [over, answers] = permit(newResource('r'), asks, 0)
    expect(answers.every((answer) => answer.status === 'permitted')).toBe(true)
    expect([over.permits.length, over.permits[0]?.ticket]).toEqual([limits.permitsPerResource, 't1'])
  })
})

describe('a budget that is spent', () => {
  it('remembers so many agents that hold its mail, and holds the mail of others all the same', () => {
    const spent = permitBudget(newBudget({ messages: 1 }, 0), [askOf('first')], false, 0)[0]
    const asks = numbered(limits.agentsHolding + 1).map((i) => askOf(`a${i}`))
    const [budget, answers] = permitBudget(spent, asks, false, 0)
    expect(budget.holding).toHaveLength(limits.agentsHolding)
    expect(budget.holding).not.toContain(`a${limits.agentsHolding}`)
    expect(answers.every((answer) => answer.status === 'held')).toBe(true)
  })
})

const askOf = (agent: string) => ({ ticket: agent, delivery: `${agent}_1`, agent, attempt: 1, forMs: 1_000 })

describe('a message that does not fit its schema', () => {
  it('is told everything that is wrong with it up to so many bytes, and beyond only what is wrong first', () => {
    const stored = { name: 's', match: { type: 't' }, schema: { items: { type: 'number' } } }
    const record = schemaRecord.parse({ ...stored, v: 1, version: 1, updatedAt: 0 })
    const rules = new Rules({ version: 1, items: [record] })
    const message = messageSchema.parse({
      ...{ specversion: '1.0', id: 'm', source: 'admin', type: 't', time: '2026-01-01T00:00:00Z' },
      ...{ correlationid: 'm', to: 'ada', data: ['a', 'b'] },
    })
    const found = (bytes: number) => rules.violations(message, bytes)[0]?.mismatches.length ?? 0
    expect(found(limits.thoroughBytes)).toBeGreaterThan(found(limits.thoroughBytes + 1))
  })
})

/**
 * A new agent of the name of one that was deleted: it inherits nothing, neither mail that was read nor what the other one made.
 * An admin sees all. Never here: mail that is kept for whoever comes back (test/workers/agents.test.ts).
 */
import { describe, expect, it, vi } from 'vitest'
import { type Answered, call, freshName, leaseOne, pullAgent, type Registered, sendId } from './gateway.ts'

const ack = (agent: Registered, { id, token }: { id: string; token: string }, more: object = {}) =>
  call('POST', `/v1/deliveries/${id}/ack`, { key: agent.key, json: { token, ...more } })

const wait0 = { headers: { Prefer: 'wait=0' } }

/** The one that has its name after it: the first is deleted, with its mail. */
async function replaced({ name }: Registered): Promise<Registered> {
  expect((await call('DELETE', `/v1/agents/${name}?mail=dead`)).status).toBe(204)
  const { body } = await call('PUT', `/v1/agents/${name}`, { json: { kind: 'pull' } })
  return { name, key: body.key }
}

const seen = ({ status, body }: Answered): unknown => (status === 200 ? (body.items?.length ?? 'shown') : status)

/** What a key is shown of each. */
async function shown(key: string | undefined, paths: readonly string[]): Promise<unknown[]> {
  const answers: unknown[] = []
  for (const path of paths) answers.push(seen(await call('GET', path, key === undefined ? {} : { key })))
  return answers
}

describe('a new agent of the name of one that was deleted', () => {
  it('reads none of the mail of the one before it, and brings none of it back', async () => {
    const first = await pullAgent()
    const [dead, done] = [await sendId(first.name, { data: 'a secret' }), await sendId(first.name)]
    const lease = await leaseOne(first)
    expect(lease.id).toBe(dead)
    await ack(first, lease, { result: 'a secret too' })
    const next = await replaced(first)
    const buried = () => call('GET', `/v1/dead-letters?agent=${first.name}`)
    const letter = (await vi.waitUntil(async () => (await buried()).body.items[0])).id
    const [deliveries, letters] = [`/v1/agents/${first.name}/deliveries`, '/v1/dead-letters']
    const paths = [
      ...[deliveries, `/v1/deliveries/${dead}`, `/v1/deliveries/${done}`, `/v1/deliveries/${done}/data`],
      ...[letters, `${letters}/groups`, `${letters}/${letter}`],
    ]
    expect(await shown(next.key, paths)).toEqual([0, 404, 404, 404, 0, 0, 404])
    expect((await shown(undefined, paths.slice(0, 3))).slice(0, 3)).toEqual([2, 'shown', 'shown'])
    expect(seen(await call('GET', `${letters}/${letter}`))).toBe('shown')
    const asNext = { key: next.key, json: {} }
    expect((await call('POST', `${letters}/${letter}/redrive`, asNext)).status).toBe(404)
    expect((await call('DELETE', `${letters}/${letter}`, { key: next.key })).status).toBe(404)
    expect((await call('POST', `${letters}/redrive`, asNext)).body).toMatchObject({ redriven: [], refused: [] })
  })

  it('reads what comes to itself, and the receipts of what it sends itself', async () => {
    const [first, other] = [await pullAgent(), await pullAgent()]
    const before = await sendId(other.name, { id: 'before' }, { key: first.key })
    const next = await replaced(first)
    const after = await sendId(other.name, { id: 'after' }, { key: next.key })
    const own = await sendId(next.name, { data: 'for it' })
    const deliveries = [before, after, own].map((id) => `/v1/deliveries/${id}`)
    expect(await shown(next.key, deliveries)).toEqual([404, 'shown', 'shown'])
    expect(await shown(other.key, deliveries)).toEqual(['shown', 'shown', 403])
    expect((await call('GET', `/v1/deliveries/${own}/data`, { key: next.key })).body.data).toBe('for it')
  })

  it('has none of what the one before it made: requests, promises, documents, schedules, approvals', async () => {
    const [first, other] = [await pullAgent(), await pullAgent()]
    const name = freshName('thing')
    const make = async (key: string) => {
      const at = { key, headers: { ...wait0.headers, 'Idempotency-Key': name } }
      const asked = { to: other.name, type: 'ask', data: 1, context: 'a secret' }
      const doc = await call('POST', '/v1/documents', {
        ...{ key, body: 'bytes', headers: { 'Content-Type': 'text/plain', 'Idempotency-Key': name } },
      })
      const schedule = { everySeconds: 3_600, message: { to: other.name, type: 'tick' } }
      return [
        await call('POST', '/v1/requests', { ...at, json: asked }),
        await call('POST', '/v1/promises', { key, json: { name, timeoutSeconds: 60 } }),
        doc,
        await call('POST', '/v1/scatters', { ...at, json: { to: [other.name], type: 'ask', data: 1 } }),
        await call('POST', '/v1/approvals', {
          ...at,
          json: { question: 'So?', options: ['yes'], notify: [other.name] },
        }),
        await call('PUT', `/v1/schedules/${name}`, { key, json: schedule }),
      ]
    }
    const made = await make(first.key)
    expect(made.map((answer) => answer.status)).toEqual([202, 201, 201, 202, 201, 201])
    const kinds = ['requests', 'promises', 'documents', 'scatters', 'approvals', 'schedules']
    const paths = kinds.map((kind, n) => `/v1/${kind}/${made[n]!.body.id}`)
    const lists = ['requests?status=pending', 'approvals', 'schedules'].map((kind) => `/v1/${kind}`)
    expect(await shown(first.key, [...paths, ...lists])).toEqual([...Array(6).fill('shown'), 1, 1, 1])

    const next = await replaced(first)
    expect(await shown(next.key, [...paths, ...lists])).toEqual([...Array(6).fill(403), 0, 0, 0])
    expect(await shown(undefined, paths)).toEqual(Array(6).fill('shown'))
    // Its names and keys are not given away with what they found.
    const again = await make(next.key)
    expect(again.map((answer) => answer.status)).toEqual([422, 422, 422, 422, 422, 403])
    expect(JSON.stringify(again.map((answer) => answer.body))).not.toContain('a secret')
  })

  it('may not ask the workflow that the one before it made, unless its permissions name it', async () => {
    const narrow = { permissions: { readState: [], writeState: ['*'] } }
    const first = await pullAgent({}, narrow)
    const id = freshName('w')
    expect((await call('POST', '/v1/workflows', { key: first.key, json: { id } })).status).toBe(201)
    expect(await shown(first.key, [`/v1/workflows/${id}`])).toEqual(['shown'])
    await call('DELETE', `/v1/agents/${first.name}`)
    const { body } = await call('PUT', `/v1/agents/${first.name}`, { json: { kind: 'pull', ...narrow } })
    expect(await shown(body.key, [`/v1/workflows/${id}`])).toEqual([403])
  })
})

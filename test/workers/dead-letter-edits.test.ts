/** Dead letters over HTTP: edited before they are redriven, one or a group, and exported. Never here: what an edit keeps (test/shared/edit.test.ts). */
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import type { DeadLettersPort } from '../../shared/dead-letter.ts'
import { exportLetters } from '../../workers/export-letters.ts'
import { type Body, call, freshName, leaseOne, pullAgent, type Registered, receipt, sendId } from './gateway.ts'

const redrive = (id: string, json?: unknown, key?: string) =>
  call('POST', `/v1/dead-letters/${id}/redrive`, { ...(json === undefined ? {} : { json }), ...(key && { key }) })
const there = async (id: string) => (await call('GET', `/v1/dead-letters/${id}`)).status === 200

/** Sends one, fails it for good, and waits until the index has it. */
async function dead(agent: Registered, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const sent = await sendId(agent.name, more)
  const { id, token } = await leaseOne(agent)
  await call('POST', `/v1/deliveries/${id}/nack`, { key: agent.key, json: { token, terminal: true, reason: 'no use' } })
  await expect.poll(() => there(sent)).toBe(true)
  return sent
}

describe('a redrive with an edit', () => {
  it('delivers the edited data, marked with who edited it, and keeps what was sent (A95)', async () => {
    const agent = await pullAgent()
    const id = await dead(agent, { data: { city: 'Ulm', n: 1 } })
    expect((await redrive(id, { patch: { city: 'Bonn' } }, agent.key)).body).toEqual({
      id,
      delivery: id,
      status: 'redriven',
    })
    const { message } = await leaseOne(agent)
    expect(message).toMatchObject({ data: { city: 'Bonn', n: 1 }, source: 'admin', editedby: agent.name })
    expect((await receipt(id)).edits).toMatchObject({
      original: { data: { city: 'Ulm', n: 1 } },
      made: [{ by: agent.name, life: 1, data: true, at: expect.any(String) }],
    })
  })

  it('after another redrive is refused as not made; the repeat of one that was made is not (A95)', async () => {
    const agent = await pullAgent()
    const id = await dead(agent, { data: { city: 'Ulm' } })
    const answers = await Promise.all([redrive(id, { data: 1 }), redrive(id, { data: 2 }), redrive(id)])
    const { message } = await leaseOne(agent)
    const made = message.data === 1 ? 0 : message.data === 2 ? 1 : undefined
    for (const [n, { status, body }] of answers.slice(0, 2).entries())
      expect([status, n === made ? body.status : body.code]).toEqual(
        n === made ? [200, 'redriven'] : [409, 'not_redrivable'],
      )
    expect(answers[2]?.status).toBe(200)
    const again = await dead(agent, { data: { city: 'Ulm' } })
    const statuses = []
    for (const asked of [{ data: 1 }, { data: 2 }, { data: 1 }, {}]) statuses.push((await redrive(again, asked)).status)
    expect(statuses).toEqual([200, 409, 200, 200])
    const refused = await redrive(again, { to: (await pullAgent()).name })
    expect(refused.body).toMatchObject({ code: 'not_redrivable', detail: expect.stringContaining('was not made') })
  })

  it('that dies again tells of its edits on its new letter (A95)', async () => {
    const agent = await pullAgent()
    const id = await dead(agent, { data: 1 })
    await redrive(id, { data: 2 })
    const { token } = await leaseOne(agent)
    await call('POST', `/v1/deliveries/${id}/nack`, { key: agent.key, json: { token, terminal: true } })
    await expect.poll(() => there(`${id}-r1`)).toBe(true)
    const { body } = await call('GET', `/v1/dead-letters/${id}-r1`)
    expect(body.edits.original).toEqual({ bytes: 1, digest: expect.any(String) })
    expect(body).toMatchObject({ edits: { made: [{ by: 'admin' }] }, breaker: 'closed' })
    expect(body.policy.depth).toBe(1_000)
  })

  it('gives it to another agent, for an admin only: nobody passes mail on in its sender’s name (A95, S1)', async () => {
    const [agent, other] = [await pullAgent(), await pullAgent()]
    const id = await dead(agent, { data: 'x' })
    expect((await redrive(id, { to: other.name }, agent.key)).body.code).toBe('forbidden')
    expect((await redrive(id, { to: 'nobody-there' })).body.code).toBe('agent_not_found')
    expect(await there(id)).toBe(true)
    expect((await redrive(id, { to: other.name, data: 'y' })).status).toBe(200)
    expect(await receipt(id)).toMatchObject({
      status: 'cancelled',
      reassignedTo: expect.stringMatching(`^${other.name}_`),
    })
    expect(await leaseOne(other)).toMatchObject({ message: { data: 'y', to: other.name, source: 'admin' } })
    expect(await leaseOne(agent)).toBeUndefined()
  })

  it('is held to the schemas, and to the size of a message; what is refused stays as it was (A95)', async () => {
    const agent = await pullAgent()
    const type = freshName('t')
    const id = await dead(agent, { type, data: { n: 1 } })
    const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] }
    await call('PUT', `/v1/schemas/${type}`, { json: { match: { type }, schema } })
    expect((await redrive(id, { data: { n: 'one' } })).body.code).toBe('schema_mismatch')
    expect((await redrive(id, { data: 'x'.repeat(1_048_576) })).body.code).toBe('too_large')
    expect((await redrive(id, { data: 1, patch: {} })).body.code).toBe('invalid_request')
    expect(await there(id)).toBe(true)
    expect((await redrive(id, { data: { n: 2 } })).status).toBe(200)
    expect((await leaseOne(agent)).message.data).toEqual({ n: 2 })
  })

  it('of a refused effect is refused: it has no message that could be edited', async () => {
    const agent = await pullAgent({}, { permissions: { send: ['nowhere'] } })
    const delivery = await sendId(agent.name)
    const { token } = await leaseOne(agent)
    const effects = { messages: [{ to: agent.name, type: 'next' }] }
    await call('POST', `/v1/deliveries/${delivery}/ack`, { key: agent.key, json: { token, effects } })
    await expect.poll(() => there(`${delivery}-e1`)).toBe(true)
    expect((await redrive(`${delivery}-e1`, { data: 1 })).body.code).toBe('not_redrivable')
  })

  it('of a whole group changes each of them alike (TC13, A95)', async () => {
    const agent = await pullAgent()
    const ids = [await dead(agent, { data: { n: 1 } }), await dead(agent, { data: { n: 2 } })]
    const { body } = await call('GET', `/v1/dead-letters/${ids[0]}`)
    const json = { agent: agent.name, fingerprint: body.fingerprint, edit: { patch: { safe: true } } }
    const told = await call('POST', '/v1/dead-letters/redrive', { key: agent.key, json })
    expect(told.body.redriven.map((r: Body) => r.id)).toEqual(ids)
    for (const n of [1, 2]) expect((await leaseOne(agent)).message.data).toEqual({ n, safe: true })
    const foreign = { edit: { to: agent.name } }
    const refused = await call('POST', '/v1/dead-letters/redrive', { key: agent.key, json: foreign })
    expect(refused.body.code).toBe('forbidden')
  })
})

describe('an export', () => {
  const exported = async (query: string, key?: string) => {
    const headers = { Accept: 'application/x-ndjson' }
    const answer = await call('GET', `/v1/dead-letters${query}`, { headers, ...(key && { key }) })
    return { ...answer, lines: String(answer.body).split('\n').filter(Boolean) }
  }

  it('is a line of JSON for each letter that matches, as the list shows it, over all pages (A95)', async () => {
    const agent = await pullAgent()
    const ids = [await dead(agent), await dead(agent), await dead(agent)]
    const { lines, headers } = await exported(`?agent=${agent.name}&limit=1`, agent.key)
    expect(headers.get('Content-Type')).toBe('application/x-ndjson')
    expect(lines.map((line) => JSON.parse(line).id).sort()).toEqual([...ids].sort())
    const { body } = await call('GET', `/v1/dead-letters?agent=${agent.name}`)
    expect(lines.map((line) => JSON.parse(line))).toEqual(body.items)
    expect((await exported(`?agent=${agent.name}&reason=expired`)).lines).toEqual([])
  })

  it('shows an agent its own only (A95)', async () => {
    const [agent, other] = [await pullAgent(), await pullAgent()]
    const [own] = [await dead(agent), await dead(other)]
    expect((await exported('', agent.key)).lines.map((line) => JSON.parse(line).id)).toEqual([own])
    const refused = await call('GET', `/v1/dead-letters?agent=${other.name}`, {
      key: agent.key,
      headers: { Accept: 'application/x-ndjson' },
    })
    expect([refused.status, refused.body.code]).toEqual([403, 'forbidden'])
  })
})

describe('the lines of an export', () => {
  it('end at their bound with a cursor, from which the next export goes on (A95)', async () => {
    const agent = await pullAgent()
    for (let i = 0; i < 3; i++) await dead(agent)
    const index = env.DEAD_LETTERS.getByName('all') as unknown as DeadLettersPort
    const read = async (cursor?: string): Promise<Body[]> => {
      const lines = exportLetters({ deadLetters: () => index }, { agent: agent.name }, cursor, ({ id }) => ({ id }), 2)
      return (await new Response(lines).text())
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line))
    }
    const first = await read()
    expect(first).toEqual([{ id: expect.any(String) }, { id: expect.any(String) }, { cursor: expect.any(String) }])
    const second = await read(first[2].cursor)
    expect(second).toEqual([{ id: expect.any(String) }])
    expect(new Set([...first.slice(0, 2), ...second].map((line) => line.id)).size).toBe(3)
  })
})

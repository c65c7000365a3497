/**
 * Runaway agents over real HTTP: two that always answer each other, and a circle of three, as webhooks that answer whatever they are
 * told. They stop, every one of them can see why, and what they used stays within their budget. Never here: which message trips
 * (test/shared/lineage.test.ts).
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundle, Host, hostAdminKey } from './host.ts'
import { Client, type Raw, type Told, Wire } from './wire.ts'

let host: Host
let wire: Wire
let client: Client
beforeAll(async () => {
  host = new Host(await bundle(join(import.meta.dirname, '../../workers/index.ts')))
  wire = await Wire.start()
  await host.start()
  client = new Client(host.url ?? '', hostAdminKey)
})
afterAll(async () => {
  await host.stop()
  await wire.stop()
})

interface Event {
  readonly type: string
  readonly source: string
  readonly data: { readonly [name: string]: unknown }
}
const eventOf = ({ body }: Raw): Event => JSON.parse(body.toString('utf8')) as Event

/** Agents in a circle, each of which sends something new to the next whatever it is told, and says what that has used. */
async function circle(...stems: readonly string[]) {
  const run = randomUUID().slice(0, 8)
  const names = stems.map((stem) => `${stem}-${run}`)
  let said = 0
  for (const [i, name] of names.entries()) {
    const next = names[(i + 1) % names.length]
    const url = wire.at(`/${name}`, () => {
      said += 1
      const messages = [{ to: next, type: 'chat', data: { said } }]
      return { status: 200, body: JSON.stringify({ messages, usage: { inputTokens: 10, costUsd: 0.01 } }) }
    })
    await client.webhook(name, url, { timeoutSeconds: 5 })
  }
  const events = (name: string) => wire.of(`/${name}`).map(eventOf)
  return {
    names,
    rounds: () => names.flatMap(events).filter(({ type }) => type === 'chat').length,
    errors: (name: string) => events(name).filter(({ type }) => type === 'switchboard.error'),
  }
}

/** What it gives once it has been the same for so long. */
async function atRest(count: () => number, quietMs = 1_500): Promise<number> {
  for (let before = -1, now = count(); ; before = now, now = count()) {
    if (now === before && now > 0) return now
    await pause(quietMs)
  }
}

async function workflow(budget: object): Promise<string> {
  const { status, body } = await client.call('POST', '/v1/workflows', { budget })
  expect(status).toBe(201)
  return body.id
}

const read = async (id: string): Promise<Told['body']> => (await client.call('GET', `/v1/workflows/${id}`)).body
const loops = async (agent: string): Promise<Told['body'][]> =>
  (await client.call('GET', `/v1/dead-letters?agent=${agent}&reason=loop_detected`)).body.items

describe('agents that always answer', () => {
  it('each other: stop within ten messages, both are told, and their budget is hardly touched (TC4, TC5)', async () => {
    const { names, rounds, errors } = await circle('ping', 'pong')
    const [ping, pong] = names as [string, string]
    const budget = await workflow({ messages: 100, tokens: 1_000, costUsd: 1 })
    await client.send(ping, { type: 'chat', data: {}, workflowid: budget })
    expect(await atRest(rounds)).toBe(10)

    for (const name of [ping, pong]) {
      const [told, ...again] = errors(name)
      expect(again).toEqual([])
      expect(told).toMatchObject({
        source: 'switchboard',
        data: { code: 'loop_detected', guard: 'revisits', limit: 4, from: pong, to: ping },
      })
      expect(told?.data['path']).toHaveLength(10)
    }
    const letter = (await loops(ping)).at(-1)
    expect(letter).toMatchObject({ kind: 'delivery', path: errors(ping)[0]?.data['path'] })
    const sender = await client.receipt(letter.path.at(-1))
    expect(sender).toMatchObject({
      agent: pong,
      effects: [{ kind: 'message', state: { status: 'refused', reason: 'loop_detected' } }, { kind: 'usage' }],
    })

    const { status, budget: spent } = await read(budget)
    expect({ status, stopped: spent.stopped }).toEqual({ status: 'running', stopped: undefined })
    // Ten rounds; what the broker told them is nobody's work, and what they used for it nobody's bill.
    expect(spent.spent).toMatchObject({ messages: 10, tokens: 100 })
  }, 60_000)

  it('round in a circle of three: stop, and whoever closes the circle is told with whoever would have begun anew', async () => {
    const { names, rounds, errors } = await circle('one', 'two', 'three')
    const [one, , three] = names as [string, string, string]
    await client.send(one, { type: 'chat', data: {} })
    expect(await atRest(rounds)).toBe(15)
    for (const name of [one, three]) expect(errors(name)).toMatchObject([{ data: { from: three, to: one } }])
    const letter = (await loops(one)).at(-1)
    expect(letter.path.map((id: string) => id.slice(0, id.lastIndexOf('_')))).toEqual(Array(5).fill(names).flat())
  }, 60_000)

  it('under a budget that is smaller than their circle: are paused within it, and nothing is lost', async () => {
    const { names, rounds } = await circle('spender', 'waster')
    const budget = await workflow({ tokens: 45 })
    await client.send(names[0]!, { type: 'chat', data: {}, workflowid: budget })
    // Four leases of ten are below 45, the fifth is the one that each agent may have too much.
    expect(await atRest(rounds)).toBe(5)
    const paused = await read(budget)
    expect(paused).toMatchObject({ status: 'paused', budget: { stopped: 'tokens', spent: { tokens: 50 } } })
    const { body } = await client.call('GET', `/v1/agents/${names[1]}/deliveries?status=parked`)
    expect(body.items).toHaveLength(1)
    expect(body.items[0]).toMatchObject({ attempt: 0, because: expect.stringContaining('50 of 45 tokens') })
    const raised = await client.call('PATCH', `/v1/workflows/${budget}`, { budget: { tokens: 10_000 } })
    expect(raised.body.status).toBe('running')
    // It goes on to where its circle is stopped.
    expect(await atRest(rounds)).toBe(10)
  }, 60_000)
})

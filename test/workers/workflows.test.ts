/** Workflows with a statechart, over HTTP: definitions, events, agents' work and failures, people, history and diagrams. */
import { describe, expect, it, vi } from 'vitest'
import {
  type Answered,
  type Body,
  call,
  freshName,
  leaseOne,
  pullAgent,
  type Registered,
  type Sent,
} from './gateway.ts'
import { ownSwitchboard } from './switchboard.ts'

const send = (to: string, type: string, more: object = {}) => ({ type: 'send', params: { to, type, ...more } })

/** The reference's own example: one agent after the other, and `failed` from wherever somebody gives up (A21). */
const research = (researcher: string, analyst: string) => ({
  initial: 'research_pending',
  states: {
    research_pending: {
      entry: send(researcher, 'research.request', { select: ['topic'] }),
      on: {
        'research.request.reply': {
          target: 'research_complete',
          actions: { type: 'update', params: { patch: { findings: { $from: 'event.data' } } } },
        },
      },
    },
    research_complete: { always: 'analysis_pending' },
    analysis_pending: {
      entry: send(analyst, 'analysis.request', { select: ['findings'] }),
      on: { 'analysis.request.reply': 'analysis_complete' },
    },
    analysis_complete: { type: 'final', output: { $from: 'state.findings' } },
    failed: { type: 'final' },
  },
  on: { agent_error: '.failed' },
})

const create = (json: object, sent: Sent = {}) =>
  call('POST', '/v1/workflows', { ...sent, json: { id: freshName('w'), ...json } })
const read = async (id: string): Promise<Body> => (await call('GET', `/v1/workflows/${id}`)).body
const history = async (id: string): Promise<Body[]> => (await call('GET', `/v1/workflows/${id}/history`)).body.items
const event = (id: string, json: object, sent: Sent = {}) =>
  call('POST', `/v1/workflows/${id}/events`, { ...sent, json })
const ack = (agent: Registered, { id, token }: Body, more: object) =>
  call('POST', `/v1/deliveries/${id}/ack`, { key: agent.key, json: { token, ...more } })

async function until<T>(ask: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  return vi
    .waitUntil(
      async () => {
        const value = await ask()
        return holds(value) ? { value } : false
      },
      { timeout: 8_000, interval: 20 },
    )
    .then(({ value }) => value)
}

const leased = (agent: Registered): Promise<Body> =>
  until(
    () => leaseOne(agent),
    (d) => d !== undefined,
  )

/** Two states and a way between them that only one event takes. */
const door = { initial: 'closed', states: { closed: { on: { open: 'ajar' } }, ajar: { on: { shut: 'closed' } } } }

describe('the research workflow (A20, A22, A23)', () => {
  it('goes from agent to agent by their answers, each gets what it needs, and its output is the result', async () => {
    const [researcher, analyst] = [await pullAgent(), await pullAgent()]
    const definition = research(researcher.name, analyst.name)
    const { status, body } = await create({ definition, state: { topic: 'queues', secret: 'x' } })
    expect([status, body.version, body.value]).toEqual([201, 1, 'research_pending'])

    const asked = await leased(researcher)
    expect(asked.message).toMatchObject({
      ...{ type: 'research.request', data: { topic: 'queues' }, source: `workflow/${body.id}` },
      ...{
        workflowid: body.id,
        correlationid: body.id,
        replyto: `workflow:${body.id}`,
        id: expect.stringMatching(`^${body.id}-[0-9a-z]+-1$`),
      },
    })
    await ack(researcher, asked, { result: ['a', 'b'] })

    const next = await leased(analyst)
    expect(next.message.data).toEqual({ findings: ['a', 'b'] })
    await ack(analyst, next, { effects: { reply: { data: 'done' } } })

    const ended = await until(
      () => read(body.id),
      (w) => w.status === 'completed',
    )
    expect(ended).toMatchObject({
      version: 3,
      value: 'analysis_complete',
      output: ['a', 'b'],
      state: { findings: ['a', 'b'] },
    })
    const entries = await history(body.id)
    expect(entries.map((e) => [e.kind, e.version])).toEqual([
      ['created', 1],
      ['transition', 2],
      ['transition', 3],
    ])
    const sent: Body[] = (await call('GET', `/v1/workflows/${body.id}/messages`)).body.items
    expect(sent.map((m) => [m.id, m.to, m.type, m.entry, m.state])).toEqual([
      [asked.message.id, researcher.name, 'research.request', 1, { status: 'carried', deliveries: [asked.id] }],
      [next.message.id, analyst.name, 'analysis.request', 2, { status: 'carried', deliveries: [next.id] }],
    ])
    expect((await call('GET', `/v1/workflows/${body.id}/messages?after=1`)).body.items).toEqual([sent[1]])
    expect(JSON.stringify(sent)).not.toContain('findings')
    // A transient state is in the history too.
    expect(entries[1].path.map((m: Body) => m.to)).toEqual(['research_complete', 'analysis_pending'])
    expect(entries[1]).toMatchObject({
      by: researcher.name,
      event: { type: 'research.request.reply' },
      effects: [2],
      fields: ['findings'],
    })
  })

  it('hears of an agent that failed for good as agent_error, with the delivery that tells why (A24)', async () => {
    const [researcher, analyst] = [await pullAgent(), await pullAgent()]
    const { body } = await create({ definition: research(researcher.name, analyst.name) })
    const asked = await leased(researcher)
    await call('POST', `/v1/deliveries/${asked.id}/nack`, {
      key: researcher.key,
      json: { token: asked.token, terminal: true },
    })
    const ended = await until(
      () => read(body.id),
      (w) => w.status === 'completed',
    )
    expect(ended.value).toBe('failed')
    expect((await history(body.id)).at(-1)).toMatchObject({ event: { type: 'agent_error' }, by: researcher.name })
  })

  it('the same answer a second time moves nothing (A23)', async () => {
    const id = (await create({ definition: door })).body.id
    const first = await event(id, { type: 'open', id: 'e-1' })
    await event(id, { type: 'shut' })
    const again = await event(id, { type: 'open', id: 'e-1' })
    expect(again.body).toEqual(first.body)
    expect((await read(id)).value).toBe('closed')
    expect((await event(id, { type: 'shut', id: 'e-1' })).body.code).toBe('operation_reused')
  })
})

describe('an event', () => {
  it('that the chart does not take is recorded and answered as ignored', async () => {
    const id = (await create({ definition: door })).body.id
    const { status, body } = await event(id, { type: 'shut' })
    expect([status, body]).toEqual([200, { reception: 'ignored', version: 1, value: 'closed', status: 'running' }])
    expect((await history(id)).at(-1)).toMatchObject({ kind: 'ignored', version: 1, event: { type: 'shut' } })
  })

  it('asked for as a transition is 409 with what would be taken, and leaves no trace (A20)', async () => {
    const id = (await create({ definition: door })).body.id
    const { status, body } = await event(id, { transition: 'shut' })
    expect([status, body.code, body.from, body.event, body.allowed]).toEqual([
      409,
      'illegal_transition',
      'closed',
      'shut',
      ['open'],
    ])
    expect(await history(id)).toHaveLength(1)
    expect((await event(id, { transition: 'open' })).body).toMatchObject({
      reception: 'taken',
      value: 'ajar',
      version: 2,
    })
  })

  it('of a workflow that has none, has ended, or does not exist is refused', async () => {
    const [stateless, ended] = [(await create({})).body.id, (await create({ definition: door })).body.id]
    await call('DELETE', `/v1/workflows/${ended}`)
    const codes = []
    for (const id of [stateless, ended, freshName('none')]) codes.push((await event(id, { type: 'open' })).body.code)
    expect(codes).toEqual(['no_statechart', 'workflow_over', 'not_found'])
    expect((await event(stateless, { type: 'xstate.done.state.x' })).body.code).toBe('no_statechart')
    expect((await event((await create({ definition: door })).body.id, { type: 'xstate.init' })).body.code).toBe(
      'invalid_request',
    )
  })

  it('may be a message to workflow:<id>, once for each id', async () => {
    const [id, sender] = [(await create({ definition: door })).body.id, await pullAgent()]
    const tell = (type: string, key: string) =>
      call('POST', '/v1/messages', { key: sender.key, json: { to: `workflow:${id}`, type, id: key } })
    expect((await tell('open', 'm-1')).body).toMatchObject({ deliveries: [], duplicate: false, reception: 'taken' })
    expect((await tell('open', 'm-1')).body).toMatchObject({ duplicate: true, reception: 'taken' })
    expect((await tell('open', 'm-2')).body).toMatchObject({ reception: 'ignored' })
    expect((await history(id)).filter((e) => e.kind === 'transition')).toMatchObject([
      { by: sender.name, event: { type: 'open', id: 'm-1' } },
    ])
  })

  it('from somebody who may not write the workflow is 403, by message or through replyto', async () => {
    const [id, stranger, other] = [
      (await create({ definition: door })).body.id,
      await pullAgent({}, { permissions: { writeState: [] } }),
      await pullAgent(),
    ]
    const publish = (json: object) =>
      call('POST', '/v1/messages', { key: stranger.key, json: { type: 'open', ...json } })
    expect((await publish({ to: `workflow:${id}` })).body.code).toBe('forbidden')
    expect((await publish({ to: other.name, replyto: `workflow:${id}` })).body.code).toBe('forbidden')
    expect((await event(id, { type: 'open' }, { key: stranger.key })).body.code).toBe('forbidden')
  })
})

describe('what it sends', () => {
  it('goes with its creator’s permissions, and what is refused comes back as effect_refused (E1)', async () => {
    const [maker, target] = [await pullAgent({}, { permissions: { send: [] } }), await pullAgent()]
    const definition = {
      initial: 'a',
      states: {
        a: {
          entry: send(target.name, 'x'),
          on: {
            effect_refused: {
              target: 'told',
              actions: { type: 'update', params: { patch: { why: { $from: 'event.data' } } } },
            },
          },
        },
        told: {},
      },
    }
    const { body } = await create({ definition }, { key: maker.key })
    const told = await until(
      () => read(body.id),
      (w) => w.value === 'told',
    )
    expect(told.state.why).toMatchObject({ effect: 1, kind: 'send', to: target.name, reason: 'forbidden' })
    expect(await leaseOne(target)).toBeUndefined()
  })

  it('to an agent that does not exist goes to the fallback agent when its state names one (A24)', async () => {
    const helper = await pullAgent()
    const definition = {
      initial: 'a',
      states: {
        a: {
          meta: { switchboard: { fallback: helper.name } },
          entry: send(freshName('nobody'), 'x'),
          on: { 'x.reply': 'b' },
        },
        b: { type: 'final' },
      },
    }
    const { body } = await create({ definition })
    await ack(helper, await leased(helper), {})
    await until(
      () => read(body.id),
      (w) => w.status === 'completed',
    )
    expect((await history(body.id)).map((e) => e.kind)).toEqual(['created', 'remedy', 'transition'])
  })

  it('is sent again as often as its state says, and then the workflow is paused with the reason (A24)', async () => {
    const worker = await pullAgent({ maxAttempts: 1 })
    const definition = {
      initial: 'a',
      states: { a: { meta: { switchboard: { retry: { times: 1 } } }, entry: send(worker.name, 'x') } },
    }
    const { body } = await create({ definition })
    for (let i = 0; i < 2; i++) {
      const { id, token } = await leased(worker)
      await call('POST', `/v1/deliveries/${id}/nack`, { key: worker.key, json: { token, reason: 'no' } })
    }
    const paused = await until(
      () => read(body.id),
      (w) => w.status === 'paused',
    )
    expect(paused.paused.reason).toContain(worker.name)
    expect((await history(body.id)).map((e) => e.kind)).toEqual(['created', 'remedy', 'ignored', 'paused'])
  })

  it('is not sent again because somebody says by hand that its agent failed', async () => {
    const [worker, stranger] = [await pullAgent(), await pullAgent()]
    const definition = {
      initial: 'a',
      states: { a: { meta: { switchboard: { retry: { times: 1 } } }, entry: send(worker.name, 'x') } },
    }
    const { body } = await create({ definition })
    const { message } = await leased(worker)
    const json = { to: `workflow:${body.id}`, type: 'agent_error', causationid: message.id }
    await call('POST', '/v1/messages', { key: stranger.key, json })
    expect((await history(body.id)).map((e) => e.kind)).not.toContain('remedy')
    expect((await call('GET', `/v1/workflows/${body.id}/messages`)).body.items).toHaveLength(1)
  })

  it('as a scatter that says nobody to ask is refused', async () => {
    const definition = {
      initial: 'a',
      states: {
        a: { entry: { type: 'scatter', params: { type: 'x' } }, on: { effect_refused: 'b' } },
        b: { type: 'final' },
      },
    }
    const { body } = await create({ definition })
    await until(
      () => read(body.id),
      (w) => w.status === 'completed',
    )
  })
})

describe('an agent’s answer (A25)', () => {
  it('may bring an event and a change of the state, each once, with its result', async () => {
    const [worker, id] = [await pullAgent(), (await create({ definition: door, state: { n: 1 } })).body.id]
    await call('POST', '/v1/messages', { json: { to: worker.name, type: 'x', workflowid: id } })
    const effects = { event: { type: 'open' }, state: { operations: [{ op: 'increment', path: '/n' }] } }
    const delivery = await leased(worker)
    for (let i = 0; i < 2; i++) await ack(worker, delivery, { effects })
    const moved = await until(
      () => read(id),
      (w) => w.version === 3,
    )
    expect(moved).toMatchObject({ value: 'ajar', state: { n: 2 } })
    expect((await history(id)).slice(1).map((e) => [e.kind, e.by])).toEqual([
      ['state', worker.name],
      ['transition', worker.name],
    ])
  })

  it('that is refused is told to the workflow as effect_refused (E1)', async () => {
    const definition = {
      initial: 'a',
      states: {
        a: {
          on: {
            effect_refused: {
              target: 'b',
              actions: { type: 'update', params: { patch: { why: { $from: 'event.data.reason' } } } },
            },
          },
        },
        b: { type: 'final' },
      },
    }
    const [worker, id] = [await pullAgent(), (await create({ definition })).body.id]
    await call('POST', '/v1/messages', { json: { to: worker.name, type: 'x', workflowid: id } })
    await ack(worker, await leased(worker), { effects: { state: { patch: { a: 1 }, ifVersion: 9 } } })
    const told = await until(
      () => read(id),
      (w) => w.status === 'completed',
    )
    expect(told.state).toEqual({ why: 'version_mismatch' })
  })

  it('changes nothing without a workflow, or of one that the agent may not write', async () => {
    const [worker, id] = [
      await pullAgent({}, { permissions: { writeState: [] } }),
      (await create({ definition: door })).body.id,
    ]
    const effects = { state: { patch: { a: 1 } } }
    const reasons = []
    for (const more of [{}, { workflowid: id }]) {
      const sent = await call('POST', '/v1/messages', { json: { to: worker.name, type: 'x', ...more } })
      await ack(worker, await leased(worker), { effects })
      const receipt = await until(
        async () => (await call('GET', `/v1/deliveries/${sent.body.deliveries[0].id}`)).body,
        (r) => r.effects?.[0]?.state.status === 'refused',
      )
      reasons.push(receipt.effects[0].state.reason)
    }
    expect(reasons).toEqual(['no_workflow', 'forbidden'])
    expect((await read(id)).version).toBe(1)
  })
})

describe('paused', () => {
  it('it lets events wait, and takes them in their order when it is resumed', async () => {
    const id = (await create({ definition: door })).body.id
    expect((await call('POST', `/v1/workflows/${id}/pause`, { json: { reason: 'lunch' } })).body).toMatchObject({
      status: 'paused',
      paused: { reason: 'lunch' },
    })
    const answers = []
    for (const type of ['open', 'shut', 'open']) answers.push((await event(id, { type })).body)
    expect(answers).toEqual([{ reception: 'deferred' }, { reception: 'deferred' }, { reception: 'deferred' }])
    expect(await read(id)).toMatchObject({ value: 'closed', version: 1, waitingEvents: 3 })
    const resumed = await call('POST', `/v1/workflows/${id}/resume`)
    expect(resumed.body).toMatchObject({ status: 'running', value: 'ajar', version: 4 })
    expect(resumed.body.waitingEvents).toBeUndefined()
  })

  it('for a time it goes on by itself', async () => {
    const id = (await create({ definition: door })).body.id
    await call('POST', `/v1/workflows/${id}/pause`, { json: { seconds: 0.05 } })
    await event(id, { type: 'open' })
    expect(
      await until(
        () => read(id),
        (w) => w.status === 'running' && w.value === 'ajar',
      ),
    ).toMatchObject({ version: 2 })
  })

  it('its state may still be written', async () => {
    const id = (await create({ definition: door })).body.id
    await call('POST', `/v1/workflows/${id}/pause`)
    const { status } = await call('PATCH', `/v1/workflows/${id}/state`, {
      json: { a: 1 },
      headers: { 'If-Match': '"1"' },
    })
    expect(status).toBe(200)
  })
})

describe('cancelled', () => {
  it('it takes nothing more, can still be read, and is forgotten when it is purged', async () => {
    const id = (await create({ definition: door })).body.id
    expect((await call('DELETE', `/v1/workflows/${id}?purge=true`)).body.code).toBe('workflow_live')
    const answers = [await call('DELETE', `/v1/workflows/${id}`), await call('DELETE', `/v1/workflows/${id}`)]
    expect(answers.map((a) => [a.status, a.body.status])).toEqual([
      [200, 'cancelled'],
      [200, 'cancelled'],
    ])
    expect(
      (await call('PATCH', `/v1/workflows/${id}/state`, { json: {}, headers: { 'If-Match': '*' } })).body.code,
    ).toBe('workflow_over')
    expect((await call('POST', `/v1/workflows/${id}/pause`)).body.code).toBe('workflow_over')
    expect((await call('DELETE', `/v1/workflows/${id}?purge=true`)).status).toBe(204)
    await until(
      () => call('GET', `/v1/workflows/${id}`),
      (a) => a.status === 404,
    )
    await until(
      () => listed(),
      (ids) => !ids.includes(id),
    )
  })
})

async function listed(query = '', sent: Sent = {}): Promise<string[]> {
  const { body } = await call('GET', `/v1/workflows?limit=100${query}`, sent)
  return body.items.map((w: Body) => w.id)
}

describe('a delayed transition (A26)', () => {
  it('comes by itself when its time is up, and not before', async () => {
    const definition = { initial: 'waiting', states: { waiting: { after: { 100: 'late' } }, late: { type: 'final' } } }
    const { body } = await create({ definition })
    expect(body.timers).toHaveLength(1)
    const ended = await until(
      () => read(body.id),
      (w) => w.status === 'completed',
    )
    expect(Date.parse(ended.endedAt) - Date.parse(ended.createdAt)).toBeGreaterThanOrEqual(100)
    expect((await history(body.id)).at(-1)).toMatchObject({ by: 'timer', kind: 'transition' })
  })
})

describe('the list', () => {
  it('is newest first, by status and by definition, and shows what the caller may read', async () => {
    const name = freshName('def')
    await call('PUT', `/v1/workflow-definitions/${name}`, { json: door })
    const [first, second, third] = [
      (await create({ definition: name })).body.id,
      (await create({ definition: name })).body.id,
      (await create({})).body.id,
    ]
    await call('DELETE', `/v1/workflows/${first}`)
    await until(
      () => listed(`&definition=${name}&status=cancelled`),
      (ids) => ids.includes(first),
    )
    await until(
      () => listed(),
      (ids) => [second, third].every((id) => ids.includes(id)),
    )
    expect(await listed(`&definition=${name}`)).toEqual([second, first])
    const page = await call('GET', `/v1/workflows?limit=1&definition=${name}`)
    expect(await listed(`&definition=${name}&cursor=${page.body.cursor}`)).toEqual([first])
    const blind = await pullAgent({}, { permissions: { readState: [] } })
    expect(await listed('', { key: blind.key })).toEqual([])
  })
})

describe('a definition', () => {
  const put = (name: string, json: unknown, sent: Sent = {}) =>
    call('PUT', `/v1/workflow-definitions/${name}`, { ...sent, json })

  it('is versioned by its content, and a workflow that runs keeps its version', async () => {
    const name = freshName('def')
    const first = await put(name, door)
    expect([first.status, first.body.version]).toEqual([201, 1])
    expect((await put(name, { states: door.states, initial: 'closed' })).status).toBe(200)
    const old = (await create({ definition: name })).body.id
    expect((await put(name, { ...door, initial: 'ajar' })).body.version).toBe(2)
    const [fresh, pinned] = [await create({ definition: name }), await create({ definition: { name, version: 1 } })]
    expect([fresh.body.value, pinned.body.value]).toEqual(['ajar', 'closed'])
    expect((await event(old, { type: 'open' })).body.value).toBe('ajar')
    expect((await read(old)).definition).toEqual({ name, version: 1 })
    const got = await call('GET', `/v1/workflow-definitions/${name}?version=1`)
    expect(got.body).toMatchObject({ name, version: 1, by: 'admin', definition: door })
    expect(
      (await call('GET', '/v1/workflow-definitions')).body.items.filter((d: Body) => d.name === name),
    ).toMatchObject([{ version: 2 }])
  })

  it('that is wrong is told where', async () => {
    const { status, body } = await put(freshName('def'), { initial: 'a', states: { a: { on: { x: 'nowhere' } } } })
    expect([status, body.code]).toEqual([422, 'invalid_definition'])
    expect(body.issues[0].path).toBe('states.a.on.x')
    expect((await create({ definition: { initial: 'b', states: { a: {} } } })).body.code).toBe('invalid_definition')
    expect((await create({ definition: freshName('none') })).body).toMatchObject({
      code: 'not_found',
      what: 'definition',
    })
  })

  it('may be put by an admin only, and read with any key', async () => {
    const [name, agent] = [freshName('def'), await pullAgent()]
    expect((await put(name, door, { key: agent.key })).body.code).toBe('forbidden')
    await put(name, door)
    expect((await call('GET', `/v1/workflow-definitions/${name}`, { key: agent.key })).status).toBe(200)
    expect((await call('GET', `/v1/workflow-definitions/${freshName('none')}`)).status).toBe(404)
    expect((await put('a.b', door)).body.code).toBe('invalid_request')
  })

  it('shipped with the code is there without anybody putting it, and cannot be put', async () => {
    const name = freshName('shipped')
    const own = ownSwitchboard({ workflows: { [name]: door } })
    const { status, body } = await own('POST', '/v1/workflows', { json: { id: freshName('w'), definition: name } })
    expect([status, body.definition]).toEqual([201, { name, version: 1 }])
    expect((await own('GET', `/v1/workflow-definitions/${name}`)).body).toMatchObject({ by: 'code', version: 1 })
    expect((await own('PUT', `/v1/workflow-definitions/${name}`, { json: door })).body.code).toBe('definition_shipped')
  })

  it('shipped with the code that is wrong keeps the Worker from starting', () => {
    expect(() => ownSwitchboard({ workflows: { bad: { initial: 'a', states: {} } } })).toThrow(/`bad` cannot be served/)
  })
})

describe('its history (A41)', () => {
  it('is drawn, with where it is and the way it came', async () => {
    const id = (await create({ definition: door })).body.id
    await event(id, { type: 'open' })
    const { status, body, headers } = await call('GET', `/v1/workflows/${id}/diagram`)
    expect([status, headers.get('Content-Type')]).toEqual([200, 'text/plain; charset=UTF-8'])
    expect(body).toMatch(/^stateDiagram-v2/)
    expect(body).toContain('✓')
    expect((await call('GET', `/v1/workflows/${(await create({})).body.id}/diagram`)).body.code).toBe('no_statechart')
  })

  it('is watched as it grows, and taken up where it ended (A33)', async () => {
    const id = (await create({ definition: door })).body.id
    const watching = call('GET', `/v1/workflows/${id}/watch?seconds=20`)
    await event(id, { type: 'open' })
    await call('DELETE', `/v1/workflows/${id}`)
    const seen = eventsOf(await watching)
    expect(seen.map((e) => [e.id, e.event])).toEqual([
      ['1', 'created'],
      ['2', 'transition'],
      ['3', 'cancelled'],
    ])
    expect(seen[1]?.data).toEqual((await history(id))[1])
    const resumed = await call('GET', `/v1/workflows/${id}/watch`, { headers: { 'Last-Event-ID': '2' } })
    expect(eventsOf(resumed).map((e) => e.id)).toEqual(['3'])
  })

  it('ends the stream when time is up, and says now and then that somebody is still there', async () => {
    const id = (await create({ definition: door })).body.id
    const { body, headers } = await call('GET', `/v1/workflows/${id}/watch?seconds=0.1&after=1`)
    expect(headers.get('Content-Type')).toBe('text/event-stream')
    expect(body).toBe(': still here\n\n')
  })
})

function eventsOf({ body }: Answered): { id: string; event: string; data: Body }[] {
  const blocks = String(body)
    .split('\n\n')
    .filter((block) => block.startsWith('id: '))
  return blocks.map((block) => {
    const fields = Object.fromEntries(
      block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
    )
    return { id: String(fields['id']), event: String(fields['event']), data: JSON.parse(String(fields['data'])) }
  })
}

/** Causal graphs and time lines over HTTP: found by walking, hidden from who may not read, cut where they are too large. */
import { env } from 'cloudflare:workers'
import { describe, expect, it, vi } from 'vitest'
import { type Body, call, freshName, leaseOne, pullAgent, type Registered, sendId } from './gateway.ts'

const ack = (agent: Registered, { id, token }: Body, more: object = {}) =>
  call('POST', `/v1/deliveries/${id}/ack`, { key: agent.key, json: { token, ...more } })
const graphAt = async (path: string, key?: string): Promise<Body> =>
  (await call('GET', path, key === undefined ? {} : { key })).body
const until = async <T>(ask: () => Promise<T>, holds: (value: T) => boolean): Promise<T> =>
  vi
    .waitUntil(async () => ((value) => (holds(value) ? { value } : false))(await ask()), {
      timeout: 8_000,
      interval: 20,
    })
    .then(({ value }) => value)
const leased = (agent: Registered): Promise<Body> =>
  until(
    () => leaseOne(agent),
    (d) => d !== undefined,
  )
const linksOf = (graph: Body) => graph.links.map((l: Body) => `${l.kind} ${l.from} ${l.to}`).sort()
const node = (graph: Body, id: string) => graph.nodes.find((n: Body) => n.id === id)

/** `first` is answered by a message to `second`; both are done. */
async function chain() {
  const [first, second] = [await pullAgent(), await pullAgent()]
  const app = (await call('POST', '/v1/keys', { json: { name: freshName('app') } })).body
  const root = await sendId(first.name, { id: freshName('m') }, { key: app.key })
  await ack(first, await leased(first), { effects: { messages: [{ to: second.name, type: 'test.next', data: {} }] } })
  const next = await leased(second)
  await ack(second, next)
  return { first, second, app, root, next: next.id as string }
}

describe('the graph of a delivery', () => {
  it('is the same from its cause and from its effect: both are found by what each remembers (TC9)', async () => {
    const { root, next, first, second } = await chain()
    for (const id of [root, next]) {
      const graph = await graphAt(`/v1/deliveries/${id}/graph`)
      expect(linksOf(graph)).toEqual([`message ${root} ${next}`])
      expect(graph.roots).toEqual([root])
      expect(node(graph, root)).toMatchObject({
        agent: first.name,
        status: 'completed',
        type: 'test.note',
        attempts: 1,
      })
      expect(node(graph, next)).toMatchObject({ agent: second.name, status: 'completed', type: 'test.next' })
      expect(Date.parse(node(graph, next).endedAt)).toBeGreaterThanOrEqual(Date.parse(node(graph, next).startedAt))
    }
  })

  it('hides what is not for the caller, and does not go on behind it (S2)', async () => {
    const { root, next, first, second, app } = await chain()
    const sender = await graphAt(`/v1/deliveries/${root}/graph`, app.key)
    expect(node(sender, next)).toEqual({ id: next, kind: 'delivery', status: 'hidden' })
    expect(node(sender, root).status).toBe('completed')
    const addressee = await graphAt(`/v1/deliveries/${next}/graph`, second.key)
    expect(node(addressee, root)).toEqual({ id: root, kind: 'delivery', status: 'hidden' })
    expect((await call('GET', `/v1/deliveries/${next}/graph`, { key: app.key })).status).toBe(403)
    // The agent between the two is addressee of one and sender of the other.
    const both = await graphAt(`/v1/deliveries/${next}/graph`, first.key)
    expect(both.nodes.map((n: Body) => n.status)).toEqual(['completed', 'completed'])
  })

  it('is drawn for who asks for Mermaid, in the header or the query (TC9)', async () => {
    const { root, first } = await chain()
    const path = `/v1/deliveries/${root}/graph`
    const asked = await call('GET', path, { headers: { Accept: 'text/vnd.mermaid' } })
    expect(asked.headers.get('Content-Type')).toBe('text/vnd.mermaid; charset=utf-8')
    expect(asked.body).toMatch(/^flowchart LR\n {2}n0\["/)
    expect(asked.body).toContain(first.name)
    expect((await call('GET', `${path}?format=mermaid`)).body).toBe(asked.body)
    expect((await call('GET', `${path}?format=json`, { headers: { Accept: 'text/vnd.mermaid' } })).body.roots).toEqual([
      root,
    ])
  })

  it('goes through a publish to many to its other legs', async () => {
    const topic = `news.${freshName('t')}`
    const agents = [await pullAgent(), await pullAgent()]
    for (const { name } of agents)
      await call('PUT', `/v1/subscriptions/${freshName('s')}`, { json: { agent: name, topic } })
    const source = await pullAgent()
    const root = await sendId(source.name)
    await ack(source, await leased(source), { effects: { messages: [{ topic, type: 'test.news', data: {} }] } })
    const legs = await Promise.all(agents.map(leased))
    const graph = await until(
      () => graphAt(`/v1/deliveries/${legs[0].id}/graph`),
      (g) => g.nodes.length === 4,
    )
    const [publication] = graph.nodes.filter((n: Body) => n.kind === 'publication')
    expect(linksOf(graph)).toEqual(
      [`message ${root} ${publication.id}`, ...legs.map((leg) => `leg ${publication.id} ${leg.id}`)].sort(),
    )
    expect(graph.roots).toEqual([root])
  })

  it('goes through a request: whom it asked, and the reply that came', async () => {
    const agent = await pullAgent()
    const asked = (
      await call('POST', '/v1/requests', {
        json: { to: agent.name, type: 'test.ask', data: {} },
        headers: { Prefer: 'wait=0' },
      })
    ).body
    const leg = await leased(agent)
    await ack(agent, leg, { effects: { reply: { data: 1 } } })
    const gather = `gather:${asked.id}`
    const graph = await until(
      () => graphAt(`/v1/deliveries/${leg.id}/graph`),
      (g) => node(g, gather)?.status === 'replied',
    )
    expect(linksOf(graph)).toEqual([`leg ${gather} ${leg.id}`, `reply ${leg.id} ${gather}`])
    expect(graph.roots).toEqual([gather])
    expect(node(graph, gather).href).toBe(`/v1/requests/${asked.id}`)
  })

  it('is cut where it is too large, the nearest first, and says so', { timeout: 30_000 }, async () => {
    const [first, second] = [await pullAgent(), await pullAgent()]
    const hundred = Array.from({ length: 100 }, () => ({ to: second.name, type: 'test.next', data: {} }))
    const root = await sendId(first.name)
    await ack(first, await leased(first), { effects: { messages: hundred } })
    for (let i = 0; i < 2; i++) await ack(second, await leased(second), { effects: { messages: hundred } })
    const graph = await until(
      () => graphAt(`/v1/deliveries/${root}/graph`),
      (g) => g.truncated?.unread === 51,
    )
    expect(graph.truncated).toEqual({ by: 'nodes', unread: 51 })
    expect(graph.nodes).toHaveLength(250)
    expect(graph.links.filter((l: Body) => l.from === root)).toHaveLength(100)
    expect((await call('GET', `/v1/deliveries/${root}/graph?format=mermaid`)).body).toContain('and 51 more')
  })

  it('of what there is not is 404', async () => {
    for (const id of ['nonsense', `nobody_${'a'.repeat(26)}`])
      expect((await call('GET', `/v1/deliveries/${id}/graph`)).body).toMatchObject({ status: 404, code: 'not_found' })
  })
})

describe('the graph and the time line of a workflow', () => {
  async function workflow(sent: { key?: string } = {}) {
    const agent = await pullAgent()
    const id = freshName('w')
    const definition = {
      initial: 'asking',
      states: {
        asking: {
          entry: { type: 'send', params: { to: agent.name, type: 'test.ask' } },
          on: { 'test.ask.reply': 'done' },
        },
        done: { type: 'final' },
      },
    }
    await call('POST', '/v1/workflows', { ...sent, json: { id, definition } })
    const delivery = await leased(agent)
    await ack(agent, delivery, { result: 1 })
    await until(
      async () => (await call('GET', `/v1/workflows/${id}`)).body,
      (w) => w.status === 'completed',
    )
    return { id, agent, delivery: delivery.id as string }
  }

  it('tell its history and every step of what it sent in one line of time (A41, TC9)', async () => {
    const { id, delivery, agent } = await workflow()
    const self = `workflow:${id}`
    const graph = await graphAt(`/v1/workflows/${id}/graph`)
    expect(linksOf(graph)).toEqual([`message ${self} ${delivery}`, `reply ${delivery} ${self}`])
    expect(graph.roots).toEqual([self])
    const timeline = await graphAt(`/v1/workflows/${id}/timeline`)
    const told = timeline.items.map((i: Body) => `${i.id === self ? 'workflow' : i.agent} ${i.what}`)
    expect(told[0]).toBe('workflow created')
    expect(told).toContain(`${agent.name} accepted`)
    expect(told).toContain(`${agent.name} completed`)
    expect(told).toContain('workflow transition')
    const times = timeline.items.map((i: Body) => i.at)
    expect(times).toEqual([...times].sort())
    const drawn = (await call('GET', `/v1/workflows/${id}/timeline?format=mermaid`)).body
    expect(drawn).toMatch(/^sequenceDiagram\n/)
    expect(drawn).toContain('test.ask completed')
  })

  it('show what a workflow sent to who made it, and to no other who may read the workflow (S2)', async () => {
    const maker = (await call('POST', '/v1/keys', { json: { name: freshName('app') } })).body
    const other = (await call('POST', '/v1/keys', { json: { name: freshName('app') } })).body
    const { id, delivery } = await workflow({ key: maker.key })
    expect(node(await graphAt(`/v1/workflows/${id}/graph`, maker.key), delivery).status).toBe('completed')
    expect(node(await graphAt(`/v1/workflows/${id}/graph`, other.key), delivery).status).toBe('hidden')
    const nobody = (
      await call('POST', '/v1/keys', { json: { name: freshName('app'), permissions: { readState: [] } } })
    ).body
    expect((await call('GET', `/v1/workflows/${id}/graph`, { key: nobody.key })).status).toBe(403)
    expect((await call('GET', `/v1/workflows/${freshName('none')}/timeline`)).status).toBe(404)
  })
})

describe('a conversation', () => {
  it('is found in the mailboxes by its id, and followed from there (A7, TC9)', async () => {
    const correlationid = freshName('talk')
    const [one, two] = [await pullAgent(), await pullAgent()]
    const ids = [await sendId(one.name, { correlationid }), await sendId(two.name, { correlationid })]
    await sendId(two.name, { correlationid: freshName('talk') })
    const all = await wholeConversation(`/v1/correlations/${correlationid}/graph`)
    expect(all.map((n) => n.id).sort()).toEqual([...ids].sort())
    const narrow = await graphAt(`/v1/correlations/${correlationid}/graph?agent=${two.name}`)
    expect(narrow.nodes.map((n: Body) => n.id)).toEqual([ids[1]])
    expect(narrow.searched).toEqual({ mailboxes: [two.name] })
    const timeline = await graphAt(`/v1/correlations/${correlationid}?agent=${two.name}`)
    expect(timeline.items.map((i: Body) => i.what)).toContain('accepted')
  })

  it('is looked for in so many mailboxes at a time, and the cursor goes on to the last of them', {
    timeout: 30_000,
  }, async () => {
    const correlationid = freshName('talk')
    for (let i = 0; i < 42; i++) await call('PUT', `/v1/agents/${freshName('y')}`, { json: { kind: 'pull' } })
    const last = freshName('zz')
    await call('PUT', `/v1/agents/${last}`, { json: { kind: 'pull' } })
    const id = await sendId(last, { correlationid })
    const path = `/v1/correlations/${correlationid}/graph`
    const page = await graphAt(path)
    expect(page.searched.mailboxes).toHaveLength(40)
    expect(page.nodes).toEqual([])
    expect((await wholeConversation(path)).map((n) => n.id)).toEqual([id])
  })

  it('is read by an agent in its own mailbox only, and by an app in what it sent', async () => {
    const { first, second, app, root } = await chain()
    const message = (await call('GET', `/v1/deliveries/${root}`)).body.message
    const path = `/v1/correlations/${message.correlationid}`
    expect((await graphAt(path, second.key)).searched.mailboxes).toEqual([second.name])
    const foreign = await graphAt(`${path}?agent=${first.name}`, second.key)
    expect([foreign.status, foreign.code]).toEqual([404, 'not_found'])
    const own = await graphAt(`${path}/graph?agent=${first.name}`, app.key)
    expect(own.searched.mailboxes).toEqual([])
    expect(node(own, root).status).toBe('completed')
    expect((await call('GET', path, { key: app.key })).status).toBe(404)
  })

  it('of a workflow, or of a message that a delivery emitted, says by its id where to look', async () => {
    const id = freshName('w')
    await call('POST', '/v1/workflows', { json: { id } })
    expect((await graphAt(`/v1/correlations/${id}/graph?agent=x`)).nodes[0]).toMatchObject({ id: `workflow:${id}` })
    const { root, second } = await chain()
    const emitted = await graphAt(`/v1/correlations/${root}-1/graph?agent=${second.name}`)
    expect(emitted.roots).toEqual([root])
  })

  it('that nobody knows is 404 once everything was read', async () => {
    const agent = await pullAgent()
    const { status } = await call('GET', `/v1/correlations/${freshName('none')}?agent=${agent.name}`)
    expect(status).toBe(404)
  })

  it('is looked for a bounded number of rows at a time, and the cursor reads on', async () => {
    const { name } = await pullAgent()
    const correlationid = freshName('talk')
    const sent = []
    for (let i = 0; i < 7; i++) sent.push(await sendId(name, i % 2 === 0 ? { correlationid } : {}))
    const stub = env.AGENTS.getByName(name)
    const found: string[] = []
    let calls = 0
    for (let after: string | undefined, more = true; more; calls++) {
      const page: { ids: readonly string[]; cursor?: string } = await stub.correlated(correlationid, after, 2)
      found.push(...page.ids)
      after = page.cursor
      more = after !== undefined
    }
    expect(calls).toBe(4)
    expect(found).toEqual(sent.filter((_, i) => i % 2 === 0).sort())
  })
})

/** All nodes, page after page. */
async function wholeConversation(path: string): Promise<Body[]> {
  const nodes: Body[] = []
  for (let cursor: string | undefined, more = true; more; ) {
    const page = await graphAt(cursor === undefined ? path : `${path}?cursor=${cursor}`)
    nodes.push(...page.nodes)
    cursor = page.searched.cursor
    more = cursor !== undefined
  }
  return nodes
}

/** What records know of cause and effect, and what is made of it: links, hidden and forgotten ones, roots, time, and diagrams. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  assemble,
  type Found,
  type GraphLink,
  type GraphNode,
  parseAddress,
  timelineOf,
} from '../../shared/causal-graph.ts'
import { graphDiagram, timelineDiagram } from '../../shared/graph-diagram.ts'
import { ofReceipt, ofWorkflow } from '../../shared/graph-records.ts'
import { deliveryId, mid } from '../../shared/ids.ts'
import { limits } from '../../shared/limits.ts'
import { publicationId } from '../../shared/publication.ts'
import type { Receipt } from '../../shared/receipt.ts'

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString()
const idOf = (agent: string, key: string) => deliveryId(agent, mid('app/x', key, 0))
const [one, two, three] = [idOf('one', '1'), idOf('two', '2'), idOf('three', '3')]

const found = (id: string, links: readonly GraphLink[] = [], more: Partial<GraphNode> = {}): Found => ({
  node: { id, kind: parseAddress(id)?.kind ?? 'delivery', status: 'completed', openedAt: at(0), ...more },
  links,
  hints: [],
  entries: [],
})

const receipt = (id: string, more: Partial<Receipt> = {}): Receipt => ({
  id,
  agent: parseAddress(id)?.id.split('_')[0] ?? '',
  message: {
    ...{ specversion: '1.0', id: 'm', source: 'app/x', type: 'test.note', time: at(0), correlationid: 'c', to: 'one' },
  },
  ...{ sequence: 1, hops: 0, status: 'completed', attempt: 1, maxAttempts: 3, redrives: 0 },
  steps: [
    { step: 'accepted', at: at(1) },
    { step: 'completed', at: at(3) },
    { step: 'effects', at: at(4) },
  ],
  attempts: [{ number: 1, startedAt: at(2), endedAt: at(3), outcome: 'ok', counted: true }],
  ...more,
})

describe('what a receipt knows', () => {
  it('is its cause by the id that the broker gave the message, and never by an id that somebody chose', () => {
    const head = receipt(two).message
    const emitted = receipt(two, { message: { ...head, id: `${one}-1`, source: 'one' } })
    expect(ofReceipt(emitted).links).toEqual([{ from: one, to: two, kind: 'caused' }])
    expect(ofReceipt(receipt(two, { message: { ...head, id: `${one}-1` } })).links).toEqual([])
    const sent = receipt(two, { message: { ...head, id: 'order-7-3', source: 'workflow/order-7' } })
    expect(ofReceipt(sent).links).toEqual([{ from: 'workflow:order-7', to: two, kind: 'caused' }])
  })

  it('is its cause by the path that the broker kept, where the id tells none; not past a gather that asked', () => {
    expect(ofReceipt(receipt(three, { path: [one, two] })).links).toEqual([{ from: two, to: three, kind: 'caused' }])
    const replyto = `gather:g-${'a'.repeat(26)}`
    const asked = receipt(three, { path: [one, two], message: { ...receipt(three).message, replyto } })
    expect([ofReceipt(asked).links, ofReceipt(asked).hints]).toEqual([[], [replyto]])
  })

  it('is what its effects became; of one for many, the publication between', () => {
    const carried = (deliveries: string[]) => ({ status: 'carried' as const, deliveries })
    const effects: Receipt['effects'] = [
      { n: 1, kind: 'message', publish: { to: 'two' }, state: carried([two]) },
      { n: 2, kind: 'message', publish: { topic: 'news', id: `${one}-2` }, state: carried([three]) },
      { n: 3, kind: 'reply', publish: { to: `gather:g-${'a'.repeat(26)}` }, state: carried([]) },
      {
        n: 4,
        kind: 'message',
        publish: { to: 'nobody' },
        state: { status: 'refused', reason: 'agent_not_found', detail: '' },
      },
    ]
    const { links, node } = ofReceipt(receipt(one, { effects }))
    const publication = publicationId('one', `${one}-2`)
    expect(links).toEqual([
      { from: one, to: two, kind: 'message' },
      { from: one, to: publication, kind: 'message' },
      { from: publication, to: three, kind: 'leg' },
      { from: one, to: `gather:g-${'a'.repeat(26)}`, kind: 'reply' },
    ])
    expect(node.refused).toEqual([{ n: 4, to: 'nobody', reason: 'agent_not_found', detail: '' }])
  })

  it('is when it began, was worked on and ended: not when its effects were carried', () => {
    expect(ofReceipt(receipt(one)).node).toMatchObject({ openedAt: at(1), startedAt: at(2), endedAt: at(3) })
    expect(ofReceipt(receipt(one, { status: 'held' })).node.endedAt).toBeUndefined()
  })
})

describe('the graph', () => {
  it('has each pair linked once, by the most telling of what was said of it', () => {
    const said = [
      found(two, [{ from: one, to: two, kind: 'caused' }]),
      found(one, [{ from: one, to: two, kind: 'reply' }]),
    ]
    for (const order of [said, said.toReversed()])
      expect(assemble({ found: order, blank: new Map() }).links).toEqual([{ from: one, to: two, kind: 'reply' }])
  })

  it('shows the hidden and the forgotten where something known is linked to them, and no others', () => {
    const blank = new Map([
      [one, 'hidden'],
      [three, 'forgotten'],
      [publicationId('x', 'y'), 'hidden'],
    ] as const)
    const links = [
      { from: one, to: two, kind: 'message' },
      { from: two, to: three, kind: 'message' },
    ] as const
    const graph = assemble({ found: [found(two, links)], blank })
    expect(graph.nodes.map((n) => [n.id, n.status])).toEqual([
      [two, 'completed'],
      [one, 'hidden'],
      [three, 'forgotten'],
    ])
    expect(graph.nodes.find((n) => n.id === one)).toEqual({ id: one, kind: 'delivery', status: 'hidden' })
  })

  it('leaves out links to what was not read any more', () => {
    const graph = assemble({
      found: [found(one, [{ from: one, to: two, kind: 'message' }])],
      blank: new Map(),
      truncated: { by: 'nodes', unread: 1 },
    })
    expect([graph.links, graph.nodes.length, graph.truncated]).toEqual([[], 1, { by: 'nodes', unread: 1 }])
  })

  it('believes a cause that a publisher names when it was the addressee of that message', () => {
    const cause = found(one, [], { message: 'm-1', agent: 'one' })
    const claimed = (source: string) => found(two, [], { message: 'm-2', source, causationid: 'm-1' })
    expect(assemble({ found: [cause, claimed('one')], blank: new Map() }).links).toEqual([
      { from: one, to: two, kind: 'caused' },
    ])
    expect(assemble({ found: [cause, claimed('three')], blank: new Map() }).links).toEqual([])
  })

  it('every node is reached from its roots, unless it is caused in a circle', () => {
    const ids = fc.array(fc.nat(19), { minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(ids, (parents) => {
        // A tree: each node's parent is one before it.
        const names = parents.map((_, i) => idOf('a', String(i)))
        const nodes = names.map((id, i) =>
          found(id, i === 0 ? [] : [{ from: names[(parents[i] ?? 0) % i] ?? '', to: id, kind: 'message' }]),
        )
        const { roots, links } = assemble({ found: nodes, blank: new Map() })
        expect(roots).toEqual([names[0]])
        const reached = new Set(roots)
        for (let grew = true; grew; ) {
          const next = links.filter((l) => reached.has(l.from) && !reached.has(l.to))
          for (const link of next) reached.add(link.to)
          grew = next.length > 0
        }
        expect(reached.size).toBe(names.length)
      }),
    )
  })
})

describe('the time line', () => {
  it('is in the order of time, and the newest when it is too long', () => {
    const entries = Array.from({ length: limits.timelineEntries + 2 }, (_, i) => ({
      at: new Date(i).toISOString(),
      id: one,
      what: String(i),
    }))
    const { items, truncated } = timelineOf({
      found: [{ ...found(one), entries: entries.toReversed() }],
      blank: new Map(),
    })
    expect([items.length, items[0]?.what, truncated]).toEqual([
      limits.timelineEntries,
      '2',
      { by: 'entries', unread: 2 },
    ])
    expect(items.map((i) => i.at)).toEqual(items.map((i) => i.at).sort())
  })

  it('has a workflow’s own entries', () => {
    const record = { id: 'w', status: 'completed', createdAt: 0, createdBy: 'admin' } as Parameters<
      typeof ofWorkflow
    >[0]
    const entry = { v: 1, n: 1, at: 5, by: 'timer', kind: 'transition', version: 2, status: 'running' } as const
    const path = [{ from: 'a', to: { b: 'c' }, event: 'go' }]
    expect(ofWorkflow(record, [], [{ ...entry, event: { type: 'go' }, path }]).entries).toEqual([
      { at: new Date(5).toISOString(), id: 'workflow:w', what: 'transition', by: 'timer', type: 'go', detail: 'b.c' },
    ])
  })
})

describe('the diagrams', () => {
  it('no name draws: each node, link and saying is one line, whatever it is called', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (agent, type) => {
        const a = found(one, [{ from: one, to: two, kind: 'message' }], { agent, type, source: type, endedAt: at(1) })
        const b = found(two, [], { agent, type })
        const graph = graphDiagram(assemble({ found: [a, b], blank: new Map() }))
          .trimEnd()
          .split('\n')
        expect(graph.filter((line) => /^ {2}n\d+\["[^"]*"\]:::good$/.test(line))).toHaveLength(2)
        expect(graph).toHaveLength(1 + 2 + 1 + 4)
        const items = [
          { at: at(0), id: one, what: 'accepted' },
          { at: at(1), id: one, what: 'completed' },
        ]
        const line = timelineDiagram({ items, nodes: [a.node] })
          .trimEnd()
          .split('\n')
        expect(line).toHaveLength(1 + new Set([agent, type]).size + 2)
      }),
    )
  })

  it('say how each stands, and what was left out', () => {
    const graph = assemble({
      found: [found(one, [], { status: 'dead_lettered', agent: 'one', attempts: 3, endedAt: at(2) })],
      blank: new Map(),
      truncated: { by: 'nodes', unread: 7 },
    })
    expect(graphDiagram(graph)).toContain('n0["one<br/>dead_lettered 2000 ms, 3 attempts"]:::bad')
    expect(graphDiagram(graph)).toContain('more["and 7 more"]')
  })
})

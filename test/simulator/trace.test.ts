/**
 * Spans in virtual time: of publish, delivery, reply and what comes together, as a collector gets them; and what happens when it
 * does not take them: nothing (A112). Over real HTTP: test/system/webhooks.test.ts.
 */
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { indexEntry } from '../../shared/directory.ts'
import { limits } from '../../shared/limits.ts'
import { collectorHeaders } from '../../shared/span.ts'
import { defineAgent } from '../../workers/define.ts'
import { ask } from '../../workers/request.ts'
import { scatter } from '../../workers/scatter.ts'
import { Trace } from '../../workers/trace.ts'
import { attributeOf, spansIn, type WireSpan } from '../otlp.ts'
import { admin, never, Scene, type SceneOptions } from './scene.ts'

const second = 1_000
const caller = { trace: '0af7651916cd43dd8448eb211c80319c', span: 'b7ad6b7169203331' }
const traceparent = `00-${caller.trace}-${caller.span}-01`

const collector = { url: 'http://127.0.0.1/collector', headers: { authorization: 'Bearer x' } }
const traced = (more: SceneOptions = {}) =>
  new Scene({ ...more, ports: (platform) => ({ tracing: new Trace(platform, collector) }) })

const spansOf = (scene: Scene): WireSpan[] => spansIn(scene.callsOf('collector').map(({ body }) => body))
const named = (spans: readonly WireSpan[], name: string): WireSpan => {
  const [found, ...more] = spans.filter((span) => span.name === name)
  if (found === undefined || more.length > 0) throw new Error(`${name} of ${spans.map((s) => s.name).join(', ')}`)
  return found
}

describe('spans', () => {
  it('of a message, its attempts, their settlement and its reply are one trace, each within the one that led to it (A112, A134)', async () => {
    const scene = traced()
    let tries = 0
    const work = () => ({ status: ++tries === 1 ? 500 : 200, body: JSON.stringify({ reply: { data: 1 } }) })
    await scene.webhook('worker', work, { backoff: { initialSeconds: 1, factor: 1, capSeconds: 1, jitter: 'none' } })
    await scene.webhook('asker')
    const id = await scene.send('worker', { replyto: 'asker', traceparent, id: 'm-1', correlationid: 'talk' })
    await scene.pass(60 * second)

    const spans = spansOf(scene)
    expect(new Set(spans.map((span) => span.traceId))).toEqual(new Set([caller.trace]))
    const sent = named(spans, 'send worker')
    expect([sent.parentSpanId, sent.kind]).toEqual([caller.span, 4])
    const attempts = spans.filter((span) => span.name === 'process worker')
    expect(attempts.map((s) => [s.parentSpanId, s.kind, attributeOf(s, 'switchboard.attempt')])).toEqual([
      [sent.spanId, 5, '1'],
      [sent.spanId, 5, '2'],
    ])
    expect(attempts.map((s) => [s.status?.code, attributeOf(s, 'error.type')])).toEqual([
      [2, 'http'],
      [undefined, undefined],
    ])
    const settled = spans.filter((span) => span.name === 'settle worker')
    expect(settled.map((s) => [s.parentSpanId, s.kind, attributeOf(s, 'switchboard.outcome')])).toEqual([
      [attempts[0]?.spanId, 3, 'retry'],
      [attempts[1]?.spanId, 3, 'ok'],
    ])
    const reply = named(spans, 'send asker')
    expect(reply.parentSpanId).toBe(attempts[1]?.spanId)
    expect(named(spans, 'process asker').parentSpanId).toBe(reply.spanId)
    // Whoever is called hangs its own spans on the attempt.
    const [first, again] = scene.callsOf('worker').map(({ headers }) => headers['traceparent'])
    expect([first, again]).toEqual(attempts.map((s) => `00-${caller.trace}-${s.spanId}-01`))
    expect(attributeOf(sent, 'messaging.message.id')).toBe('m-1')
    expect(attributeOf(sent, 'messaging.message.conversation_id')).toBe('talk')
    expect(attributeOf(attempts[0]!, 'switchboard.delivery')).toBe(id)
    for (const span of spans) {
      expect(attributeOf(span, 'messaging.system')).toBe('switchboard')
      expect(attributeOf(span, 'messaging.operation.name')).toBe(span.name.split(' ')[0])
      expect(attributeOf(span, 'messaging.operation.type')).toBe(span.name.split(' ')[0])
      expect(attributeOf(span, 'messaging.destination.name')).toBe(span.name.split(' ')[1])
      expect(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano)).toBe(true)
    }
    expect(scene.callsOf('collector')[0]?.headers).toMatchObject({
      authorization: 'Bearer x',
      'content-type': 'application/json',
    })
  })

  it('of an attempt by a handler are what its own lines of the log name (A120)', async () => {
    const accepts = z.unknown()
    const scene = traced({
      handlers: [defineAgent({ name: 'worker', accepts, handle: (_, ctx) => Promise.resolve(ctx.log('at it')) })],
    })
    await scene.handler('worker')
    await scene.send('worker', { traceparent })
    await scene.pass(60 * second)
    const { traceId, spanId } = named(spansOf(scene), 'process worker')
    const said = scene.logged.find(({ step }) => step === 'handler')
    expect(said?.ids).toMatchObject({ traceparent: `00-${traceId}-${spanId}-01` })
  })

  it('of a batch are one, linked to each message that came together in it (A112, TB26)', async () => {
    const scene = traced()
    await scene.webhook('worker', undefined, { batch: { size: 3, waitSeconds: 1 }, concurrency: 1 })
    for (const n of [1, 2, 3]) await scene.send('worker', { id: `m-${n}` })
    await scene.pass(30 * second)
    const spans = spansOf(scene)
    const sent = spans.filter((span) => span.name === 'send worker')
    const batch = named(spans, 'process worker')
    const contexts = ({ traceId, spanId }: Pick<WireSpan, 'traceId' | 'spanId'>) => `${traceId} ${spanId}`
    expect(batch.links?.map(contexts).sort()).toEqual(sent.map(contexts).sort())
    expect([batch.parentSpanId, attributeOf(batch, 'messaging.batch.message_count')]).toEqual([undefined, '3'])
    const settled = spans.filter((span) => span.name === 'settle worker')
    expect(settled.map((span) => span.parentSpanId)).toEqual([1, 2, 3].map(() => batch.spanId))
  })

  it('of a publish to many are one send and an attempt for each that hears it (A112)', async () => {
    const scene = traced()
    for (const name of ['a', 'b']) await scene.webhook(name, undefined, {})
    const directory = scene.platform().directory()
    for (const agent of ['a', 'b']) {
      await scene.done(directory.putAgent(indexEntry(await scene.agent(agent))))
      await scene.done(directory.putSubscription(`${agent}-on`, { agent, topic: 'news.>' }, { max: 100 }))
    }
    await scene.publish([{ topic: 'news.x', type: 't', traceparent }])
    await scene.pass(30 * second)
    const spans = spansOf(scene)
    const sent = named(spans, 'send news.x')
    for (const name of ['a', 'b']) expect(named(spans, `process ${name}`).parentSpanId).toBe(sent.spanId)
  })

  it('of a request and its reply are one trace, whether it lies in its agent’s mailbox or elsewhere (A112)', async () => {
    for (const to of ['worker', 'capability:work']) {
      const scene = traced()
      const work = () => ({ status: 200, body: JSON.stringify({ reply: { data: 1 } }) })
      const entry = indexEntry(await scene.webhook('worker', work))
      await scene.done(
        scene
          .platform()
          .directory()
          .putAgent({ ...entry, capabilities: ['work'] }),
      )
      const asked = ask(scene.platform(), admin, { to, type: 't' }, { waits: false, traceparent })
      expect((await scene.done(asked)).ok).toBe(true)
      await scene.pass(60 * second)
      const spans = spansOf(scene)
      const [attempt] = spans.filter((span) => span.name === 'process worker')
      const [reply, ...more] = spans.filter((span) => span.name.startsWith('send gather:'))
      expect([to, attempt?.traceId, reply?.parentSpanId, more]).toEqual([to, caller.trace, attempt?.spanId, []])
    }
  })

  it('of a reducer’s question are linked to every reply that it is made of (A112)', async () => {
    const echo = (name: string) =>
      defineAgent({ name, accepts: z.unknown(), handle: (_, ctx) => Promise.resolve(void ctx.reply({ from: name })) })
    const scene = traced({ handlers: [echo('a'), echo('b'), echo('sum')] })
    for (const name of ['a', 'b', 'sum']) await scene.handler(name)
    const input = { to: ['a', 'b'], type: 't', reduce: { to: 'sum', type: 'sum' } }
    const opened = await scene.done(scatter(scene.platform(), admin, input, { traceparent }))
    expect(opened.ok).toBe(true)
    await scene.pass(60 * second)
    const spans = spansOf(scene)
    const question = named(spans, 'send sum')
    const replies = spans.filter((span) => span.name.startsWith('send gather:') && span.traceId === caller.trace)
    for (const { spanId } of question.links ?? []) expect(replies.map((reply) => reply.spanId)).toContain(spanId)
    expect(question.links).toHaveLength(2)
  })

  it('of a trace that its caller does not sample are none, and neither are there any without a collector (A112)', async () => {
    const scene = traced()
    await scene.webhook('worker')
    await scene.send('worker', { traceparent: `00-${caller.trace}-${caller.span}-00` })
    await scene.pass(10 * second)
    expect(spansOf(scene)).toEqual([])
    const silent = new Scene()
    await silent.webhook('worker')
    await silent.send('worker')
    await silent.pass(10 * second)
    expect(silent.callsOf('collector')).toEqual([])
  })
})

describe('a collector', () => {
  it.each([
    ['refuses', () => ({ status: 503 }), 'the collector answered 503'],
    ['never answers', never, 'the collector did not answer'],
    ['breaks', () => Promise.reject(new Error('gone')), 'Error: gone'],
  ] as const)('that %s delays and fails nothing, and the log says what was dropped (A112)', async (_, answer, why) => {
    const plain = new Scene()
    const scene = traced()
    scene.receiver('collector', answer)
    const ended: unknown[] = []
    for (const one of [plain, scene]) {
      await one.webhook('worker')
      const id = await one.send('worker')
      await one.pass(20 * second)
      const { status, attempts } = await one.receipt(id)
      ended.push([status, attempts.length, one.callsOf('worker').length])
    }
    expect(ended).toEqual([ended[0], ended[0]])
    const dropped = scene.logged.filter(({ step }) => step === 'trace.dropped').map(({ ids }) => ids)
    expect(dropped.length).toBeGreaterThan(0)
    for (const one of dropped) expect(one).toMatchObject({ why })
    expect(dropped.reduce((sum, { spans }) => sum + Number(spans), 0)).toBe(3)
  })

  it('gets at most so many spans of one invocation; the rest is dropped and counted (A112)', async () => {
    const scene = traced()
    const platform = scene.platform()
    const { tracing } = platform
    for (let i = 0; i < limits.spansKept + 7; i++) {
      const span = `00-${caller.trace}-${(i + 1).toString(16).padStart(16, '0')}-01`
      tracing?.begun(span, undefined)
      tracing?.sent({ id: `m-${i}`, to: 'x', type: 't', correlationid: 'c', traceparent: span })
    }
    await scene.pass(second)
    expect(spansOf(scene)).toHaveLength(limits.spansKept)
    expect(scene.logged).toContainEqual({ step: 'trace.dropped', ids: { spans: 7, why: 'too many at once' } })
  })

  it('gets at most so many links of one span, the first (A112)', async () => {
    const scene = traced()
    const { tracing } = scene.platform()
    const own = `00-${caller.trace}-${'a'.repeat(16)}-01`
    const linked = Array.from({ length: limits.spanLinks + 1 }, (_, i) => {
      return `00-${caller.trace}-${(i + 1).toString(16).padStart(16, '0')}-01`
    })
    tracing?.begun(own, undefined, linked)
    tracing?.sent({ id: 'm', to: 'x', type: 't', correlationid: 'c', traceparent: own })
    await scene.pass(second)
    const [span] = spansOf(scene)
    expect(span?.links?.map((link) => link.spanId)).toEqual(linked.slice(0, -1).map((one) => one.split('-')[2]))
  })

  it('is told the headers that OpenTelemetry’s own variables would say', () => {
    expect(collectorHeaders('Authorization=Bearer%20x, x-team = a ,=b,broken,odd=%zz')).toEqual({
      authorization: 'Bearer x',
      'x-team': 'a',
      odd: '%zz',
    })
    expect(collectorHeaders('')).toEqual({})
  })
})

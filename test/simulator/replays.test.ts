/**
 * Replays, through the whole of the broker: the chosen agent alone is called, what it asks for is shown and not done, and the
 * conversation that it is taken from stays as it was (TC9).
 */
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { replayInput } from '../../shared/replay.ts'
import { type AnyAgent, defineAgent } from '../../workers/define.ts'
import { replay } from '../../workers/replay.ts'
import { Scene } from './scene.ts'

const minute = 60_000

async function replayed(scene: Scene, id: string, asked: object = {}, key = 'once') {
  const answer = await scene.done(replay(scene.platform(), id, replayInput.parse(asked), { by: 'admin', key }))
  await scene.pass(minute)
  return answer
}

async function told(scene: Scene, id: string, asked: object = {}, key = 'once') {
  const answer = await replayed(scene, id, asked, key)
  if (!answer.ok) throw new Error(answer.error.code)
  return answer.value
}

const saying = (messages: unknown) => () => ({
  status: 200,
  body: JSON.stringify({ result: 'done', reply: { data: 1 }, messages }),
})

/** One that died at `ada`, so that its data is kept. */
async function died(): Promise<{ scene: Scene; id: string }> {
  const scene = new Scene()
  await scene.webhook('ada', () => ({ status: 422 }))
  await scene.webhook('bob', saying([{ to: 'cyd', type: 'x' }]))
  await scene.webhook('cyd')
  const more = { data: { n: 1 }, replyto: 'cyd', partitionkey: 'k', chain: ['cyd'], correlationid: 'talk' }
  const id = await scene.send('ada', more)
  await scene.pass(minute)
  return { scene, id }
}

describe('a replay', () => {
  it('gives one message to a substitute: what that asks for is shown and withheld, and the original stays as it was (TC9)', async () => {
    const { scene, id } = await died()
    const before = await scene.receipt(id)
    const { delivery } = await told(scene, id, { substituteAgent: 'bob' })
    const receipt = await scene.receipt(delivery!)
    expect(receipt).toMatchObject({ status: 'completed', result: 'done', agent: 'bob' })
    expect(receipt.effects?.map((e) => [e.kind, e.state.status])).toEqual([
      ['reply', 'withheld'],
      ['message', 'withheld'],
    ])
    const { message } = receipt
    expect(message).toMatchObject({ replayof: id, causationid: before.message.id, source: before.message.source })
    expect(message.correlationid).not.toBe('talk')
    expect([message.replyto, message['chain'], message.partitionkey]).toEqual([undefined, undefined, undefined])
    expect(JSON.parse(scene.callsOf('bob')[0]!.body).data).toEqual({ n: 1 })
    expect(scene.callsOf('cyd')).toEqual([])
    expect(await scene.receipt(id)).toEqual(before)
    expect(await scene.letters()).toHaveLength(1)
  })

  it('that is a dry run sends nothing, and shows what it would (TC9)', async () => {
    const { scene, id } = await died()
    const { delivery, message, to } = await told(scene, id, { substituteAgent: 'bob', dryRun: true })
    expect([delivery, to, message.data]).toEqual([undefined, 'bob', { n: 1 }])
    expect(scene.callsOf('bob')).toEqual([])
  })

  it('asked for again under its name is the same one; under another name it is another (TC9)', async () => {
    const { scene, id } = await died()
    const asked = { substituteAgent: 'bob' }
    const [first, again, other] = [
      await told(scene, id, asked),
      await told(scene, id, asked),
      await told(scene, id, asked, 'twice'),
    ]
    expect(again.delivery).toBe(first.delivery)
    expect(other.delivery).not.toBe(first.delivery)
    expect(scene.callsOf('bob')).toHaveLength(2)
  })

  it('of what is forgotten says so, and takes other data, marked with who gave it (TC9)', async () => {
    const { scene } = await died()
    const id = await scene.send('cyd', { data: 'gone' })
    await scene.pass(minute)
    expect(await replayed(scene, id)).toEqual({ ok: false, error: { code: 'data_forgotten', delivery: id } })
    const { message } = await told(scene, id, { data: 'given', substituteAgent: 'bob' })
    expect(message).toMatchObject({ data: 'given', editedby: 'admin', replayof: id })
    const nobody = await replayed(scene, 'cyd_aaaaaaaaaaaaaaaaaaaaaaaaaa')
    expect(nobody).toMatchObject({ ok: false, error: { code: 'not_found' } })
  })

  it('answers what a handler asks as it was answered the first time, and asks nobody; else it fails and says so (TC9)', async () => {
    let fails = true
    const asking = (name: string, question: string): AnyAgent =>
      defineAgent({
        name,
        accepts: z.unknown(),
        handle: async (_message, ctx) => {
          const reply = await ctx.request('expert', 'ask', { question })
          if (fails) throw new Error('died of the answer')
          return reply.data
        },
      })
    const scene = new Scene({ handlers: [asking('ada', 'why'), asking('bob', 'why'), asking('cyd', 'who')] })
    for (const name of ['ada', 'bob', 'cyd']) await scene.handler(name, { maxAttempts: 1 })
    let n = 0
    await scene.webhook('expert', () => ({ status: 200, body: JSON.stringify({ reply: { data: ++n } }) }))
    const id = await scene.send('ada', { data: 1 })
    await scene.pass(minute)
    expect((await scene.receipt(id)).status).toBe('dead_lettered')
    fails = false
    const { delivery } = await told(scene, id, { substituteAgent: 'bob' })
    expect(await scene.receipt(delivery!)).toMatchObject({ status: 'completed', result: 1 })
    const other = await told(scene, id, { substituteAgent: 'cyd' }, 'other')
    const { status, attempts } = await scene.receipt(other.delivery!)
    expect([status, attempts[0]?.error?.message]).toEqual([
      'dead_lettered',
      expect.stringContaining('asked nobody this'),
    ])
    expect(scene.callsOf('expert')).toHaveLength(1)
  })

  it('is nothing that a publisher can pretend: the attribute alone withholds nothing (S1)', async () => {
    const { scene, id } = await died()
    const own = await scene.send('bob', { replayof: id, replyto: 'cyd' })
    await scene.pass(minute)
    expect((await scene.receipt(own)).effects?.map((e) => e.state.status)).toEqual(['carried', 'carried'])
  })
})

/** `ctx.state` in handlers: reads, updates that wait their turn, and a re-run that finds what the run before it wrote. */
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import type { Opening } from '../../shared/workflow.ts'
import { type AnyAgent, defineAgent, type HandlerContext, StateError } from '../../workers/define.ts'
import { Scene } from './scene.ts'

const admin = { source: 'admin', permitted: true }
const permissions = { send: ['*'], publish: ['*'], subscribe: [], readState: ['*'], writeState: ['*'], sources: [] }

async function workflow(scene: Scene, state: object): Promise<void> {
  const opening: Opening = { id: 'w', by: 'admin', permissions, creation: 'c', state: { ...state }, keptMs: 1_000 }
  await scene.done(scene.platform().workflow('w').create(opening))
}

async function stateOf(scene: Scene) {
  const found = await scene.done(scene.platform().workflow('w').state(admin))
  return found.status === 'found' ? { version: found.version, state: found.state } : found
}

const handling = (name: string, handle: (ctx: HandlerContext) => Promise<unknown>): AnyAgent =>
  defineAgent({ name, accepts: z.unknown(), handle: (_message, ctx) => handle(ctx) })

describe('ctx.state', () => {
  it('reads the named parts, updates, and applies operations, each as the next version (A31)', async () => {
    const seen: unknown[] = []
    const scene = new Scene({
      handlers: [
        handling('ada', async (ctx) => {
          seen.push(await ctx.state.read(['n']))
          seen.push(await ctx.state.update(({ secret: _secret, ...rest }) => ({ ...rest, n: Number(rest['n']) + 1 })))
          seen.push(await ctx.state.apply([{ op: 'append', path: '/by', value: ctx.agent }]))
        }),
      ],
    })
    await scene.handler('ada')
    await workflow(scene, { n: 1, secret: 's' })
    await scene.send('ada', { workflowid: 'w' })
    await scene.pass(1_000)
    expect(seen).toEqual([
      { version: 1, state: { n: 1 } },
      { version: 2, state: { n: 2 } },
      { version: 3, state: { n: 2, by: ['ada'] } },
    ])
  })

  it('of sixteen handlers at once loses no update, however often they are in each other’s way (A31)', async () => {
    const scene = new Scene({
      handlers: [handling('ada', (ctx) => ctx.state.update((state) => ({ ...state, n: Number(state['n']) + 1 })))],
    })
    await scene.handler('ada', { concurrency: 16, maxAttempts: 20, backoff: 'quick' })
    await workflow(scene, { n: 0 })
    const ids = []
    for (let i = 0; i < 16; i++) ids.push(await scene.send('ada', { workflowid: 'w' }))
    await scene.pass(120_000)
    for (const id of ids) expect((await scene.receipt(id)).status).toBe('completed')
    expect(await stateOf(scene)).toEqual({ version: 17, state: { n: 16 } })
  })

  it('in a re-run finds what the run before wrote: each call happens once (M2)', async () => {
    let runs = 0
    const answers: unknown[] = []
    const scene = new Scene({
      handlers: [
        handling('ada', async (ctx) => {
          runs += 1
          const counted = await ctx.state.update((state) => ({ ...state, n: Number(state['n']) + runs }))
          const appended = await ctx.state.apply([{ op: 'append', path: '/runs', value: 1 }])
          answers.push([counted, appended])
          if (runs === 1) throw new Error('after the writes')
        }),
      ],
    })
    await scene.handler('ada', { backoff: 'quick' })
    await workflow(scene, { n: 0 })
    await scene.send('ada', { workflowid: 'w' })
    await scene.pass(60_000)
    expect(runs).toBe(2)
    expect(answers[1]).toEqual(answers[0])
    expect(await stateOf(scene)).toEqual({ version: 3, state: { n: 1, runs: [1] } })
  })

  it('of a run that lost its lease writes nothing more', async () => {
    let failure: unknown
    let runs = 0
    const scene: Scene = new Scene({
      handlers: [
        handling('ada', async (ctx) => {
          runs += 1
          if (runs > 1) return
          await scene.sleep(120_000)
          failure = await ctx.state.apply([{ op: 'increment', path: '/late' }]).catch((error: unknown) => error)
        }),
      ],
    })
    await scene.handler('ada', { timeoutSeconds: 5, backoff: 'quick' })
    await workflow(scene, {})
    await scene.send('ada', { workflowid: 'w' })
    await scene.pass(300_000)
    expect(failure).toBeInstanceOf(StateError)
    expect(failure).toMatchObject({ code: 'stale_lease' })
    expect(await stateOf(scene)).toEqual({ version: 1, state: {} })
  })

  it('says why there is none: no workflow, one that nobody made, an operation that cannot be done', async () => {
    const codes: unknown[] = []
    const attempt = (work: Promise<unknown>) => work.catch((error: unknown) => codes.push((error as StateError).code))
    const scene = new Scene({
      handlers: [
        handling('ada', async (ctx) => {
          await attempt(ctx.state.read())
          await attempt(ctx.state.update((state) => state))
          await attempt(ctx.state.apply([{ op: 'increment', path: '/text' }]))
          await attempt(ctx.state.apply([{ op: 'explode' }]))
        }),
      ],
    })
    await scene.handler('ada')
    await workflow(scene, { text: 'a' })
    for (const workflowid of [undefined, 'nobody', 'w']) {
      await scene.send('ada', workflowid === undefined ? {} : { workflowid })
      await scene.pass(1_000)
    }
    expect(codes).toEqual([
      ...['no_workflow', 'no_workflow', 'no_workflow', 'no_workflow'],
      ...['not_found', 'not_found', 'not_found', 'invalid_request'],
      ...['patch_failed', 'invalid_request'],
    ])
  })
})

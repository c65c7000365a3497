/**
 * Promises over HTTP: make one, wait for it, keep or break it. The gateway waits, by asking again; no object holds a call open.
 * Never here: what becomes of one (shared/promise.ts).
 */
import { type Context, Hono } from 'hono'
import {
  promiseEnd,
  promiseInput,
  promiseQuery,
  publicPromise,
  rejectInput,
  resolveInput,
} from '../../shared/api-promises.ts'
import { ownSource } from '../../shared/permissions.ts'
import { isPromiseId, mayEndPromise, type PromiseEnding, type PromiseRecord } from '../../shared/promise.ts'
import type { App } from '../context.ts'
import { idempotencyKeyOf } from '../idempotency-key.ts'
import { makePromise } from '../make-promise.ts'
import { meter } from '../meter.ts'
import { poll } from '../poll.ts'
import { readJson, refuse, unwrap, validate } from '../problem.ts'
import { streamEnd, streamHeaders, wantsStream } from '../stream-end.ts'
import { tellPromise } from '../tell-promise.ts'

export const promises = new Hono<App>()

promises.post('/promises', async (c) => {
  const input = await readJson(c, promiseInput)
  const key = idempotencyKeyOf(c)
  meter(c, 1)
  const { promise, opened } = unwrap(await makePromise(c.get('platform'), c.get('principal'), input, key))
  c.header('Location', `/v1/promises/${promise.id}`)
  return c.json(publicPromise(promise), opened ? 201 : 200)
})

promises.get('/promises/:promise', async (c) => {
  const { waitSeconds: seconds } = validate(promiseQuery, c.req.query())
  const isOver = ({ outcome }: PromiseRecord) => outcome !== undefined
  const [platform, waiting] = [c.get('platform'), { seconds, signal: c.req.raw.signal }]
  if (wantsStream(c.req.header('accept'))) {
    const first = await readable(c)
    const again = () => platform.promise(first.id).find()
    return c.body(streamEnd(platform, waiting, { first, ask: again, isOver, view: publicPromise }), 200, streamHeaders)
  }
  const found = await poll(platform, waiting, () => readable(c), isOver)
  // Without one the client is gone, and whatever is answered is read by nobody.
  return found === undefined ? c.body(null) : c.json(publicPromise(found), 200)
})

promises.post('/promises/:promise/resolve', async (c) => {
  const { value = null } = await readJson(c, resolveInput)
  return c.json(publicPromise(await end(c, { status: 'resolved', by: ownSource(c.get('principal')), value })), 200)
})

promises.post('/promises/:promise/reject', async (c) => {
  const { error = null } = await readJson(c, rejectInput)
  return c.json(publicPromise(await end(c, { status: 'rejected', by: ownSource(c.get('principal')), error })), 200)
})

async function end(c: Context<App>, ending: PromiseEnding): Promise<PromiseRecord> {
  const { id } = await readable(c)
  const platform = c.get('platform')
  const ended = (await platform.promise(id).end(ending)) ?? notFound(id)
  if (ended.status === 'over') {
    const { status, name: _name, ...evidence } = promiseEnd(ended.promise)
    return refuse({ code: 'promise_over', ended: status, ...evidence })
  }
  // It is stored; whom it could not be told now, its alarm has it told.
  return (await tellPromise(platform, id).catch(() => undefined)) ?? ended.promise
}

/** The promise asked for, if the caller has to do with it. */
async function readable(c: Context<App>): Promise<PromiseRecord> {
  const id = c.req.param('promise') ?? ''
  const found = isPromiseId(id) ? await c.get('platform').promise(id).find() : undefined
  if (found === undefined) return notFound(id)
  return mayEndPromise(c.get('principal'), found) ? found : refuse({ code: 'forbidden', action: 'read', subject: id })
}

const notFound = (id: string): never => refuse({ code: 'not_found', what: 'promise', id })

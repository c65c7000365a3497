/**
 * The operations on promises, with what goes in and comes out. Never here: what becomes of one (shared/promise.ts), what the
 * gateway may answer to anything (shared/api-operation.ts).
 */
import * as z from 'zod'
import { type Operation, streamed } from './api-operation.ts'
import { limits } from './limits.ts'
import { type PromiseOutcome, type PromiseRecord, promiseStatusOf } from './promise.ts'

// --- bodies -----------------------------------------------------------------------------------------------------------

export const promiseInput = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(limits.idempotencyKeyLength)
    .optional()
    .describe('A name of your own choice: the same one again finds the same promise.'),
  timeoutSeconds: z
    .number()
    .min(0.05)
    .max(limits.promiseSeconds)
    .default(limits.promiseDefaultSeconds)
    .describe('After that it ends as `timed_out`.'),
  resolvers: z
    .array(z.string().min(1).max(limits.attributeLength))
    .max(limits.promiseResolvers)
    .default([])
    .describe(
      'Who may end and read it, beside whoever made it and an admin: agents and apps (`app/<name>`); `*` at the end stands for the rest, and alone for every key that knows the id.',
    ),
  notify: z
    .string()
    .min(1)
    .max(limits.topicLength)
    .refine((to) => !to.startsWith('gather:'), 'a promise is no reply')
    .optional()
    .describe('Who is told of its end: an agent, `topic:<topic>` or `workflow:<id>`.'),
  correlationid: z.string().min(1).max(limits.idLength).optional(),
})
export type PromiseInput = z.infer<typeof promiseInput>

export const resolveInput = z.strictObject({ value: z.unknown().optional().describe('Any JSON; absent: null.') })
export const rejectInput = z.strictObject({ error: z.unknown().optional().describe('Any JSON; absent: null.') })

const outcomeAnswer = {
  status: z.enum(['pending', 'resolved', 'rejected', 'timed_out']),
  value: z.unknown().optional().describe('Of a `resolved` one.'),
  error: z.unknown().optional().describe('Of a `rejected` one.'),
  endedBy: z.string().optional(),
  endedAt: z.iso.datetime().optional(),
}

export const promiseAnswer = z.strictObject({
  id: z.string(),
  name: z.string().optional(),
  ...outcomeAnswer,
  madeBy: z.string(),
  resolvers: z.array(z.string()),
  notify: z.string().optional(),
  correlationid: z.string().optional(),
  madeAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  told: z
    .strictObject({
      status: z.enum(['pending', 'carried', 'refused']),
      deliveries: z.array(z.string()).optional(),
      reason: z.string().optional(),
      detail: z.string().optional(),
    })
    .optional()
    .describe('What became of the news of its end, when somebody is to be told.'),
})

const iso = (at: number) => new Date(at).toISOString()

function publicEnd(outcome: PromiseOutcome) {
  const endedAt = iso(outcome.at)
  if (outcome.status === 'timed_out') return { endedAt }
  const what = outcome.status === 'resolved' ? { value: outcome.value } : { error: outcome.error }
  return { ...what, endedBy: outcome.by, endedAt }
}

/** How it ended, as whoever waits for it is told. */
export function promiseEnd(promise: PromiseRecord) {
  const { id, name, outcome } = promise
  return {
    ...{ promise: id, ...(name === undefined ? {} : { name }), status: promiseStatusOf(promise) },
    ...(outcome === undefined ? {} : publicEnd(outcome)),
  }
}

export function publicPromise(promise: PromiseRecord): z.infer<typeof promiseAnswer> {
  const { id, owner, resolvers, notify, correlationid, openedAt, deadlineAt, news } = promise
  const { promise: _id, ...ended } = promiseEnd(promise)
  return {
    ...{ id, ...ended, madeBy: owner, resolvers },
    ...(notify === undefined ? {} : { notify }),
    ...(correlationid === undefined ? {} : { correlationid }),
    ...{ madeAt: iso(openedAt), expiresAt: iso(deadlineAt) },
    ...(news === undefined ? {} : { told: publicNews(news) }),
  }
}

function publicNews(news: NonNullable<PromiseRecord['news']>): z.infer<typeof promiseAnswer>['told'] {
  if (news.status === 'pending') return { status: 'pending' }
  return news.status === 'carried'
    ? { status: 'carried', deliveries: news.deliveries }
    : { status: 'refused', reason: news.reason, detail: news.detail }
}

export const promiseQuery = z.object({
  waitSeconds: z.coerce.number().min(0).max(limits.waitSeconds).default(0).describe('Waits so long for it to end.'),
})

// --- operations -------------------------------------------------------------------------------------------------------

const of = (method: Operation['method'], path: string, id: string, summary: string) =>
  ({ method, path: `/v1/promises${path}`, id, tag: 'Promises', who: 'resolver', summary }) as const

const thePromise = { status: 200, description: 'The promise.', schema: promiseAnswer }

/** In the order of the reference page. */
export const promiseOperations: readonly Operation[] = [
  {
    ...of('post', '', 'makePromise', 'Make a promise'),
    who: 'sender',
    description:
      'A result that somebody will bring by its id, also before anybody waits for it. Its end comes as a message `switchboard.promise.resolved` (`.rejected`, `.timed_out`) to `notify`; to a workflow as an event `promise_resolved` (`promise_rejected`, `promise_timed_out`).',
    headers: [
      {
        name: 'Idempotency-Key',
        description: 'Names the promise among those of its maker, where it has no `name`: a repeat finds it.',
        schema: z.string().min(1).max(limits.idempotencyKeyLength),
      },
    ],
    body: { types: { 'application/json': promiseInput }, limitBytes: limits.requestBytes },
    answers: [
      {
        status: 201,
        description: 'Made.',
        schema: promiseAnswer,
        headers: [{ name: 'Location', description: 'Where it is.', schema: z.string() }],
      },
      { status: 200, description: 'Made before, under this name or key.', schema: promiseAnswer },
    ],
    faults: ['forbidden', 'agent_not_found', 'key_reused'],
  },
  {
    ...of('get', '/{promise}', 'getPromise', 'Read a promise, and wait for its end'),
    query: promiseQuery,
    answers: [{ ...thePromise, other: streamed }],
    faults: ['forbidden', 'not_found'],
  },
  {
    ...of('post', '/{promise}/resolve', 'resolvePromise', 'Keep a promise'),
    description: 'The first end in time holds; the same one repeated is answered alike.',
    body: { types: { 'application/json': resolveInput }, limitBytes: limits.requestBytes },
    answers: [thePromise],
    faults: ['forbidden', 'not_found', 'promise_over'],
  },
  {
    ...of('post', '/{promise}/reject', 'rejectPromise', 'Break a promise'),
    description: 'As above.',
    body: { types: { 'application/json': rejectInput }, limitBytes: limits.requestBytes },
    answers: [thePromise],
    faults: ['forbidden', 'not_found', 'promise_over'],
  },
]

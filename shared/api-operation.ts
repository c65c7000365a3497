/**
 * What one HTTP operation is, as data: the routes validate with its schemas, and the OpenAPI document and the reference page
 * are made of it, so that the three cannot disagree. Never here: the operations themselves (shared/api.ts), rendering
 * (workers/openapi.ts).
 */
import * as z from 'zod'
import type { FaultCode } from './fault.ts'
import { limits } from './limits.ts'

export type Method = 'get' | 'put' | 'post' | 'patch' | 'delete'

/** Who may call. What a key may do beyond that is in its permissions. */
export const callers = {
  anyone: 'Anyone; no key is needed.',
  key: 'Any key.',
  sender: 'Any key whose permissions allow it to send there.',
  party: 'The sender, the addressee, and an admin.',
  agent: 'The agent itself, and an admin.',
  subscriber: 'The agent itself, for what its permissions let it hear, and an admin.',
  user: 'An agent that declares it, and an admin.',
  publisher: 'Whoever published it, and an admin.',
  maker: 'Whoever made it, and an admin.',
  watcher: 'The observer, for what its permissions let it hear, and an admin.',
  judge: 'Whoever asked, whoever is asked, and an admin.',
  resolver: 'Whoever made it, whoever its `resolvers` name, and an admin.',
  reader: 'Whoever made the workflow, any key whose `readState` names it, and an admin.',
  writer: 'Whoever made the workflow, any key whose `writeState` names it, and an admin.',
  admin: 'An admin.',
} as const
export type Caller = keyof typeof callers

export interface Parameter {
  readonly name: string
  readonly description: string
  readonly schema: z.ZodType
}

export interface RequestBody {
  /** Every media type that is taken, with its schema; the first is the usual one. */
  readonly types: Readonly<Record<string, z.ZodType>>
  /** The body may be left out: every field has a default. */
  readonly optional?: true
  readonly limitBytes: number
}

export interface Answer {
  readonly status: number
  readonly description: string
  /** Absent: no body. */
  readonly schema?: z.ZodType
  /** Default application/json. */
  readonly type?: string
  /** The same in other media types, for who asks for them. */
  readonly other?: Readonly<Record<string, z.ZodType>>
  readonly headers?: readonly Parameter[]
}

export interface Operation {
  readonly method: Method
  /** An OpenAPI path template. */
  readonly path: string
  readonly id: string
  readonly tag: string
  readonly summary: string
  /** Markdown. */
  readonly description?: string
  readonly who: Caller
  /** A webhook that an agent signed does in place of a key. */
  readonly signed?: true
  readonly query?: z.ZodObject
  readonly headers?: readonly Parameter[]
  readonly body?: RequestBody
  readonly answers: readonly Answer[]
  /** Beyond those that `faultsOf` adds. */
  readonly faults: readonly FaultCode[]
}

/** What a path's `{name}` stands for. */
export const pathParameters: Readonly<Record<string, Omit<Parameter, 'name'>>> = {
  agent: { description: 'An agent’s name.', schema: z.string().regex(/^[a-z0-9-]{1,64}$/) },
  id: { description: 'The id, as answers and lists tell it.', schema: z.string() },
  resource: { description: 'A resource’s name, percent-encoded: `openai%2Fgpt-5`.', schema: z.string() },
  correlation: { description: 'A `correlationid`, percent-encoded.', schema: z.string().max(limits.idLength) },
  definition: { description: 'A name of your own choice.', schema: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/) },
  workflow: { description: 'A workflow’s id.', schema: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/) },
  key: { description: 'A key’s id; not the key.', schema: z.string() },
  observer: { description: 'An agent’s name.', schema: z.string().regex(/^[a-z0-9-]{1,64}$/) },
  approval: { description: 'The id of an approval.', schema: z.string() },
  promise: { description: 'The id of a promise.', schema: z.string() },
  document: { description: 'The id of a document.', schema: z.string() },
  schedule: { description: 'An id of your own choice.', schema: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/) },
  schema: { description: 'A name of your own choice.', schema: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/) },
  subscription: { description: 'An id of your own choice.', schema: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/) },
}

/** Told with every change of who is meant by a publish to many; sent back with a publish, it is sure to meet that change. */
export const directoryVersion = {
  name: 'switchboard-directory-version',
  description:
    'The directory’s version. An answer tells it after a change; a publish that sends it back meets whoever was subscribed or registered by then, at once. Without it, within 5 seconds.',
  schema: z.string().regex(/^[0-9]{1,15}$/),
} as const satisfies Parameter

/** An answer that may be had as server-sent events: how it stands, how a receipt goes on, and how it ended. */
export const streamed = {
  'text/event-stream': z
    .string()
    .describe('An event named after its `status`: now, at each step of a receipt, and when it has ended.'),
} as const

/** Lists are read page by page. */
export const pageQuery = {
  cursor: z.string().max(limits.attributeLength).optional().describe('Where the page before this one ended.'),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(limits.pageSize)
    .default(limits.pageSize)
    .describe('How many items at most.'),
}

export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.strictObject({
    items: z.array(item),
    cursor: z.string().optional().describe('There is more: ask again with this cursor.'),
  })

/** Is the operation served to callers without a key? */
export const isOpen = (operation: Operation): boolean => operation.who === 'anyone'

// What the gateway itself may answer, whatever the operation: it is told once, here, and never forgotten in a new row.
const always: readonly FaultCode[] = ['method_not_allowed', 'internal']
const keyed: readonly FaultCode[] = ['unauthenticated', 'not_configured', 'unavailable']
const bySignature: readonly FaultCode[] = ['invalid_signature', 'stale_timestamp']
// Who may send may send too much.
const sending: readonly FaultCode[] = ['rate_limited']
const withBody: readonly FaultCode[] = [
  'invalid_json',
  'invalid_request',
  'too_deep',
  'too_large',
  'unsupported_media_type',
]

/** Every code that this operation may answer. */
export function faultsOf(operation: Operation): readonly FaultCode[] {
  return [
    ...new Set([
      ...operation.faults,
      ...(operation.body === undefined ? [] : withBody),
      ...(operation.query === undefined ? [] : (['invalid_request'] as const)),
      ...(isOpen(operation) ? [] : keyed),
      ...(operation.who === 'sender' ? sending : []),
      ...(operation.signed === true ? bySignature : []),
      ...always,
    ]),
  ]
}

/**
 * A view: what of a message's data its agent is handed, because it asked for no more. The whole message stays in the mailbox
 * while it is live, and the agent reads there what it needs after all. Data that is bytes (`data_base64`) has no parts, and is
 * handed over as it is. Never here: the parts themselves (shared/projection.ts).
 */
import * as z from 'zod'
import { utf8Length } from './json.ts'
import { limits } from './limits.ts'
import { project, selection } from './projection.ts'

/** What is asked for: parts of the data, and at most so many bytes of it. */
const parts = selection.refine(
  (s) => s.join('').length <= limits.selectionLength,
  `at most ${limits.selectionLength} characters in all`,
)
const cap = z.int().min(1).max(limits.messageBytes)
export const viewShape = {
  select: parts
    .exactOptional()
    .describe(
      'The parts of `data` that are handed over, by JSON Pointers or dotted paths, where `*` is every element.',
    ),
  maxBytes: cap
    .exactOptional()
    .describe(
      'A part that would exceed so many bytes of data in all is handed over as `{ "$truncated": { "bytes": n } }`.',
    ),
}
/** The same as attributes of a message, by whoever sends it. */
export const viewAttributes = { select: parts.optional(), maxbytes: cap.optional() }
export const viewSchema = z.strictObject(viewShape)
export type View = z.infer<typeof viewSchema>

/** A view with what it does to one message. */
export const viewRecord = z.strictObject({
  ...viewShape,
  /** Of the data as it was published, and as it is handed over. */
  dataBytes: z.int(),
  handedBytes: z.int(),
  truncated: z.boolean(),
})
export type ViewRecord = z.infer<typeof viewRecord>

/** The view that is asked for, if it is one. */
export function viewOf({ select, maxBytes }: View): View | undefined {
  if (select === undefined && maxBytes === undefined) return undefined
  return { ...(select === undefined ? {} : { select }), ...(maxBytes === undefined ? {} : { maxBytes }) }
}

/** What a message says of how much of it is handed over (attributes are lower case). */
interface Saying {
  readonly select?: readonly string[] | undefined
  readonly maxbytes?: number | undefined
  readonly data?: unknown
}

/**
 * What its agent is handed of a message, and how much that is: the parts that its subscription names, or else those that the message
 * names, and no more bytes than either allows. Undefined: all of it.
 */
export function viewOfMessage({ select, maxbytes, data }: Saying, asked: View = {}): ViewRecord | undefined {
  const parts = asked.select ?? select
  const maxBytes = Math.min(asked.maxBytes ?? Number.POSITIVE_INFINITY, maxbytes ?? Number.POSITIVE_INFINITY)
  const view = viewOf({
    ...(parts === undefined ? {} : { select: [...parts] }),
    ...(maxBytes === Number.POSITIVE_INFINITY ? {} : { maxBytes }),
  })
  return view === undefined ? undefined : measured(view, data)
}

/** What a view does to this data; undefined where there is nothing that has parts. */
export function measured(view: View, data: unknown): ViewRecord | undefined {
  if (data === undefined) return undefined
  const { value, truncated } = project(data, view.select, view.maxBytes)
  return { ...view, dataBytes: bytesOf(data), handedBytes: bytesOf(value), truncated }
}

const bytesOf = (value: unknown) => utf8Length(JSON.stringify(value))

/** The message as its agent is handed it. `body` is one of ours: JSON that parses. */
export function handed(body: string, { select, maxBytes }: View): string {
  // What is stored was a message when it came.
  const message = JSON.parse(body) as Record<string, unknown>
  return 'data' in message ? JSON.stringify({ ...message, data: project(message.data, select, maxBytes).value }) : body
}

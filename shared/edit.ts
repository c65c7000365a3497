/**
 * Edit: what a person changes of a dead letter's message before it is redriven, and what is kept of it: who, when, what, and the
 * data as its publisher sent it. Never here: who may edit (workers/routes/dead-letters.ts), the redrive (shared/redrive.ts).
 */
import * as z from 'zod'
import { agentName, digest } from './ids.ts'
import { utf8Length } from './json.ts'
import { applyMergePatch, mergePatch } from './json-patch.ts'
import { limits } from './limits.ts'
import type { Message } from './message.ts'

/** The body of a redrive: every part optional, at most one of `data` and `patch`. */
export const editInput = z
  .strictObject({
    data: z.unknown().optional().describe('Instead of its data.'),
    patch: mergePatch.optional().describe('A JSON merge patch of its data (RFC 7396).'),
    to: agentName.optional().describe('Another agent, who is given it instead. For an admin.'),
  })
  .refine((asked) => !('data' in asked) || asked.patch === undefined, {
    path: ['patch'],
    error: 'only one of `data` and `patch`',
  })
export type EditInput = z.infer<typeof editInput>

const original = z.strictObject({
  /** Absent when it has more than `limits.originalBytes`. */
  data: z.unknown().optional(),
  data_base64: z.string().exactOptional(),
  bytes: z.int(),
  /** By which the publisher can show what it sent. */
  digest: z.string(),
})

const edit = z.strictObject({
  at: z.number(),
  by: z.string(),
  /** Which life it was made for: the first redrive is 1. */
  life: z.int(),
  data: z.boolean(),
  to: z.string().exactOptional(),
  /** The digest of what was asked for, by which a repeat is known. */
  asked: z.string().exactOptional(),
})
export type Edit = z.infer<typeof edit>

export const editsSchema = z.strictObject({
  /** The data before the first edit of it. Absent while only the addressee was changed. */
  original: original.exactOptional(),
  made: z.array(edit),
})
export type Edits = z.infer<typeof editsSchema>

/** An edit that may be made: the message as it will be delivered, where its data changes, and whom it goes to. */
export interface Editing {
  readonly by: string
  /** The whole message as JSON text. */
  readonly body?: string
  readonly original?: Edits['original']
  readonly to?: string
  /** What was asked for, and for which life, so that a repeat is told from another edit. */
  readonly asked?: Asked
}

export interface Asked {
  readonly digest: string
  readonly life: number
}

/** What somebody asks of one life: the first redrive begins life 1. */
export const askedOf = (asked: EditInput, life: number): Asked => ({ digest: digest(JSON.stringify(asked)), life })

/** Was this very edit made for that life? Of an older record nobody knows what was asked for. */
export function wasMade(edits: Edits | undefined, { digest, life }: Asked): boolean {
  return edits?.made.some((one) => one.life === life && (one.asked === undefined || one.asked === digest)) === true
}

export const isEdit = (asked: EditInput): boolean =>
  'data' in asked || asked.patch !== undefined || asked.to !== undefined

/** The message with other data, marked with who changed it. Undefined when the edit leaves the data alone. */
export function edited(message: Message, asked: EditInput, by: string): Message | undefined {
  if (!('data' in asked) && asked.patch === undefined) return undefined
  const { data_base64: _bytes, ...rest } = message
  const data = asked.patch === undefined ? asked.data : applyMergePatch(message.data ?? null, asked.patch)
  const type = message.data_base64 === undefined ? {} : { datacontenttype: 'application/json' }
  return { ...rest, ...type, data, editedby: by }
}

/** What is kept of the data that its publisher sent. */
export function originalOf({ data, data_base64 }: Message): NonNullable<Edits['original']> {
  const text = data_base64 ?? JSON.stringify(data ?? null)
  const bytes = utf8Length(text)
  const kept = bytes > limits.originalBytes ? {} : data_base64 === undefined ? { data } : { data_base64 }
  return { ...kept, bytes, digest: digest(text) }
}

/** Notes one more edit. The first original stays, and so does the newest of many edits. */
export function withEdit(
  edits: Edits | undefined,
  { by, body, original, to, asked }: Editing,
  life: number,
  at: number,
): Edits {
  const what = { ...(to === undefined ? {} : { to }), ...(asked === undefined ? {} : { asked: asked.digest }) }
  const made = [...(edits?.made ?? []), { at, by, life, data: body !== undefined, ...what }]
  const first = edits?.original ?? original
  return { ...(first === undefined ? {} : { original: first }), made: made.slice(-limits.editsKept) }
}

/** For whoever must not hold data: the index of letters, and a mailbox that was told to forget it. Size and digest stay. */
export function withoutData(edits: Edits): Edits {
  if (edits.original === undefined) return edits
  const { data: _data, data_base64: _base64, ...known } = edits.original
  return { ...edits, original: known }
}

/** As receipts and letters tell it. */
export function publicEdits({ original, made }: Edits) {
  return {
    ...(original === undefined ? {} : { original }),
    made: made.map(({ asked: _asked, ...one }) => ({ ...one, at: new Date(one.at).toISOString() })),
  }
}

export const editsAnswer = z.strictObject({
  original: original.optional().describe('What its publisher sent, without its data where that is large.'),
  made: z.array(edit.omit({ asked: true }).extend({ at: z.iso.datetime() })),
})

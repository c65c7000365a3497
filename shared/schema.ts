/**
 * A registered schema: which messages it is for, by type or topic or both, what their data must be, and what becomes of those
 * that do not fit. All that a message meets must be satisfied. Never here: what JSON Schema says (shared/json-schema.ts).
 */
import * as z from 'zod'
import type { Mismatch } from './fault-standing.ts'
import { type JsonSchema, type Judge, judgeOf, schemaIssues } from './json-schema.ts'
import { limits } from './limits.ts'
import type { Message } from './message.ts'
import { topicMatches, topicPattern } from './topic.ts'

export const schemaName = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'a name is 1 to 64 of A-Z, a-z, 0-9, _ and -')

const typePattern = z
  .string()
  .max(limits.typeLength)
  .refine(
    (pattern) => pattern.split('.').every((part, i, all) => part !== '' && (part !== '>' || i === all.length - 1)),
    'a pattern is tokens joined by dots; `*` stands for one token, and `>` for the rest, at the end only',
  )

const shape = {
  match: z
    .strictObject({
      type: typePattern.exactOptional().describe('A pattern, as for topics: `orders.*`.'),
      topic: topicPattern.exactOptional().describe('A pattern. Messages to an agent have no topic.'),
    })
    .describe('Which messages: of these types, on these topics, or both when both are there.'),
  schema: z
    .union([z.boolean(), z.record(z.string(), z.unknown())])
    .describe('JSON Schema, draft 2020-12, for the `data` of a message. `$ref` within the schema only.'),
  enforce: z
    .enum(['reject', 'warn'])
    .default('reject')
    .describe(
      '`reject`: what does not fit is refused, and nothing is stored. `warn`: it is accepted, and the answer says so.',
    ),
}

export const schemaInput = z.strictObject(shape).superRefine(({ match, schema }, ctx) => {
  if (match.type === undefined && match.topic === undefined)
    ctx.addIssue({ code: 'custom', path: ['match'], message: '`type`, `topic` or both are needed' })
  for (const { pointer, message } of schemaIssues(schema))
    ctx.addIssue({ code: 'custom', path: ['schema', ...(pointer === '' ? [] : [pointer])], message })
})
export type SchemaInput = z.infer<typeof schemaInput>

export const schemaRecord = z.strictObject({
  v: z.literal(1),
  name: z.string(),
  ...shape,
  /** That of all schemas together when this one was put. */
  version: z.int(),
  updatedAt: z.number(),
})
export type Schema = z.infer<typeof schemaRecord>

/** A stored record, parsed as the network is. */
export const readSchema = (stored: unknown): Schema => schemaRecord.parse(JSON.parse(String(stored)))

export function publicSchema({ v: _v, updatedAt, ...schema }: Schema) {
  return { ...schema, updatedAt: new Date(updatedAt).toISOString() }
}

/** All schemas of a deployment, as of one version. */
export interface SchemaSet {
  readonly version: number
  readonly items: readonly Schema[]
}

/** What the directory answers: without the schemas when the caller has that version. */
export interface SchemasAnswer {
  readonly version: number
  readonly items?: readonly Schema[]
}

/** The schemas of one version, ready to judge messages. Judges are made when they are first needed. */
export class Rules {
  readonly version: number
  readonly #items: readonly Schema[]
  readonly #judges = new Map<string, Judge>()

  constructor({ version, items }: SchemaSet) {
    this.version = version
    this.#items = items
  }

  /** The schemas that a message does not fit, each with where and why. Pointers begin at the message. */
  violations(message: Message, bodyBytes: number): Violation[] {
    return this.#items
      .filter((schema) => appliesTo(schema, message))
      .map((schema) => ({ schema, mismatches: this.#judge(schema, message, bodyBytes) }))
      .filter(({ mismatches }) => mismatches.length > 0)
  }

  #judge(schema: Schema, message: Message, bodyBytes: number): readonly Mismatch[] {
    if (message.data === undefined) {
      const what = message.data_base64 === undefined ? 'there is no data' : 'the data is bytes, and not JSON'
      return [{ pointer: '/data', schemaPointer: '', message: what }]
    }
    const judge = this.#judges.get(schema.name) ?? judgeOf(schema.schema as JsonSchema)
    this.#judges.set(schema.name, judge)
    return judge(message.data, { thorough: bodyBytes <= limits.thoroughBytes }).map((one) => ({
      ...one,
      pointer: `/data${one.pointer}`,
    }))
  }
}

export interface Violation {
  readonly schema: Schema
  readonly mismatches: readonly Mismatch[]
}

/** A schema that says `warn`, and what does not fit it: told to the publisher with the acceptance. */
export const schemaWarning = z.strictObject({
  schema: z.string(),
  mismatches: z
    .array(z.strictObject({ pointer: z.string(), schemaPointer: z.string(), message: z.string() }))
    .readonly(),
})
export type SchemaWarning = Readonly<z.infer<typeof schemaWarning>>

/** Is the schema for this message? */
export function appliesTo({ match }: Pick<Schema, 'match'>, { type, topic }: Pick<Message, 'type' | 'topic'>): boolean {
  if (match.type !== undefined && !topicMatches(match.type, type)) return false
  return match.topic === undefined || (topic !== undefined && topicMatches(match.topic, topic))
}

/** What an isolate remembers of the schemas: a cache, whose staleness workers/conform.ts states. */
export interface KnownSchemas {
  rules: Rules | undefined
  until: number
}

export const nothingKnown = (): KnownSchemas => ({ rules: undefined, until: 0 })

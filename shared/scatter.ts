/**
 * A scatter: one question to many agents, or many parts of one work (map), and what is made of the replies (reduce). What an asker
 * sends, and how its parts are cut. Never here: the gather that waits for them (shared/gather.ts), whom to ask (workers/scatter.ts).
 */
import * as z from 'zod'
import { balanced, ofAtMost, withinTokens } from './chunks.ts'
import { digest } from './ids.ts'
import type { Join } from './join.ts'
import { utf8Length } from './json.ts'
import { isJsonObject, type JsonObject } from './json-pointer.ts'
import { limits } from './limits.ts'
import { type Message, nonEmpty } from './message.ts'
import { err, ok, type Result } from './result.ts'

const destination = z.string().min(1).max(limits.topicLength)
const messageType = z.string().min(1).max(limits.typeLength)
const count = z.int().min(1)

const own = {
  items: z
    .array(z.unknown())
    .max(limits.scatterItems)
    .optional()
    .describe('The work, cut into one chunk for each agent, or as `itemsPerChunk` and `maxTokensPerChunk` say.'),
  chunks: z
    .array(z.array(z.unknown()))
    .max(limits.scatterLegs)
    .optional()
    .describe('The work, cut already: none of them empty.'),
  itemsPerChunk: count.optional().describe('At most so many items to a chunk; chunks are balanced all the same.'),
  maxTokensPerChunk: count
    .optional()
    .describe('At most about so many tokens to a chunk, at four bytes of JSON each. One item alone may be more.'),
  assign: z
    .enum(['least_loaded', 'rotate'])
    .default('least_loaded')
    .describe('Who gets a chunk: whoever has least to do, or each in turn.'),
  join: z
    .union([z.enum(['all', 'any', 'settled']), z.string().regex(/^quorum:[1-9][0-9]{0,3}$/)])
    .default('all')
    .describe('When it is over: `all`, `any` or `quorum:n` replied, or all have replied or failed (`settled`).'),
  tolerance: z
    .union([z.strictObject({ count: z.int().min(0) }), z.strictObject({ percent: z.number().min(0).max(100) })])
    .optional()
    .describe('With `join: all`: how many may fail or be missing.'),
  deadlineSeconds: z
    .number()
    .min(0.05)
    .max(limits.requestSeconds)
    .default(300)
    .describe('Who has not replied by then is missing.'),
  reduce: z
    .strictObject({
      to: destination.describe('An agent’s name, or `capability:<skill>`.'),
      type: messageType,
      data: z
        .record(z.string(), z.unknown())
        .optional()
        .describe('Beside `ok`, `failed` and `missing` in its message.'),
      onEmpty: z.enum(['skip', 'call']).default('skip').describe('Whether it is asked when nobody replied.'),
      timeoutSeconds: z
        .number()
        .min(0.05)
        .max(limits.requestSeconds)
        .optional()
        .describe('How long it may take; as `deadlineSeconds` when left out.'),
    })
    .optional()
    .describe('Who makes one result of the replies: asked once, when the join is satisfied.'),
  replyto: destination.optional().describe('Who is told the end: an agent, `topic:<topic>`, or `workflow:<id>`.'),
  replytype: messageType.optional().describe('The type of that message; `<type>.gathered` when left out.'),
}

/** The body of POST /v1/scatters. */
export const scatterInput = z
  .looseObject({
    to: z
      .union([destination, z.array(destination).max(limits.scatterAgents)])
      .describe('Agents by name, one or several, or `capability:<skill>`: all healthy ones that have it.'),
    type: messageType,
    id: nonEmpty(limits.idLength).optional().describe('The asker’s own: repeated, it is the same scatter.'),
    data: z.unknown().optional().describe('What everybody gets; with items an object, in which theirs are `items`.'),
    ...own,
  })
  .superRefine((input, ctx) => {
    for (const [path, message] of issuesOf(input)) ctx.addIssue({ code: 'custom', path: [path], message })
  })
  .describe('Beside these, the attributes of a message; less `topic` and `chain`.')
export type ScatterInput = z.infer<typeof scatterInput>

export type Own = Pick<ScatterInput, 'to' | 'type' | 'data' | keyof typeof own>

function issuesOf(input: Own): (readonly [string, string])[] {
  const { items, chunks, itemsPerChunk, maxTokensPerChunk, data, tolerance, join, to } = input
  const cut = items !== undefined || chunks !== undefined
  return [
    ...(items !== undefined && chunks !== undefined ? [['chunks', 'only one of `items` and `chunks`'] as const] : []),
    ...(items === undefined && (itemsPerChunk ?? maxTokensPerChunk) !== undefined
      ? [['items', 'are what `itemsPerChunk` and `maxTokensPerChunk` cut'] as const]
      : []),
    ...(itemsPerChunk !== undefined && maxTokensPerChunk !== undefined
      ? [['maxTokensPerChunk', 'only one of it and `itemsPerChunk`'] as const]
      : []),
    ...(cut && data !== undefined && !isJsonObject(data)
      ? [['data', 'beside items it is an object, to which `items` is added'] as const]
      : []),
    ...(input.reduce?.data !== undefined && utf8Length(JSON.stringify(input.reduce.data)) > limits.contextBytes
      ? [['reduce', `its \`data\` has at most ${limits.contextBytes} bytes`] as const]
      : []),
    ...(tolerance !== undefined && join !== 'all' ? [['tolerance', 'is for `join: all`'] as const] : []),
    ...(chunks?.some((chunk) => chunk.length === 0) ? [['chunks', 'none of them is empty'] as const] : []),
    ...(Array.isArray(to) && new Set(to).size < to.length ? [['to', 'names an agent twice'] as const] : []),
  ]
}

/** Its own words, and the message's. */
export function splitScatter(input: ScatterInput): { readonly own: Own; readonly message: JsonObject } {
  const names = new Set(['to', 'type', 'data', ...Object.keys(own)])
  const entries = Object.entries(input)
  return {
    // Each was parsed by the very schema that it has here; splitting only forgets that.
    own: Object.fromEntries(entries.filter(([name]) => names.has(name))) as Own,
    message: Object.fromEntries(entries.filter(([name]) => !names.has(name))),
  }
}

/** With a key always the same for one asker; otherwise what `chance` gives, 128 bits or more. */
export function scatterId(source: string, key: string | undefined, chance: string): string {
  return `s-${key === undefined ? digest('scatter', 'chance', chance) : digest('scatter', 'key', source, key)}`
}

export const isScatterId = (id: string): boolean => /^s-[a-z2-7]{26}$/.test(id)

/** The gather of its reducer's reply: another opening of the scatter is another. */
export function reductionId(scatter: string, openedAt: number): string {
  return `g-${digest('gather', 'reduce', scatter, String(openedAt))}`
}

/** The parts, of which each is a leg. Undefined: everybody gets the same. */
export function chunksOf({ items, chunks, itemsPerChunk, maxTokensPerChunk }: Own, agents: number) {
  if (chunks !== undefined) return chunks
  if (items === undefined) return undefined
  if (itemsPerChunk !== undefined) return ofAtMost(items, itemsPerChunk)
  if (maxTokensPerChunk !== undefined) return withinTokens(items, maxTokensPerChunk)
  return balanced(items, agents)
}

/** Nothing to do, or nobody to do it (T8). */
export function isEmpty({ items, chunks }: Own): boolean {
  return items?.length === 0 || chunks?.length === 0
}

/** `join` and `tolerance`, for so many legs; or what is wrong with them. */
export function joinOf({ join, tolerance }: Own, legs: number): Result<Join, string> {
  if (join === 'any' || join === 'settled') return ok({ kind: join })
  if (join === 'all') {
    const tolerated = toleratedOf(tolerance, legs)
    return ok({ kind: 'all', ...(tolerated > 0 ? { tolerated } : {}) })
  }
  const needed = Number(join.slice('quorum:'.length))
  return needed > legs
    ? err(`there are ${legs} to reply, so ${needed} never will`)
    : ok({ kind: 'quorum', count: needed })
}

function toleratedOf(tolerance: Own['tolerance'], legs: number): number {
  if (tolerance === undefined) return 0
  return 'count' in tolerance ? tolerance.count : Math.floor((legs * tolerance.percent) / 100)
}

/** What one leg is sent: what everybody gets, and its own chunk. */
export function partOf(common: Message, chunk: unknown): Message {
  return chunk === undefined
    ? common
    : { ...common, data: { ...(isJsonObject(common.data) ? common.data : {}), items: chunk } }
}

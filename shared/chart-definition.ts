/**
 * A definition of a workflow: a statechart in XState v5's own JSON format, whole, with the actions that a workflow knows and
 * guards that are data. It is plain JSON, stored and given as such.
 *
 *   root       { id?, version?, context?, guards?: { name: guard }, … a state }
 *   state      { id?, type?, initial?, states?, on?, always?, after?, onDone?, entry?, exit?, history?, target?, output?, tags?, description?, meta? }
 *   transition { target?, guard?, actions?, reenter?, description?, meta? }, or the target alone, or a list of them
 *   action     { type: send | publish | scatter | update | raise | cancel, params }
 *
 * Never here: whether its parts fit together (shared/chart-soundness.ts), how it runs (shared/statechart.ts).
 */
import * as z from 'zod'
import { type Flaw, isLiteral, valueIssues } from './chart-values.ts'
import { type GuardExpression, guardIssues } from './guard-expression.ts'
import { agentName } from './ids.ts'
import { isJsonObject, type JsonObject } from './json-pointer.ts'
import { limits } from './limits.ts'
import { publishInput } from './message.ts'
import { selection } from './projection.ts'

/** Names end up in ids, paths and targets, where `.` and `#` have a meaning, and in objects, where some names are taken. */
export const stateName = z
  .string()
  .regex(/^[\p{L}\p{N}_][\p{L}\p{N}_ -]{0,63}$/u, 'a name is 1 to 64 letters, digits, _, - and spaces')
  .refine((name) => !(name in Object.prototype), 'this name is taken by the language')

/** Events of the library's own making. Nobody else may send them. */
export const isReservedEvent = (type: string): boolean => type === '*' || type.startsWith('xstate.')

const eventType = z
  .string()
  .min(1)
  .max(limits.typeLength)
  .refine((type) => !isReservedEvent(type), '`xstate.` is for the statechart itself, and `*` is no event')

const eventDescriptor = z
  .string()
  .min(1)
  .max(limits.typeLength)
  .refine((text) => !text.startsWith('xstate.'), '`xstate.` is for the statechart itself: use `onDone` or `after`')
  .refine((text) => !text.slice(0, -1).includes('*'), 'a wildcard stands for the last part only: `*` or `research.*`')
  .refine(
    (text) => !text.endsWith('*') || text === '*' || text.endsWith('.*'),
    'a wildcard is a part of its own: `research.*`',
  )

const delayMs = z
  .int()
  .min(0)
  .max(limits.delaySeconds * 1_000)
const delayKey = z
  .string()
  .regex(/^(?:0|[1-9][0-9]{0,14})$/, 'a delay is a whole number of milliseconds')
  .refine((text) => Number(text) <= limits.delaySeconds * 1_000, `a delay is at most ${limits.delaySeconds} seconds`)

const held = (flaws: readonly Flaw[], ctx: z.RefinementCtx) => {
  for (const { path, message } of flaws) ctx.addIssue({ code: 'custom', path: [...path], message })
}
const anyValue = z.unknown().superRefine((value, ctx) => held(valueIssues(value, []), ctx))
const values = z.record(z.string(), z.unknown()).superRefine((value, ctx) => held(valueIssues(value, []), ctx))

// What can be said of a message before its values are known: its literal parts are held to what a publisher may send.
const message = (needed: 'to' | 'topic') =>
  values.superRefine((params, ctx) => {
    const { select, ...attributes } = params
    for (const name of ['type', needed])
      if (params[name] === undefined) ctx.addIssue({ code: 'custom', path: [name], message: `\`${name}\` is needed` })
    for (const { path, message } of publishInput.safeParse(attributes).error?.issues ?? [])
      if (params[String(path[0])] !== undefined && isLiteral(params[String(path[0])]))
        ctx.addIssue({ code: 'custom', path: [...path], message })
    if (select !== undefined && !selection.safeParse(select).success)
      ctx.addIssue({ code: 'custom', path: ['select'], message: 'a list of JSON Pointers or dotted paths' })
  })

const update = values.refine((params) => {
  const [name, ...more] = Object.keys(params)
  if (more.length > 0) return false
  return name === 'patch' ? isJsonObject(params['patch']) : name === 'operations' && Array.isArray(params['operations'])
}, 'exactly one of `patch` (a merge patch) and `operations` (increment, append, setIfAbsent, max)')

const raise = z
  .strictObject({
    event: values.refine((event) => eventType.safeParse(event['type']).success, {
      path: ['type'],
      message: "an event has a `type`, which stands as it is and is not of the library's own",
    }),
    delay: delayMs.exactOptional(),
    id: stateName.exactOptional(),
  })
  .refine((params) => params.delay === undefined || params.id !== undefined, {
    path: ['id'],
    message: 'an event with a delay needs an `id`, by which it is cancelled or replaced',
  })

const effectAction = [
  z.strictObject({ type: z.literal('send'), params: message('to') }),
  z.strictObject({ type: z.literal('publish'), params: message('topic') }),
  z.strictObject({
    type: z.literal('scatter'),
    params: values.refine((params) => params['type'] !== undefined, { path: ['type'], message: '`type` is needed' }),
  }),
  z.strictObject({ type: z.literal('update'), params: update }),
] as const

const unknownAction = { error: 'an action is { type: send, publish, scatter, update, raise or cancel, params }' }
const action = z.discriminatedUnion(
  'type',
  [
    ...effectAction,
    z.strictObject({ type: z.literal('raise'), params: raise }),
    z.strictObject({ type: z.literal('cancel'), params: z.strictObject({ id: stateName }) }),
  ],
  unknownAction,
)
export type ChartAction = z.infer<typeof action>
export const chartActions: readonly string[] = action.options.map(({ shape }) => shape.type.value)
const compensation = z.discriminatedUnion('type', effectAction, {
  error: 'a compensation is { type: send, publish, scatter or update, params }',
})
export type Compensation = z.infer<typeof compensation>

const many = <T extends z.ZodType>(item: T) =>
  z.preprocess((raw) => (raw === undefined || Array.isArray(raw) ? raw : [raw]), z.array(item).max(limits.chartStates))

/** `guard: "name"` and `guard: { type: "name" }` mean one under `guards`; anything else is the expression itself. */
export type GuardReference = string | { readonly type: string } | GuardExpression
const guard = z.unknown().transform((raw, ctx): GuardReference => {
  if (typeof raw === 'string') return raw
  if (isJsonObject(raw) && typeof raw['type'] === 'string' && Object.keys(raw).length === 1)
    return { type: raw['type'] }
  held(guardIssues(raw, []), ctx)
  // `guardIssues` found nothing wrong, or the issues above make the whole fail.
  return raw as GuardExpression
})

/** What a state does about agents' errors while it is active (docs/protocol.md, "Statecharts"). */
const errorPolicy = z.strictObject({
  /** How often a message of this state is sent again, and after what pause, which grows by the factor. */
  retry: z
    .strictObject({
      times: z.int().min(1).max(limits.chartRetries),
      delaySeconds: z.number().min(0).max(limits.delaySeconds).exactOptional(),
      factor: z.number().min(1).max(10).exactOptional(),
    })
    .exactOptional(),
  /** Who gets it when that is exhausted. */
  fallback: agentName.exactOptional(),
  /** What is undone when nobody could do it. */
  compensate: many(compensation).exactOptional(),
  /** What becomes of the workflow when its chart has no transition for `agent_error`. */
  onExhausted: z.enum(['pause', 'failed']).exactOptional(),
  /** Of this state alone: how long a visit may last before whoever listens is told that it is slow. Nothing else follows. */
  slowAfterSeconds: z.number().min(0.05).max(limits.delaySeconds).exactOptional(),
})
export type ErrorPolicy = z.infer<typeof errorPolicy>

const meta = z.looseObject({ switchboard: errorPolicy.exactOptional() })

const transition = z.preprocess(
  (raw) => (typeof raw === 'string' ? { target: raw } : raw),
  z.strictObject({
    target: many(z.string().min(1).max(limits.attributeLength)).exactOptional(),
    guard: guard.exactOptional(),
    actions: many(action).exactOptional(),
    reenter: z.boolean().exactOptional(),
    description: z.string().exactOptional(),
    meta: meta.exactOptional(),
  }),
)
export type ChartTransition = z.infer<typeof transition>

export interface ChartNode {
  readonly id?: string
  readonly type?: 'atomic' | 'compound' | 'parallel' | 'history' | 'final'
  readonly initial?: { readonly target: string; readonly actions?: readonly ChartAction[] }
  readonly states?: Readonly<Record<string, ChartNode>>
  readonly on?: Readonly<Record<string, readonly ChartTransition[]>>
  readonly always?: readonly ChartTransition[]
  readonly after?: Readonly<Record<string, readonly ChartTransition[]>>
  readonly onDone?: readonly ChartTransition[]
  readonly entry?: readonly ChartAction[]
  readonly exit?: readonly ChartAction[]
  readonly history?: 'shallow' | 'deep' | boolean
  /** Of a history state: where to go when there is no history yet. */
  readonly target?: readonly string[]
  readonly output?: unknown
  readonly tags?: readonly string[]
  readonly description?: string
  readonly meta?: { readonly switchboard?: ErrorPolicy }
}

const parts = {
  id: stateName.exactOptional(),
  type: z.enum(['atomic', 'compound', 'parallel', 'history', 'final']).exactOptional(),
  initial: z
    .preprocess(
      (raw) => (typeof raw === 'string' ? { target: raw } : raw),
      z.strictObject({ target: stateName, actions: many(action).exactOptional() }),
    )
    .exactOptional(),
  states: z
    .record(
      stateName,
      z.lazy((): z.ZodType<ChartNode> => chartNode),
    )
    .exactOptional(),
  on: z.record(eventDescriptor, many(transition)).exactOptional(),
  always: many(transition).exactOptional(),
  after: z.record(delayKey, many(transition)).exactOptional(),
  onDone: many(transition).exactOptional(),
  entry: many(action).exactOptional(),
  exit: many(action).exactOptional(),
  history: z.union([z.enum(['shallow', 'deep']), z.boolean()]).exactOptional(),
  target: many(z.string().min(1).max(limits.attributeLength)).exactOptional(),
  output: anyValue.optional(),
  tags: many(z.string().min(1).max(64)).exactOptional(),
  description: z.string().exactOptional(),
  meta: meta.exactOptional(),
}
const chartNode: z.ZodType<ChartNode> = z.strictObject(parts)

export const chartRoot = z.strictObject({
  ...parts,
  version: z.string().max(64).exactOptional(),
  /** What the shared state begins with, where its creator gives nothing else. */
  context: z.record(z.string(), z.unknown()).exactOptional(),
  guards: z
    .record(stateName, z.unknown())
    .transform((raw, ctx): Readonly<Record<string, GuardExpression>> => {
      for (const [name, expression] of Object.entries(raw)) held(guardIssues(expression, [name]), ctx)
      // As above: with an issue, the whole fails.
      return raw as Record<string, GuardExpression>
    })
    .exactOptional(),
})

/** Plain JSON in XState's format, with every "one or many" written as many. What `parseDefinition` gives, and takes again. */
export interface Definition extends ChartNode {
  readonly version?: string
  readonly context?: JsonObject
  readonly guards?: Readonly<Record<string, GuardExpression>>
}

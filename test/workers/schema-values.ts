/**
 * What a JSON Schema describes, as values to draw from: those that fit, those that nearly fit, and those that do not at all.
 * Knows as much of JSON Schema as the project's own document uses. Never here: calls (test/workers/hostile-calls.ts).
 */
import fc from 'fast-check'

export type Schema = Readonly<Record<string, unknown>>

/**
 * What a value is often, by the name of the property that holds it, or `/name` in a path: what exists, so that a call reaches
 * further.
 */
export type Hints = Readonly<Record<string, readonly unknown[]>>

export interface Drawing {
  /** `#/components/schemas/…` */
  resolve(ref: string): Schema
  readonly hints: Hints
  /** By property name, all that is ever drawn for it: how long a call waits is not left to chance. */
  readonly only: Hints
}

// What formats, logs, headers, paths and storage trip over.
const telling = [
  '',
  ' ',
  '\0',
  'a\r\nX-Injected: yes',
  'a\n{"step":"forged"}',
  '../..',
  '%2F',
  '%00',
  '__proto__',
  'constructor',
  'toString',
  "'; DROP TABLE kept; --",
  '<script>alert(1)</script>',
  '\ud800',
  '\u202e',
  '😀',
  'ﬃ',
  '*',
  '>',
  'a'.repeat(5_000),
] as const

export const oddText = fc.constantFrom(...telling)
const scalar = fc.oneof(
  oddText,
  fc.constantFrom(null, true, false, 0, -1, 1, 0.5, -0, 1e308, 1e-320, 2 ** 53, '1', 'true', '2026-01-01T00:00:00Z'),
)
const deep = (levels: number) => {
  let value: unknown = 1
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? [value] : { a: value }
  return value
}
const anyJson: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 5, arbitrary: scalar },
  { weight: 1, arbitrary: fc.array(scalar, { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.dictionary(fc.constantFrom('a', 'b', 'type', 'to', 'x.y'), scalar, { maxKeys: 3 }) },
)
/** What belongs nowhere. */
export const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  anyJson,
  fc.constantFrom(deep(63), deep(65), deep(500), [], {}, [[]], { a: {} }, new Array(2_000).fill(0)),
)

// --- what fits --------------------------------------------------------------------------------------------------------

const depthMax = 5

/** Values that fit the schema, as far as the schema tells. */
export function fitting(drawing: Drawing, schema: Schema, name = '', depth = 0): fc.Arbitrary<unknown> {
  if (Object.hasOwn(drawing.only, name)) return fc.constantFrom(...(drawing.only[name] ?? []))
  const usual = fittingShape(drawing, schema, name, depth)
  const hinted = Object.hasOwn(drawing.hints, name) ? drawing.hints[name] : undefined
  return hinted === undefined ? usual : fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...hinted) }, usual)
}

function fittingShape(drawing: Drawing, schema: Schema, name: string, depth: number): fc.Arbitrary<unknown> {
  if (typeof schema['$ref'] === 'string')
    return depth > depthMax ? fc.constant(null) : fitting(drawing, drawing.resolve(schema['$ref']), name, depth + 1)
  if ('const' in schema) return fc.constant(schema['const'])
  if (Array.isArray(schema['enum'])) return fc.constantFrom(...schema['enum'])
  // Of a message: exactly one of two destinations. The properties beside it are what is drawn.
  const choices = schema['type'] === undefined ? (schema['anyOf'] ?? schema['oneOf']) : undefined
  if (Array.isArray(choices)) {
    const shallow = depth > depthMax ? choices.slice(0, 1) : choices
    return fc.oneof(...shallow.map((choice: Schema) => fitting(drawing, choice, name, depth + 1)))
  }
  switch (schema['type']) {
    case 'string':
      return fittingText(schema)
    case 'integer':
    case 'number':
      return fittingNumber(schema)
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array':
      return fittingArray(drawing, schema, depth)
    case 'object':
      return fittingObject(drawing, schema, depth)
    default:
      return anyJson
  }
}

const numberOf = (value: unknown, otherwise: number) => (typeof value === 'number' ? value : otherwise)

function fittingText(schema: Schema): fc.Arbitrary<unknown> {
  if (typeof schema['pattern'] === 'string') return fc.stringMatching(new RegExp(schema['pattern']), { size: 'xsmall' })
  if (schema['format'] === 'date-time')
    return fc.constantFrom('2020-01-01T00:00:00Z', '2038-01-19T03:14:08.123Z', '9999-12-31T23:59:59Z')
  if (schema['format'] === 'base64') return fc.constantFrom('AAAA', '/+8=', '')
  const minLength = numberOf(schema['minLength'], 0)
  const maxLength = Math.min(numberOf(schema['maxLength'], 40), minLength + 40)
  const usual = fc.string({ minLength, maxLength, unit: 'grapheme-ascii' })
  return fc.oneof({ weight: 6, arbitrary: usual }, oddText)
}

function fittingNumber(schema: Schema): fc.Arbitrary<unknown> {
  const min = numberOf(schema['minimum'], -1_000)
  const max = Math.max(min, numberOf(schema['maximum'], 1_000))
  if (schema['type'] === 'integer') return fc.integer({ min: Math.ceil(min), max: Math.floor(max) })
  return fc.oneof(fc.constantFrom(min, max), fc.double({ min, max, noNaN: true }))
}

function fittingArray(drawing: Drawing, schema: Schema, depth: number): fc.Arbitrary<unknown> {
  const first = schema['prefixItems']
  if (Array.isArray(first)) return fc.tuple(...first.map((item: Schema) => fitting(drawing, item, '', depth + 1)))
  const minLength = numberOf(schema['minItems'], 0)
  const maxLength = depth > depthMax ? minLength : Math.min(numberOf(schema['maxItems'], 3), minLength + 3)
  const items = typeof schema['items'] === 'object' && schema['items'] !== null ? (schema['items'] as Schema) : {}
  return fc.array(fitting(drawing, items, '', depth + 1), { minLength, maxLength })
}

function fittingObject(drawing: Drawing, schema: Schema, depth: number): fc.Arbitrary<unknown> {
  const properties = (schema['properties'] ?? {}) as Readonly<Record<string, Schema>>
  const required = new Set(Array.isArray(schema['required']) ? (schema['required'] as string[]) : [])
  const wanted = Object.keys(properties).filter((name) => depth <= depthMax || required.has(name))
  // Most of what may be left out is: otherwise every object would be full, and the rules between fields would refuse it.
  const members = wanted.map((name) => {
    const member = fitting(drawing, properties[name] ?? {}, name, depth + 1).map((value) => [name, value] as const)
    if (required.has(name)) return member
    return fc.oneof(
      { weight: 3, arbitrary: fc.constant(null) },
      { weight: isChoice(schema, name) ? 9 : 1, arbitrary: member },
    )
  })
  const more =
    typeof schema['additionalProperties'] === 'object' ? fc.dictionary(oddText, anyJson, { maxKeys: 2 }) : null
  return fc.tuple(more ?? fc.constant({}), fc.nat(), ...members).map(([others, choice, ...found]) => {
    const kept = found.filter((one) => one !== null && !isAnotherChoice(schema, one[0], choice))
    return { ...(others as object), ...Object.fromEntries(kept as (readonly [string, unknown])[]) }
  })
}

// Of a message: exactly one of its destinations.
const choicesOf = (schema: Schema): readonly string[] =>
  Array.isArray(schema['oneOf'])
    ? schema['oneOf'].flatMap((one: Schema) => (one['required'] as string[] | undefined) ?? [])
    : []
const isChoice = (schema: Schema, name: string) => choicesOf(schema).includes(name)
function isAnotherChoice(schema: Schema, name: string, choice: number): boolean {
  const choices = choicesOf(schema)
  return choices.includes(name) && choices[choice % choices.length] !== name
}

// --- what nearly fits -------------------------------------------------------------------------------------------------

/** Values that fit but for one place: another value there, nothing, or one member too many. */
export function nearlyFitting(drawing: Drawing, schema: Schema): fc.Arbitrary<unknown> {
  const change = fc.constantFrom('replace', 'remove', 'add', 'wrap' as const)
  return fc
    .tuple(fitting(drawing, schema), fc.array(fc.nat(), { minLength: 1, maxLength: 3 }), change, oddValue, oddText)
    .map(([value, way, how, odd, name]) => changedAt(value, way, how, odd, name))
}

type Change = 'replace' | 'remove' | 'add' | 'wrap'

function changedAt(value: unknown, way: readonly number[], how: Change, odd: unknown, name: string): unknown {
  const [here, ...further] = way
  const keys = typeof value === 'object' && value !== null ? Object.keys(value) : []
  if (here === undefined || keys.length === 0) return how === 'wrap' ? [value] : odd
  const key = keys[here % keys.length] ?? ''
  const entries: [string, unknown][] = Object.entries(value as object)
  const put = (changed: [string, unknown][]) =>
    Array.isArray(value) ? changed.map(([, item]) => item) : Object.fromEntries(changed)
  if (further.length > 0)
    return put(entries.map(([k, v]) => [k, k === key ? changedAt(v, further, how, odd, name) : v]))
  if (how === 'remove') return put(entries.filter(([k]) => k !== key))
  if (how === 'add') return put([...entries, [name, odd]])
  return put(entries.map(([k, v]) => [k, k !== key ? v : how === 'wrap' ? [v] : odd]))
}

/**
 * JSON Schema, draft 2020-12, as far as a broker may hold strangers' data to it: bounded, without references to elsewhere, and
 * judged without generating code. `format` is an assertion. Never here: which messages a schema is for (shared/schema.ts).
 */
import { Validator } from '@cfworker/json-schema'
import type { Mismatch } from './fault-standing.ts'
import { deeperThan, utf8Length } from './json.ts'
import { isJsonObject, parsePointer, pointerOf, valueAt } from './json-pointer.ts'
import { limits } from './limits.ts'

export type JsonSchema = boolean | Readonly<Record<string, unknown>>

/** One thing that is wrong with a schema, and where: an RFC 6901 pointer into it. */
export interface SchemaIssue {
  readonly pointer: string
  readonly message: string
}

const draft = 'https://json-schema.org/draft/2020-12/schema'

// Where schemas lie within a schema. Those in `inPlace` look at the same value as the schema around them.
const single = [
  'not',
  'if',
  'then',
  'else',
  'items',
  'contains',
  'additionalProperties',
  'propertyNames',
  'unevaluatedItems',
  'unevaluatedProperties',
] as const
const listed = ['allOf', 'anyOf', 'oneOf', 'prefixItems'] as const
const named = ['properties', 'patternProperties', '$defs', 'dependentSchemas'] as const
const inPlace: ReadonlySet<string> = new Set([
  'not',
  'if',
  'then',
  'else',
  'allOf',
  'anyOf',
  'oneOf',
  'dependentSchemas',
])

const types: ReadonlySet<unknown> = new Set(['null', 'boolean', 'object', 'array', 'number', 'integer', 'string'])
const isStrings = (value: unknown) => Array.isArray(value) && value.every((one) => typeof one === 'string')
const isCount = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0

/** What a keyword's value must be. One that is misspelt is no keyword, and means nothing, as the standard has it. */
const forms: Readonly<Record<string, readonly [(value: unknown) => boolean, string]>> = {
  type: [
    (v) => (Array.isArray(v) ? v.length > 0 && v.every((one) => types.has(one)) : types.has(v)),
    'a type of JSON, or a list of them',
  ],
  enum: [Array.isArray, 'a list'],
  required: [isStrings, 'a list of names'],
  dependentRequired: [(v) => isJsonObject(v) && Object.values(v).every(isStrings), 'lists of names, by name'],
  pattern: [isPattern, 'a regular expression'],
  format: [(v) => typeof v === 'string', 'the name of a format'],
  uniqueItems: [(v) => typeof v === 'boolean', 'true or false'],
  multipleOf: [(v) => typeof v === 'number' && v > 0, 'a number above 0'],
  ...Object.fromEntries(
    ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'].map(
      (name) => [name, [(v: unknown) => typeof v === 'number', 'a number']] as const,
    ),
  ),
  ...Object.fromEntries(
    [
      'minLength',
      'maxLength',
      'minItems',
      'maxItems',
      'minProperties',
      'maxProperties',
      'minContains',
      'maxContains',
    ].map((name) => [name, [isCount, 'a whole number, 0 or more']] as const),
  ),
}

/** Keywords that would lead elsewhere, or that would be read otherwise than they are meant. */
const refused: Readonly<Record<string, string>> = {
  $dynamicRef: 'use `$ref` with `#/$defs/…`',
  $recursiveRef: 'use `$ref` with `#`',
  $vocabulary: 'is for schemas of schemas',
  definitions: 'is called `$defs`',
  id: 'is called `$id`, and a schema here is called by its name',
}

/** Everything that is wrong with a schema; nothing when it can be used. */
export function schemaIssues(schema: unknown): readonly SchemaIssue[] {
  if (deeperThan(schema, limits.schemaDepth)) return [issue([], `is nested deeper than ${limits.schemaDepth}`)]
  const bytes = utf8Length(JSON.stringify(schema) ?? '')
  if (bytes > limits.schemaBytes) return [issue([], `has ${bytes} bytes; at most ${limits.schemaBytes} are accepted`)]
  const [malformed] = malformedNames(schema, [])
  if (malformed !== undefined) return [issue(malformed, halfCharacter)]
  const issues: SchemaIssue[] = []
  const sameValue = new Map<string, string[]>()
  inspect(schema, schema, [], issues, sameValue)
  return issues.length > 0 ? issues : circles(sameValue)
}

const halfCharacter = 'has a name with half a character in it (an unpaired surrogate)'

// What has such a name, wherever in the whole. No pointer can hold one.
function* malformedNames(value: unknown, at: readonly string[]): Generator<readonly string[]> {
  if (typeof value !== 'object' || value === null) return
  for (const [name, child] of Object.entries(value)) {
    if (!name.isWellFormed()) yield at
    yield* malformedNames(child, [...at, name])
  }
}

const issue = (at: readonly string[], message: string): SchemaIssue => ({ pointer: pointerOf(at), message })

// One schema within the whole. `sameValue` collects which schemas it has look at the value that it looks at.
function inspect(
  root: unknown,
  schema: unknown,
  at: readonly string[],
  issues: SchemaIssue[],
  sameValue: Map<string, string[]>,
): void {
  if (typeof schema === 'boolean') return
  if (!isJsonObject(schema)) {
    issues.push(issue(at, 'must be a schema: an object, or true or false'))
    return
  }
  for (const [keyword, value] of Object.entries(schema)) {
    const wrong = wrongWith(root, keyword, value, at)
    if (wrong !== undefined) issues.push(issue([...at, keyword], wrong))
  }
  const below = childrenOf(schema, at)
  const target = typeof schema.$ref === 'string' ? [pointerOf(targetOf(schema.$ref) ?? [])] : []
  const looking = below.filter(([path]) => inPlace.has(path[at.length] ?? '')).map(([path]) => pointerOf(path))
  sameValue.set(pointerOf(at), [...looking, ...target])
  for (const [path, child] of below) inspect(root, child, path, issues, sameValue)
}

function wrongWith(root: unknown, keyword: string, value: unknown, at: readonly string[]): string | undefined {
  const why = Object.hasOwn(refused, keyword) ? refused[keyword] : undefined
  if (why !== undefined) return why
  if (keyword === '$schema') return value === draft ? undefined : `must be ${draft}, or left out`
  if (keyword === '$id' && at.length > 0) return 'only the whole schema may have one'
  if (keyword === '$ref') return wrongWithReference(root, value)
  if (has(listed, keyword) && !Array.isArray(value)) return 'must be a list of schemas'
  if (has(named, keyword) && !isJsonObject(value)) return 'must be schemas by name'
  if (keyword === 'patternProperties' && isJsonObject(value) && !Object.keys(value).every(isPattern))
    return 'must be schemas by regular expression'
  const form = Object.hasOwn(forms, keyword) ? forms[keyword] : undefined
  return form === undefined || form[0](value) ? undefined : `must be ${form[1]}`
}

function wrongWithReference(root: unknown, ref: unknown): string | undefined {
  const target = typeof ref === 'string' ? targetOf(ref) : undefined
  if (target === undefined) return 'must be `#` or begin with `#/`: a schema here refers to nothing outside itself'
  const found = valueAt(root, target)
  return typeof found === 'boolean' || isJsonObject(found) ? undefined : 'leads to no schema'
}

function targetOf(ref: string): readonly string[] | undefined {
  if (!ref.startsWith('#')) return undefined
  try {
    return parsePointer(decodeURIComponent(ref.slice(1)))
  } catch {
    return undefined
  }
}

function childrenOf(schema: Readonly<Record<string, unknown>>, at: readonly string[]): [string[], unknown][] {
  const below: [string[], unknown][] = []
  for (const keyword of single) if (Object.hasOwn(schema, keyword)) below.push([[...at, keyword], schema[keyword]])
  for (const keyword of [...listed, ...named]) {
    const inside = Object.hasOwn(schema, keyword) ? schema[keyword] : undefined
    if (typeof inside !== 'object' || inside === null) continue
    for (const [name, child] of Object.entries(inside)) below.push([[...at, keyword, name], child])
  }
  return below
}

/** A schema that comes back to itself while it looks at one value would look for ever. */
function circles(sameValue: ReadonlyMap<string, readonly string[]>): readonly SchemaIssue[] {
  const done = new Set<string>()
  const isCircular = (pointer: string, way: ReadonlySet<string>): boolean => {
    if (way.has(pointer)) return true
    if (done.has(pointer)) return false
    const further = new Set([...way, pointer])
    if ((sameValue.get(pointer) ?? []).some((next) => isCircular(next, further))) return true
    done.add(pointer)
    return false
  }
  for (const pointer of sameValue.keys())
    if (isCircular(pointer, new Set())) return [{ pointer, message: 'refers to itself without going into the data' }]
  return []
}

function isPattern(value: unknown): boolean {
  if (typeof value !== 'string') return false
  try {
    return new RegExp(value, 'u') instanceof RegExp
  } catch {
    return false
  }
}

const has = (keywords: readonly string[], keyword: string) => keywords.includes(keyword)

// --- judging ----------------------------------------------------------------------------------------------------------

/** A schema that was found to be sound, ready to judge. */
export type Judge = (data: unknown, options: { readonly thorough: boolean }) => readonly Mismatch[]

/** `thorough`: everything that does not fit, up to a bound; otherwise the first of it. Pointers begin at the data. */
export function judgeOf(schema: JsonSchema): Judge {
  // One that was stored before such were refused.
  const [malformed] = malformedNames(schema, [])
  if (malformed !== undefined)
    return () => [
      {
        pointer: '',
        schemaPointer: pointerOf(malformed),
        message: `cannot be held to this schema, which ${halfCharacter}`,
      },
    ]
  // The library writes into what it is given.
  const [first, all] = [true, false].map(
    (shortCircuit) => new Validator(structuredClone(schema) as object, '2020-12', shortCircuit),
  )
  return (data, { thorough }) => {
    try {
      const answer = (thorough ? all : first)?.validate(data)
      return answer === undefined || answer.valid ? [] : mismatchesOf(answer.errors)
    } catch (error) {
      return [{ pointer: '', schemaPointer: '', message: `${whyNot(error)}, and cannot be held to this schema` }]
    }
  }
}

// The library makes URIs of names, and goes as deep as data do in a schema that is recursive: deeper than the stack, it may be.
function whyNot(error: unknown): string {
  if (error instanceof URIError) return halfCharacter
  return error instanceof RangeError ? 'is nested too deeply' : `cannot be judged (${String(error)})`
}

interface OutputUnit {
  readonly keyword: string
  readonly keywordLocation: string
  readonly instanceLocation: string
  readonly error: string
}

// What only says that something below it does not fit says nothing that the caller can act upon.
function mismatchesOf(units: readonly OutputUnit[]): readonly Mismatch[] {
  const isAbove = (unit: OutputUnit, i: number) => {
    const next = units[i + 1]
    return (
      next !== undefined && (next.keywordLocation.startsWith(`${unit.keywordLocation}/`) || next.keyword === 'false')
    )
  }
  return units
    .filter((unit, i) => unit.keyword === 'anyOf' || unit.keyword === 'oneOf' || !isAbove(unit, i))
    .slice(0, limits.mismatches)
    .map(({ keyword, keywordLocation, instanceLocation, error }) => ({
      pointer: plain(instanceLocation),
      schemaPointer: plain(keywordLocation),
      message: keyword === 'false' ? 'The schema has no place for this.' : error,
    }))
}

// The library tells them as fragments of a URI.
function plain(fragment: string): string {
  try {
    return decodeURI(fragment.replace(/^#/, ''))
  } catch {
    return fragment.replace(/^#/, '')
  }
}

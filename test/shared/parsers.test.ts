/**
 * What reads strangers' texts and values and has no laws beside its own tests: never a throw, what is read can be written and
 * read again, and what was handed in is left as it was. Never here: what each accepts (the tests by its name).
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAddress } from '../../shared/causal-graph.ts'
import { applyJsonPatch, applyMergePatch, jsonPatch } from '../../shared/json-patch.ts'
import { parsePointer, pointerOf, valueAt, withAdded } from '../../shared/json-pointer.ts'
import { schemaIssues } from '../../shared/json-schema.ts'
import { limits } from '../../shared/limits.ts'
import { checkCron } from '../../shared/occurrence.ts'
import { reference, workReference } from '../../shared/reference.ts'
import { preferredWait, waitOf } from '../../shared/request.ts'
import { readResourceHeader } from '../../shared/resource-report.ts'
import { parseDefinition } from '../../shared/statechart.ts'
import { etagOf, matchesNone, parseIfMatch } from '../../shared/versioned.ts'
import { anyText, anyUnits } from './arbitraries.ts'

const text = fc.oneof(anyText(), anyUnits)
const json = fc.jsonValue({ maxDepth: 4 })
/** Texts made of the pieces that a parser looks for. */
const madeOf = (...pieces: readonly string[]) =>
  fc
    .array(fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...pieces) }, text), { maxLength: 12 })
    .map((all) => all.join(''))

describe('JSON Pointer', () => {
  it('is read as it was written, whatever the names', () => {
    fc.assert(
      fc.property(fc.array(text), (tokens) => {
        expect(parsePointer(pointerOf(tokens))).toEqual(tokens)
      }),
    )
  })

  it('of whatever text is refused or written back the same', () => {
    fc.assert(
      fc.property(madeOf('/', '~', '~0', '~1', 'a', '-'), (pointer) => {
        const tokens = parsePointer(pointer)
        if (tokens !== undefined) expect(pointerOf(tokens)).toBe(pointer)
      }),
    )
  })

  it('finds what was put there, and the value it was put into is as before', () => {
    fc.assert(
      fc.property(fc.dictionary(text, json), text, json, (before, name, value) => {
        const kept = structuredClone(before)
        const added = withAdded(before, [name], value)
        if (!added.ok) throw new Error(added.error)
        expect(valueAt(added.value, [name])).toEqual(value)
        expect(before).toEqual(kept)
        expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
      }),
    )
  })
})

describe('patches', () => {
  const pointer = fc.constantFrom(
    '',
    '/a',
    '/a/b',
    '/list/0',
    '/list/-',
    '/list/1',
    '/__proto__/polluted',
    '/x/y/z',
    '/constructor',
  )
  const operation = fc.oneof(
    fc.record({ op: fc.constantFrom('add', 'replace', 'test'), path: pointer, value: json }),
    fc.record({ op: fc.constant('remove'), path: pointer }),
    fc.record({ op: fc.constantFrom('move', 'copy'), from: pointer, path: pointer }),
  )
  const state = fc.record({ a: json, list: fc.array(json, { maxLength: 3 }) })

  it('by operations: never a throw, JSON comes out, what was there stays as it was, and nothing else of the world changes', () => {
    fc.assert(
      fc.property(state, fc.array(operation, { maxLength: 6 }), (before, operations) => {
        const kept = structuredClone(before)
        const patched = applyJsonPatch(before, jsonPatch.parse(operations))
        expect(before).toEqual(kept)
        if (patched.ok) expect(typeof JSON.stringify(patched.value)).toBe('string')
        expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false)
      }),
    )
  })

  it('by merging: twice is as once, and null takes away', () => {
    fc.assert(
      fc.property(json, json, (before, patch) => {
        const kept = structuredClone(before)
        const once = applyMergePatch(before, patch)
        expect(applyMergePatch(once, patch)).toEqual(once)
        expect(before).toEqual(kept)
        if (typeof patch === 'object' && patch !== null && !Array.isArray(patch))
          for (const [name, value] of Object.entries(patch))
            if (value === null) expect(Object.hasOwn(once as object, name)).toBe(false)
      }),
    )
  })
})

describe('headers', () => {
  it('If-Match reads every ETag that is told, and nothing else as a version', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 ** 15 - 1 }), (version) => {
        expect(parseIfMatch(etagOf(version))).toEqual({ version })
        expect(parseIfMatch(`W/${etagOf(version)}`)).toEqual({ version })
        expect(matchesNone(`W/"0", ${etagOf(version)}`, version)).toBe(true)
      }),
    )
    fc.assert(
      fc.property(madeOf('"', '1', '0', '*', 'W/', ',', ' '), (header) => {
        const { version, beside = [] } = parseIfMatch(header) ?? {}
        for (const one of version === undefined ? [] : [version, ...beside])
          if (one !== 'any') expect(header).toContain(etagOf(one))
      }),
    )
  })

  it.each([
    ['wait=10', 10],
    ['respond-async', 0],
    // RFC 7240, 4.3: how long to wait before the answer is one to come back for.
    ['respond-async, wait=10', 10],
    ['wait="7"; x=1, respond-async', 7],
    ['wait=99999', limits.waitSeconds],
    ['handling=lenient', undefined],
    ['', undefined],
  ])('Prefer: %s waits for %s seconds', (prefer, seconds) => {
    expect(preferredWait(prefer)).toBe(seconds)
  })

  it('Prefer never makes a call wait longer than any may, nor less than not at all', () => {
    fc.assert(
      fc.property(madeOf('wait=', 'wait', '=', '9', '"', ',', 'respond-async', ' '), (prefer) => {
        const seconds = preferredWait(prefer)
        if (seconds !== undefined) expect(seconds >= 0 && seconds <= limits.waitSeconds).toBe(true)
        expect(waitOf(prefer, 1e9)).toBeLessThanOrEqual(limits.waitSeconds)
      }),
    )
  })

  it('switchboard-resource-error reads what is well formed beside what is not, and never more than an agent may declare', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,9}\/[A-Za-z0-9_-]{1,9}$/)
    fc.assert(
      fc.property(name, fc.integer({ min: 100, max: 599 }), fc.nat(1_000), text, (resource, status, seconds, other) => {
        const read = readResourceHeader(`${resource} ${status} retry-after=${seconds}, ${other}`)
        expect(read[0]).toEqual({ name: resource, status, retryAfterMs: seconds * 1_000 })
        expect(readResourceHeader(`${resource} ${status},`.repeat(50)).length).toBeLessThanOrEqual(
          limits.resourcesPerAgent,
        )
      }),
    )
  })
})

describe('documents', () => {
  it('a statechart of whatever shape is a definition or says what is wrong with it', () => {
    const state = fc.dictionary(
      fc.constantFrom('initial', 'states', 'on', 'always', 'after', 'entry', 'type', 'invoke', '__proto__'),
      fc.oneof(json, fc.constantFrom('a', 'b', { a: {} }, { GO: 'a' }, { GO: { target: '#x' } })),
    )
    const chart = fc.record({
      initial: fc.constantFrom('a', 'b', 1),
      states: fc.dictionary(fc.constantFrom('a', 'b'), state),
    })
    fc.assert(
      fc.property(fc.oneof(json, chart), (raw) => {
        const parsed = parseDefinition(raw)
        if (!parsed.ok) expect(parsed.error.length).toBeGreaterThan(0)
      }),
    )
  })

  it('a JSON Schema of whatever shape is judged, not run', () => {
    const words = fc.constantFrom(
      'type',
      '$ref',
      '$defs',
      'properties',
      'items',
      'anyOf',
      'not',
      'pattern',
      'if',
      '$id',
      '__proto__',
    )
    const { schema } = fc.letrec((tie) => ({
      schema: fc.oneof(
        { maxDepth: 4 },
        fc.boolean(),
        json,
        fc.constantFrom('#', '#/$defs/a', '(a+)+$'),
        fc.dictionary(words, tie('schema')),
      ),
    }))
    fc.assert(fc.property(schema, (raw) => void expect(Array.isArray(schemaIssues(raw))).toBe(true)))
  })

  it('a cron expression of whatever text is one or says what is wrong', () => {
    const cron = fc.oneof(
      text,
      fc
        .array(madeOf('*', '/', '5', '-', ',', 'L', '#', 'MON'), { minLength: 5, maxLength: 5 })
        .map((all) => all.join(' ')),
    )
    fc.assert(
      fc.property(cron, fc.oneof(text, fc.constantFrom('UTC', 'Europe/Berlin')), (expression, zone) => {
        const checked = checkCron(expression, zone)
        if (!checked.ok) expect(['cron', 'timezone']).toContain(checked.error.field)
      }),
    )
  })
})

describe('addresses and references', () => {
  it('an address of whatever text is one of those that there are, or none', () => {
    fc.assert(
      fc.property(madeOf('gather:', 'workflow:', 'p-', 'g-', '_', 'a'.repeat(26), 'x'), (address) => {
        const parsed = parseAddress(address)
        if (parsed !== undefined) expect(address.endsWith(parsed.id)).toBe(true)
      }),
    )
  })

  it('a queue message of whatever shape is read or left alone', () => {
    fc.assert(
      fc.property(json, (body) => {
        for (const schema of [reference, workReference]) {
          const parsed = schema.safeParse(body)
          if (parsed.success) expect(schema.parse(parsed.data)).toEqual(parsed.data)
        }
      }),
    )
  })
})

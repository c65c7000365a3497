/**
 * docs/protocol.md says what the code does: its tables are held against the schemas, its example is signed anew, and what the code
 * cites of it is there. Never here: whether it reads well.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import { operations } from '../shared/api.ts'
import { receiptStatus } from '../shared/api-bodies.ts'
import { callers, faultsOf, type Operation } from '../shared/api-operation.ts'
import { chartActions } from '../shared/chart-definition.ts'
import { deadReason } from '../shared/dead-reason.ts'
import { effectsInput } from '../shared/effects.ts'
import { limits } from '../shared/limits.ts'
import { publishInput } from '../shared/message.ts'
import { outcomeOfAnswer } from '../shared/outcome.ts'
import { backoffPresets, policySchema, resolvePolicy } from '../shared/policy.ts'
import { sign } from '../shared/signature.ts'
import { parseDefinition, startChart, stepChart } from '../shared/statechart.ts'

const root = join(import.meta.dirname, '..')
const page = readFileSync(join(root, 'docs/protocol.md'), 'utf8')

function section(title: string): string {
  const [, text] = new RegExp(`^## ${title}\\n([\\s\\S]*?)(?=^## |$(?![\\s\\S]))`, 'm').exec(page) ?? []
  if (text === undefined) throw new Error(`docs/protocol.md has no section "${title}"`)
  return text
}

/** The rows of every table of a section, as cells. */
function rows(title: string): string[][] {
  return section(title)
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('|---'))
    .map((line) => line.slice(2, -2).split(' | '))
}

const named = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '')
const firstNames = (title: string) => rows(title).flatMap(([cell]) => named(cell))

describe('docs/protocol.md', () => {
  it('has every section that the code sends its reader to', () => {
    const files = ['shared', 'workers', 'durable-objects'].flatMap((room) =>
      readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => readFileSync(join(root, room, name), 'utf8')),
    )
    const cited = files.flatMap((text) => [
      ...[...text.matchAll(/docs\/protocol\.md,\s+(?:\*\s+)?"([^"]+)"/g)].map((m) => m[1] ?? ''),
      ...[...text.matchAll(/section "([^"]+)" of docs\/protocol\.md/g)].map((m) => m[1] ?? ''),
    ])
    expect(cited.length).toBeGreaterThan(3)
    for (const title of cited) expect(() => section(title), title).not.toThrow()
  })

  it('shows a definition that is taken and comes to its end, and names every action', () => {
    const example = JSON.parse(/```json\n([\s\S]*?)```/.exec(section('Statecharts'))?.[1] ?? '')
    const definition = parseDefinition(example)
    const given = { state: {}, input: { topic: 'tea', maxRounds: 2 } }
    let step = definition.ok ? startChart(definition.value, given) : undefined
    for (const draft of ['first', 'second']) {
      if (definition.ok && step?.ok)
        step = stepChart(
          definition.value,
          step.value.snapshot,
          { type: 'draft.request.reply', data: draft },
          { ...given, state: step.value.state },
        )
    }
    expect(step).toMatchObject({
      ok: true,
      value: { status: 'done', output: { draft: 'second' }, state: { rounds: 2 } },
    })
    expect(firstNames('Statecharts')).toEqual(chartActions)
    const { chartMicrosteps, chartStepActions } = limits
    expect(section('Statecharts')).toContain(`${chartMicrosteps} microsteps, ${chartStepActions} actions or 1 MiB`)
    expect(limits.chartStepBytes).toBe(1_048_576)
  })

  it('names each status once, the living first, as receipts have them', () => {
    expect(firstNames('Statuses')).toEqual(receiptStatus.options)
  })

  it('names every attribute that a message may have', () => {
    expect(firstNames('The message').sort()).toEqual(Object.keys(publishInput.shape).sort())
  })

  it('names every reason to die', () => {
    expect(firstNames('Attempts and dead letters').sort()).toEqual([...deadReason.options].sort())
  })

  it('names what makes an answer effects', () => {
    for (const name of Object.keys(effectsInput.shape)) expect(section('Effects')).toContain(`\`${name}\``)
  })

  it('lists every call that is served, with its answers and its problems, and no other', () => {
    const should = operations.map(callRow)
    const stands = section('Calls')
      .split('\n')
      .filter((line) => /^\| `(?:GET|PUT|POST|PATCH|DELETE) /.test(line))
    // What is missing is shown as it should be written.
    expect(should.filter((row) => !stands.includes(row))).toEqual([])
    expect(stands.filter((row) => !should.includes(row))).toEqual([])
    for (const who of Object.keys(callers)) expect(section('Calls')).toMatch(new RegExp(`\\*${who}\\*`))
  })

  it('tells every problem that calls have in common', () => {
    for (const operation of operations)
      for (const code of faultsOf(operation)) expect(section('Calls')).toContain(`\`${code}\``)
  })
})

function callRow({ method, path, summary, who, answers, faults }: Operation): string {
  const codes = faults.map((code) => `\`${code}\``).join(', ')
  const statuses = answers.map((answer) => answer.status).join(', ')
  return `| \`${method.toUpperCase()} ${path}\` | ${summary} | ${who} | ${statuses} | ${codes || '–'} |`
}

describe('its policy', () => {
  it('is every part there is, with the default in force', () => {
    const table = rows('Policy').filter(([cell]) => named(cell)[0] !== undefined)
    const policy: Record<string, unknown> = { ...resolvePolicy('webhook') }
    const told = new Map(table.map(([cell, value]) => [named(cell)[0] ?? '', value ?? '']))
    const parts = Object.keys(policySchema.shape)
    expect([...told.keys()].filter((name) => !(name in backoffPresets)).sort()).toEqual([...parts].sort())
    for (const part of parts) {
      const value = policy[part]
      // Written as one writes it by hand: keys without quotes, a space within braces.
      const text =
        typeof value === 'object'
          ? JSON.stringify(value)
              .replaceAll(/"(\w+)":/g, '$1: ')
              .replaceAll(',', ', ')
              .replaceAll('{', '{ ')
              .replaceAll('}', ' }')
          : JSON.stringify(value)
      expect(told.get(part), part).toContain(value === undefined ? 'none' : text)
    }
    expect(told.get('timeoutSeconds')).toContain(`${resolvePolicy('handler').timeoutSeconds}`)
  })

  it('has each named back-off as it is', () => {
    for (const [name, { initialSeconds, factor, capSeconds }] of Object.entries(backoffPresets))
      expect(page).toContain(`| \`${name}\` | ${initialSeconds} | ${factor} | ${capSeconds} |`)
  })
})

describe('what a webhook may answer', () => {
  const kindsOf = (words: string) =>
    /the agent is gone/.test(words)
      ? 'gone'
      : /left alone|^the same$/.test(words)
        ? 'hold'
        : /dead letter/.test(words)
          ? 'fail'
          : /tried again/.test(words)
            ? 'retry'
            : /taken/.test(words)
              ? 'later'
              : 'ok'

  it('does what its table says, status by status', () => {
    const told = new Map<string, string>()
    for (const [cell = '', words = ''] of rows('What a webhook may answer'))
      for (const status of named(cell).filter((name) => /^\d{3}$/.test(name))) {
        const key = /ack: "later"/.test(cell)
          ? `${status} later`
          : /Retry-After/.test(cell)
            ? `${status} after`
            : status
        told.set(key, kindsOf(words))
      }
    for (let status = 200; status < 600; status++) {
      for (const [suffix, retryAfter] of [
        ['', null],
        [' after', '60'],
      ] as const) {
        const outcome = outcomeOfAnswer({ status, retryAfter, body: '', truncated: false }, 'response', 0)
        const general = status < 300 ? 'ok' : 'retry'
        expect(outcome.kind, `${status}${suffix}`).toBe(
          told.get(`${status}${suffix}`) ?? told.get(`${status}`) ?? general,
        )
      }
    }
    const later = outcomeOfAnswer({ status: 202, retryAfter: null, body: '', truncated: false }, 'later', 0)
    expect(later.kind).toBe(told.get('202 later'))
  })
})

describe('its signing example', () => {
  const lines = new Map(
    [...section('Signing').matchAll(/^(secret|webhook-id|webhook-timestamp|body|webhook-signature) +(.+)$/gm)].map(
      ([, name, value]) => [name ?? '', value ?? ''],
    ),
  )
  const part = (name: string) => lines.get(name) ?? ''

  it('is what we sign', () => {
    expect(lines.size).toBe(5)
    const timestamp = Number(part('webhook-timestamp'))
    expect(sign([part('secret')], part('webhook-id'), timestamp, part('body'))).toBe(part('webhook-signature'))
  })

  it('is what the standard’s own library signs', () => {
    const at = new Date(Number(part('webhook-timestamp')) * 1_000)
    expect(new Webhook(part('secret')).sign(part('webhook-id'), at, part('body'))).toBe(part('webhook-signature'))
  })
})

describe('its limits', () => {
  it.each([
    ['a message', [limits.messageBytes, limits.queueMessageBytes]],
    ['nesting', [limits.jsonDepth]],
    ['messages in a batch', [limits.batchMessages, limits.batchBytes]],
    ['a result', [limits.resultBytes, limits.effectsBytes]],
    ['an id', [limits.idLength]],
    ['attributes of your own', [limits.extensionAttributes, limits.attributeLength]],
    ['a lease', [limits.leaseSeconds, limits.claimSeconds]],
    ['`waitSeconds`', [limits.waitSeconds]],
    ['a page', [limits.pageSize]],
    [
      'a definition',
      [limits.chartBytes, limits.chartStates, limits.chartTransitions, limits.chartDepth, limits.chartRegions],
    ],
  ])('%s', (what, numbers) => {
    const [, most = ''] = rows('Limits').find(([cell = '']) => cell.startsWith(what)) ?? []
    expect(most.match(/\d+/g)?.map(Number)).toEqual(numbers)
  })
})

/**
 * docs/patterns.md does what it shows: its handlers are compiled into a real Worker in workerd, its calls are made by HTTP, its
 * webhooks are real servers, and each answer is held to the one on the page. Never here: a pattern of its own.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundle, Host, hostAdminKey } from './host.ts'
import { difference, filled, linesOf, type Section, type Step, sectionsOf, stepsOf } from './patterns-page.ts'
import { Client, Wire } from './wire.ts'

const root = join(import.meta.dirname, '../..')
const [preface, ...sections] = sectionsOf(readFileSync(join(root, 'docs/patterns.md'), 'utf8'))
const patterns = sections.filter((section) => section.blocks.length > 0)

/** Whoever takes one off the page, or its calls, meets this list. */
const promised = [
  'Queue with states',
  'Shared state',
  'Events with breakers',
  'Request-reply',
  'Planner and workers',
  'Handshake',
  'Scatter-gather and map-reduce',
  'Chain of responsibility',
  'Observer',
  'Batching',
  'Approvals',
  'Guards',
  'Budgets',
  'Schedules',
  'Collapse and debounce',
  'Projection',
  'Pull',
  'Push',
  'Callbacks',
  'Delayed messages',
  'Dead letters and redrive',
  'Workflow with a statechart',
]

// --- the Worker -------------------------------------------------------------------------------------------------------

const ground = mkdtempSync(join(tmpdir(), 'switchboard-patterns-'))
let host: Host
let wire: Wire
let client: Client

beforeAll(async () => {
  writeWorker()
  writeTypes()
  const [worker] = await Promise.all([bundle(join(ground, 'entry.ts')), compile()])
  host = new Host(worker)
  wire = await Wire.start()
  await host.start()
  client = new Client(host.url ?? '', hostAdminKey)
})
afterAll(async () => {
  await host?.stop()
  await wire?.stop()
  rmSync(ground, { recursive: true, force: true })
})

/** The page's handlers as files of agents/, beside the project's own code, and a Worker that has them all. */
function writeWorker(): void {
  mkdirSync(join(ground, 'agents'))
  for (const name of ['workers', 'shared', 'durable-objects', 'node_modules'])
    symlinkSync(join(root, name), join(ground, name))
  const head = preface?.blocks.find((block) => block.kind === 'ts')?.text ?? ''
  const files = patterns.flatMap(({ blocks }, at) => {
    const code = blocks.filter((block) => block.kind === 'ts').map((block) => block.text)
    if (code.length > 0) writeFileSync(join(ground, `agents/p${at}.ts`), [head, ...code].join('\n'))
    return code.length > 0 ? [`p${at}`] : []
  })
  const imports = files.map((name) => `import * as ${name} from './${name}.ts'\n`).join('')
  const values = files.map((name) => `...Object.values(${name}).flat()`).join(', ')
  writeFileSync(
    join(ground, 'agents/index.ts'),
    `${imports}import type { AnyAgent } from '../workers/define.ts'\nexport const agents: readonly AnyAgent[] = [${values}]\n`,
  )
  writeFileSync(
    join(ground, 'entry.ts'),
    `import { agents } from './agents/index.ts'
import { createSwitchboard } from './workers/switchboard.ts'
// The object classes that wrangler.toml names; its default is hidden by this file's own.
export * from './workers/index.ts'
export default createSwitchboard({ agents })
`,
  )
}

/** As strictly as the project's own agents, but for imports that one of them does not need. Written before anybody looks: a bundler reads it too. */
function writeTypes(): void {
  const compilerOptions = { types: [], lib: ['es2024', 'webworker'], noUnusedLocals: false }
  const tsconfig = { extends: join(root, 'tsconfig.json'), compilerOptions, include: ['agents'] }
  writeFileSync(join(ground, 'tsconfig.json'), JSON.stringify(tsconfig))
}

async function compile(): Promise<void> {
  await promisify(execFile)(join(root, 'node_modules/.bin/tsc'), ['-p', ground]).catch((error) => {
    throw new Error(`the handlers of docs/patterns.md: ${error.stdout}`)
  })
}

// --- running a pattern ------------------------------------------------------------------------------------------------

const withinMs = 20_000

/** Asks until nothing is wrong with the answer, or for too long. */
async function until(look: () => Promise<string | undefined>): Promise<void> {
  const deadlineAt = Date.now() + withinMs
  for (;;) {
    const wrong = await look()
    if (wrong === undefined) return
    if (Date.now() > deadlineAt) throw new Error(wrong)
    await pause(50)
  }
}

async function play(section: Section): Promise<void> {
  const known = new Map([['webhooks', wire.at('/').slice(0, -1)]])
  const steps = section.blocks.filter((block) => block.kind === 'http').flatMap((block) => stepsOf(block.text))
  for (const step of steps) await playStep(step, known)
}

async function playStep(step: Step, known: Map<string, string>): Promise<void> {
  if (step.kind === 'webhook') {
    const { path, status, headers } = step
    const body = step.body === undefined ? {} : { body: filled(step.body, known) }
    wire.at(path, () => ({ status, headers, ...body }))
  } else if (step.kind === 'got') {
    await until(async () => {
      const wrongs = wire.of(step.path).map(({ body }) => trying(step.body, JSON.parse(body.toString('utf8')), known))
      return wrongs.includes(undefined) ? undefined : `${step.path} got nothing of the kind: ${wrongs.join('; ')}`
    })
  } else if (step.method === 'GET') await until(() => call(step, known))
  else expect(await call(step, known)).toBeUndefined()
}

async function call(step: Step & { kind: 'call' }, known: Map<string, string>): Promise<string | undefined> {
  known.set('soon', new Date(Date.now() + 1_500).toISOString())
  const headers = Object.fromEntries(
    Object.entries(step.headers).map(([name, value]) => [name.toLowerCase(), filled(value, known)]),
  )
  const json = step.body === undefined ? undefined : JSON.parse(filled(step.body, known))
  const told = await client.call(step.method, filled(step.path, known), json, headers)
  const where = `${step.method} ${step.path} → ${told.status}`
  if (told.status !== step.answer?.status) return `${where} ${JSON.stringify(told.body)}`
  const wrong = trying(step.answer.body, told.body, known)
  return wrong === undefined ? undefined : `${where}: ${wrong}`
}

/** Keeps what is new in an answer only when all of it fits. */
function trying(shown: unknown, actual: unknown, known: Map<string, string>): string | undefined {
  if (shown === undefined) return undefined
  const tried = new Map(known)
  const wrong = difference(shown, actual, tried)
  if (wrong === undefined) for (const [name, value] of tried) known.set(name, value)
  return wrong
}

// --- the page ---------------------------------------------------------------------------------------------------------

describe('docs/patterns.md', () => {
  it('has every pattern, each with calls whose answers it shows', () => {
    expect(patterns.map((section) => section.title)).toEqual(expect.arrayContaining(promised))
    for (const { title, blocks } of patterns) {
      const calls = blocks.filter((block) => block.kind === 'http').flatMap((block) => stepsOf(block.text))
      expect(calls.filter((step) => step.kind === 'call' && step.answer !== undefined).length, title).toBeGreaterThan(0)
      for (const step of calls) if (step.kind === 'call') expect(step.answer, `${title}: ${step.path}`).toBeDefined()
    }
  })

  it('has no block that nothing runs, and none of more than ten lines', () => {
    for (const { title, blocks } of [preface ?? { title: '', blocks: [] }, ...patterns])
      for (const block of blocks) {
        expect(['http', 'ts'], `${title} has a block of another kind`).toContain(block.kind)
        expect(linesOf(block), title).toBeLessThanOrEqual(10)
      }
  })

  it('says of each when to use it, what it promises and what to watch', () => {
    for (const { title, text } of patterns)
      for (const word of ['When', 'Promises', 'Watch']) expect(text, title).toContain(`**${word}.**`)
  })

  it('has an example of a planner that is waited for and workers that are not (A110)', () => {
    const blocks = patterns.find(({ title }) => title === 'Planner and workers')?.blocks ?? []
    const steps = blocks.filter((block) => block.kind === 'http').flatMap((block) => stepsOf(block.text))
    const calls = steps.flatMap((step) => (step.kind === 'call' ? [`${step.method} ${step.path}`] : []))
    const asked = calls.indexOf('POST /v1/requests')
    expect(asked).toBeGreaterThanOrEqual(0)
    // What the workers did comes to whoever listens, after the answer.
    expect(calls.slice(asked + 1)).toEqual(['GET /v1/agents/traveller/deliveries', 'POST /v1/agents/traveller/lease'])
  })

  it('begins with a guide to the three forms of the same job, which are on the page and in the demo (A44)', () => {
    const guide = sections[0]?.text ?? ''
    const [, ...forms] = (/^\|(.*)\|$/m.exec(guide)?.[1] ?? '').split('|').map((cell) => cell.trim())
    expect(forms).toHaveLength(3)
    expect(patterns.slice(0, 3).map((section) => section.title.toLowerCase())).toEqual(forms)
    const demo = readFileSync(join(root, 'scripts/demo.ts'), 'utf8')
    const named = [...(/--pattern queue`.*$/m.exec(guide)?.[0] ?? '').matchAll(/(\w+)`/g)].map((match) => match[1])
    expect(named).toHaveLength(3)
    for (const name of named) expect(demo).toMatch(new RegExp(`^  ${name}: \\{$`, 'm'))
  })

  describe.concurrent('does what it shows:', () => {
    it.each(patterns.map((section) => [section.title, section] as const))('%s', (_, section) => play(section))
  })
})

describe('an answer that is not the one shown', () => {
  const wrong = (shown: unknown, actual: unknown) => difference(shown, actual, new Map([['known', 'x']]))

  it('is told with its place; members that are not shown may be there', () => {
    expect(wrong({ a: [{ b: 1 }] }, { a: [{ b: 1, c: 2 }], d: 3 })).toBeUndefined()
    expect(wrong({ a: [{ b: 1 }] }, { a: [{ b: 2 }] })).toContain('the answer.a[0].b is 2')
    expect(wrong({ a: null }, {})).toContain('a is undefined')
    expect(wrong({ a: {} }, { a: [] })).toContain('the answer.a')
    expect(wrong({ a: '(absent)' }, { b: 1 })).toBeUndefined()
    expect(wrong({ a: '(absent)' }, { a: null })).toContain('the answer.a is null')
  })

  it('is an array with more or fewer parts, but where `…` stands for some', () => {
    expect(wrong([1], [1, 2])).toBeDefined()
    expect(wrong([1, '…', 4], [1, 2, 3, 4])).toBeUndefined()
    expect(wrong([1, '…', 4], [1, 2, 3])).toBeDefined()
  })

  it('is a text other than the one that its name stood for before', () => {
    expect(wrong(['{new}', '{new}'], ['a', 'a'])).toBeUndefined()
    expect(wrong(['{new}', '{new}'], ['a', 'b'])).toBeDefined()
    expect(wrong('{known}', 'y')).toBeDefined()
    expect(wrong('{new}', 3)).toBeDefined()
  })

  it('is not read from a line of another form', () => {
    expect(() => stepsOf('PUSH /v1/messages')).toThrow()
    expect(() => stepsOf('→ 200')).toThrow()
    expect(() => filled('{unknown}', new Map())).toThrow()
  })
})

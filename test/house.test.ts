/**
 * The house rules, held over the whole tree. Each rule is first shown to catch a planted breach, so that a rule which sees
 * nothing cannot pass for a tidy house. The rules are in test/house/. Never here: behaviour.
 */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import * as imports from './house/imports.ts'
import * as papers from './house/papers.ts'
import { impurities } from './house/purity.ts'
import * as shape from './house/shape.ts'
import { type Breaches, readTree, type Source, source } from './house/source.ts'

const tree = readTree(join(import.meta.dirname, '..'))

const longFiles: shape.Exceptions = {}

const longFunctions: shape.Exceptions = {
  'shared/fault.ts wireOf':
    'one arm for each code, in one exhaustive switch: what the outside sees of a fault is decided in one place',
}

/** A rule, and breaches of it: what is planted (path and text), and what the rule must say. */
interface Case {
  readonly rule: (tree: readonly Source[]) => Breaches
  readonly says: string
  readonly plants: readonly { readonly files: Readonly<Record<string, string>>; readonly caught: string }[]
}

const plantedTree = (files: Readonly<Record<string, string>>): readonly Source[] =>
  Object.entries(files).map(([path, text]) => source(path, text))

const long = (count: number) => Array.from({ length: count }, (_, i) => `const line${i} = ${i}`).join('\n')

const cases: readonly Case[] = [
  {
    says: 'a room imports only what the house allows',
    rule: imports.strangers,
    plants: [
      { files: { 'shared/a.ts': "import { DurableObject } from 'cloudflare:workers'" }, caught: 'cloudflare:workers' },
      { files: { 'shared/a.ts': "import type { App } from '../workers/app.ts'" }, caught: '../workers/app.ts' },
      { files: { 'shared/a.ts': "import { readFileSync } from 'node:fs'" }, caught: 'node:fs' },
      { files: { 'shared/a.ts': "export const load = () => import('hono')" }, caught: 'hono' },
      { files: { 'shared/a.ts': "export type E = import('../workers/app.ts').App" }, caught: '../workers/app.ts' },
      { files: { 'durable-objects/a.ts': "import { Hono } from 'hono'" }, caught: 'hono' },
      { files: { 'durable-objects/a.ts': "import { accept } from '../workers/accept.ts'" }, caught: 'accept.ts' },
      { files: { 'workers/a.ts': "import { AgentObject } from '../durable-objects/agent.ts'" }, caught: 'agent.ts' },
      { files: { 'workers/a.ts': "import { researcher } from '../agents/index.ts'" }, caught: 'agents/index.ts' },
      { files: { 'workers/a.ts': "import * as z from 'zod'" }, caught: 'zod' },
      { files: { 'agents/a.ts': "import { publish } from '../workers/publish.ts'" }, caught: 'publish.ts' },
      { files: { 'agents/a.ts': "import { env } from 'cloudflare:workers'" }, caught: 'cloudflare:workers' },
    ],
  },
  {
    says: 'a folder with code in it has an import rule',
    rule: imports.unknownRooms,
    plants: [{ files: { 'library/a.ts': 'export const a = 1' }, caught: 'library/' }],
  },
  {
    says: 'an object never imports an object',
    rule: imports.objectsImportingObjects,
    plants: [
      {
        files: {
          'durable-objects/a.ts': "import type { B } from './b.ts'\nexport class AObject extends DurableObject {}",
          'durable-objects/b.ts': 'export class BObject extends DurableObject {}',
        },
        caught: 'durable-objects/a.ts:1',
      },
    ],
  },
  {
    says: 'no file hands on the names of another',
    rule: imports.barrels,
    plants: [
      { files: { 'shared/a.ts': "export * from './b.ts'" }, caught: 'hands on ./b.ts' },
      { files: { 'shared/a.ts': "export { b } from './b.ts'" }, caught: 'hands on ./b.ts' },
    ],
  },
  {
    says: 'an import takes the shortest way',
    rule: imports.detours,
    plants: [
      { files: { 'shared/a.ts': "import { b } from '../shared/b.ts'" }, caught: 'shortest' },
      { files: { 'workers/routes/a.ts': "import { b } from '../../workers/b.ts'" }, caught: 'shortest' },
    ],
  },
  {
    says: 'no import leads nowhere',
    rule: imports.dangling,
    plants: [{ files: { 'shared/a.ts': "import { b } from './b.ts'" }, caught: './b.ts does not exist' }],
  },
  {
    says: 'no two files need each other, not even for types',
    rule: imports.cycles,
    plants: [
      {
        files: {
          'shared/a.ts': "import { b } from './b.ts'",
          'shared/b.ts': "import { c } from './c.ts'",
          'shared/c.ts': "import type { A } from './a.ts'",
        },
        caught: 'shared/a.ts → shared/b.ts → shared/c.ts → shared/a.ts',
      },
    ],
  },
  {
    says: 'shared/ is pure',
    rule: impurities,
    plants: [
      { files: { 'shared/a.ts': 'export const a = () => Date.now()' }, caught: 'Date.now' },
      { files: { 'shared/a.ts': 'export const a = () => new Date()' }, caught: 'new Date()' },
      { files: { 'shared/a.ts': 'export const a = () => Date()' }, caught: 'Date()' },
      { files: { 'shared/a.ts': 'export const a = () => Math.random()' }, caught: 'Math.random' },
      { files: { 'shared/a.ts': 'export const a = () => crypto.randomUUID()' }, caught: 'crypto' },
      { files: { 'shared/a.ts': 'export const a = () => fetch("x")' }, caught: 'fetch' },
      { files: { 'shared/a.ts': 'export const a = { fetch }' }, caught: 'fetch' },
      { files: { 'shared/a.ts': 'export const a = fetch as unknown' }, caught: 'fetch' },
      { files: { 'shared/a.ts': 'setTimeout(() => {}, 1)' }, caught: 'setTimeout' },
      { files: { 'shared/a.ts': 'export const a = process.env' }, caught: 'process' },
      { files: { 'shared/a.ts': 'export const a = () => { throw new Error("no") }' }, caught: 'throws' },
    ],
  },
  {
    says: 'every file opens with a comment',
    rule: shape.silentFiles,
    plants: [{ files: { 'workers/a.ts': 'export const a = 1' }, caught: 'workers/a.ts' }],
  },
  {
    says: 'types are not silenced: no any, no !, no suppressed error',
    rule: shape.unsound,
    plants: [
      { files: { 'workers/a.ts': 'export const a: any = 1' }, caught: 'any' },
      { files: { 'workers/a.ts': 'export const a = (b?: string) => b!.length' }, caught: '!' },
      { files: { 'workers/a.ts': '// @ts-ignore\nexport const a = 1' }, caught: 'silences' },
      { files: { 'test/a.test.ts': '/* @ts-expect-error because */ export const a = 1' }, caught: 'silences' },
    ],
  },
  {
    says: `a file has at most ${shape.fileLinesMax} lines, a test ${shape.testLinesMax}`,
    rule: (files) => shape.longFiles(files, files === tree ? longFiles : { 'workers/short.ts': 'a stale exception' }),
    plants: [
      { files: { 'workers/a.ts': long(301) }, caught: 'workers/a.ts has 301 lines' },
      { files: { 'test/a.test.ts': long(601) }, caught: 'has 601 lines' },
      { files: { 'workers/short.ts': long(1) }, caught: 'need not be' },
    ],
  },
  {
    says: `a function has at most ${shape.functionLinesMax} lines`,
    rule: (files) => shape.longFunctions(files, files === tree ? longFunctions : {}),
    plants: [
      { files: { 'workers/a.ts': `function endless() {\n${long(70)}\n}` }, caught: 'endless has 72 lines' },
      { files: { 'workers/a.ts': `const endless = () => {\n${long(70)}\n}` }, caught: 'endless has 72 lines' },
      { files: { 'workers/a.ts': `class A { endless() {\n${long(70)}\n} }` }, caught: 'endless has 72 lines' },
    ],
  },
  {
    says: 'files are named after what they do',
    rule: shape.vagueNames,
    plants: [
      { files: { 'shared/string-utils.ts': '' }, caught: 'string-utils' },
      { files: { 'workers/AgentManager.ts': '' }, caught: 'AgentManager' },
      { files: { 'docs/services.md': '' }, caught: 'services' },
      { files: { 'test/test-helper.ts': '' }, caught: 'test-helper' },
    ],
  },
  {
    says: 'no file names a machine or a package registry',
    rule: shape.machineTraces,
    plants: [
      { files: { 'README.md': `see ${'/ho'}me/someone/notes.md` }, caught: 'README.md:1' },
      { files: { 'docs/a.md': `\n(${'/Us'}ers/someone)` }, caught: 'docs/a.md:2' },
      {
        files: { 'package-lock.json': `{ ${'"resol'}ved": "https://example.org/a.tgz" }` },
        caught: 'package-lock.json',
      },
      { files: { 'docs/a.md': `npm --registry https://${'regis'}try.example.org` }, caught: 'registry' },
    ],
  },
  {
    says: "README's map names every folder, and only those",
    rule: papers.readmeMap,
    plants: [
      {
        files: {
          'README.md': '## The map\n\n- `shared/` nouns\n- `gone/` nothing\n',
          'workers/a.ts': '',
          'shared/b.ts': '',
        },
        caught: 'does not name workers/',
      },
      { files: { 'README.md': '## The map\n\n- `gone/` nothing\n' }, caught: 'gone/, which does not exist' },
    ],
  },
  {
    says: 'docs/map.md says of every file what the file says of itself',
    rule: papers.fileMap,
    plants: [
      { files: { 'docs/map.md': '', 'workers/a.ts': '/** Does a. */' }, caught: 'lacks: - `workers/a.ts` Does a.' },
      { files: { 'docs/map.md': '- `workers/a.ts` Does a.' }, caught: 'should not say: - `workers/a.ts`' },
    ],
  },
  {
    says: 'every decision is recorded in full, in the index, and exists where it is cited',
    rule: papers.decisions,
    plants: [
      { files: { 'docs/decisions/0001-a.md': '' }, caught: 'not in the index' },
      { files: { 'docs/decisions/README.md': '[a](0001-a.md)' }, caught: 'indexed and missing' },
      { files: { 'docs/decisions/0001-a.md': 'Status: accepted' }, caught: 'lacks "## Rejected"' },
      { files: { 'shared/a.ts': `// ${'docs/decisions'}/0042` }, caught: 'cites docs/decisions/0042' },
    ],
  },
  {
    says: 'every invariant is explained, and its proof exists and mentions it',
    rule: papers.invariants,
    plants: [
      { files: { 'shared/a.ts': '// M1' }, caught: 'cites M1' },
      { files: { 'docs/invariants.md': '| **M1** | kept | `test/gone.test.ts` |' }, caught: 'does not exist' },
      { files: { 'docs/invariants.md': '| **M1** | kept | |' }, caught: 'proved by nothing' },
      {
        files: { 'docs/invariants.md': '| **M1** | kept | `test/a.test.ts` |', 'test/a.test.ts': '// M10' },
        caught: 'does not mention M1',
      },
    ],
  },
  {
    says: 'a link in a paper leads somewhere',
    rule: papers.deadLinks,
    plants: [
      { files: { 'docs/a.md': '[b](b.md)' }, caught: 'docs/a.md sends the reader to docs/b.md' },
      { files: { 'docs/a.md': '[b](../b/c.md#d)' }, caught: 'b/c.md' },
      { files: { 'shared/a.ts': '// see docs/b.md' }, caught: 'shared/a.ts sends the reader to docs/b.md' },
    ],
  },
  {
    says: 'every mutant still applies',
    rule: papers.staleMutants,
    plants: [
      { files: { 'test/mutants/a.json': '{}' }, caught: 'test/mutants/a.json' },
      { files: mutantOver('const a = 2'), caught: 'occurs 0 times' },
      { files: mutantOver('const a = 1\nconst a = 1'), caught: 'occurs 2 times' },
      { files: mutantOver('const a = 1'), caught: 'test/gone.test.ts' },
    ],
  },
]

function mutantOver(text: string): Readonly<Record<string, string>> {
  const mutant = { breaks: 'M1', why: 'x', file: 'shared/a.ts', find: 'const a = 1', replace: 'const a = 0' }
  return {
    'shared/a.ts': text,
    'test/mutants/a.json': JSON.stringify({ ...mutant, tests: ['test/gone.test.ts'] }),
  }
}

describe('a rule is not blind', () => {
  for (const { says, rule, plants } of cases)
    for (const { files, caught } of plants)
      it(`${says}: caught ${JSON.stringify(files).slice(0, 100)}`, () => {
        expect(rule(plantedTree(files)).join('\n')).toContain(caught)
      })
})

describe('what looks like a breach and is none passes', () => {
  const innocent = plantedTree({
    'shared/ports.ts': '/** Date.now() and fetch */ export interface P { fetch(url: string): void; now(): number }',
    'shared/time.ts':
      "/** x */ export const a = (p: { fetch: () => void }, at: number) => [p.fetch(), new Date(at), 'Date.now()']",
    'test/a.test.ts': "/** x */ export const a = ['// @ts-ignore', /\\/\\/ @ts-ignore/]",
    'workers/index.ts': "/** x */ export { AgentObject } from '../durable-objects/agent.ts'",
    'workers/context.ts':
      "/** x */ import type { AgentObject } from '../durable-objects/agent.ts'\nexport type A = AgentObject",
    'docs/a.md': '[one](../workers/index.ts#x) [folder](../workers/) [web](https://example.org) [here](#here)',
    'workers/routes/a.ts': "/** x */ import { b } from '../../shared/b.ts'\nexport const a = b",
  })
  for (const rule of [
    imports.strangers,
    imports.barrels,
    imports.detours,
    impurities,
    shape.unsound,
    shape.silentFiles,
    papers.deadLinks,
  ])
    it(rule.name, () => expect(rule(innocent)).toEqual([]))
})

describe('the house', () => {
  for (const { says, rule } of cases) it(says, () => expect(rule(tree)).toEqual([]))
})

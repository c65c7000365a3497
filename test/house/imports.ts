/**
 * Who may import whom. The house stands on it: what is pure stays pure because it cannot reach what is not.
 * Never here: what a file says once it is reached (test/house/purity.ts).
 */
import { posix } from 'node:path'
import { allRooms, at, type Breaches, codeIn, type Node, roomOf, type Source, walk } from './source.ts'

export interface Import {
  readonly node: Node
  readonly from: string
  /** Erased at compile time: names a shape, pulls in no code. */
  readonly typeOnly: boolean
}

/** Every way in which a file names another: import, re-export, dynamic import, import type. */
export function importsOf(file: { readonly root: Node }): readonly Import[] {
  const found: Import[] = []
  for (const { node } of walk(file.root)) {
    const from = specifierOf(node)
    if (from !== undefined) found.push({ node, from, typeOnly: isTypeOnly(node) })
  }
  return found
}

function specifierOf(node: Node): string | undefined {
  const named = /^(Import|ExportNamed|ExportAll)Declaration$|^(ImportExpression|TSImportType)$/.test(node.type)
  const value = named ? (node['source'] as Node | null | undefined)?.['value'] : undefined
  return typeof value === 'string' ? value : undefined
}

function isTypeOnly(node: Node): boolean {
  if (node.type === 'TSImportType' || node['importKind'] === 'type' || node['exportKind'] === 'type') return true
  const specifiers = node['specifiers']
  return Array.isArray(specifiers) && specifiers.length > 0 && specifiers.every((s: Node) => s['importKind'] === 'type')
}

interface Rule {
  /** Rooms and single files it may import, values and types. */
  readonly paths: readonly string[]
  readonly packages: RegExp
  /** What it may name as a type only. */
  readonly types?: { readonly paths?: readonly string[]; readonly packages?: RegExp }
}

const nothing = /^$/
const anything = /^/
const rules: Readonly<Record<(typeof allRooms)[number], Rule>> = {
  // Beside schemas and hashes: statecharts, time zones for cron, JSON Schema without generated code. All of them only calculate.
  shared: { paths: ['shared'], packages: /^(zod|@noble\/hashes|xstate|croner|@cfworker\/json-schema)(\/|$)/ },
  'durable-objects': { paths: ['durable-objects', 'shared'], packages: /^cloudflare:workers$/ },
  workers: {
    paths: ['workers', 'shared'],
    packages: /^hono(\/|$)/,
    types: { paths: ['durable-objects'], packages: /^(zod|cloudflare:workers)$/ },
  },
  // The user's own room: any pure library, none of the platform's doors.
  agents: { paths: ['agents', 'shared', 'workers/define.ts'], packages: /^(?!node:|cloudflare:|hono(\/|$))/ },
  scripts: { paths: ['scripts', 'shared', 'agents'], packages: anything },
  // It runs what the system tests run.
  bench: { paths: ['bench', 'test'], packages: anything },
  test: { paths: allRooms, packages: anything },
}

/** The composition root: it alone names the object classes and the user's agents. */
const compositionRoot: Rule = { paths: ['workers', 'shared', 'durable-objects', 'agents'], packages: nothing }

export function strangers(tree: readonly Source[]): Breaches {
  return codeIn(tree, ...allRooms).flatMap((file) => {
    const rule = file.path === 'workers/index.ts' ? compositionRoot : rules[roomOf(file.path) as keyof typeof rules]
    return importsOf(file)
      .filter((one) => !isAllowed(rule, file.path, one))
      .map((one) => at(file, one.node, `may not import ${one.typeOnly ? 'the types of ' : ''}${one.from}`))
  })
}

function isAllowed(rule: Rule, importer: string, { from, typeOnly }: Import): boolean {
  if (!from.startsWith('.')) {
    return rule.packages.test(from) || (typeOnly && rule.types?.packages?.test(from) === true)
  }
  const target = resolve(importer, from)
  const paths = [...rule.paths, ...(typeOnly ? (rule.types?.paths ?? []) : [])]
  return paths.some((path) => target === path || target.startsWith(`${path}/`))
}

function resolve(importer: string, from: string): string {
  return posix.normalize(posix.join(posix.dirname(importer), from))
}

/** A folder with code in it and no rule above is a room nobody thought about. */
export function unknownRooms(tree: readonly Source[]): Breaches {
  const rooms = new Set(tree.filter((file) => file.root !== undefined).map((file) => roomOf(file.path)))
  return [...rooms]
    .filter((room) => room !== '' && !Object.hasOwn(rules, room))
    .map((room) => `${room}/ has code and no import rule`)
}

/** Objects talk by calls, never by import: a file that defines an object class is named by no other object file. */
export function objectsImportingObjects(tree: readonly Source[]): Breaches {
  const files = codeIn(tree, 'durable-objects')
  const classes = new Set(files.filter(definesObject).map((file) => file.path))
  return files.flatMap((file) =>
    importsOf(file)
      .filter((one) => classes.has(resolve(file.path, one.from)))
      .map((one) => at(file, one.node, `an object imports the object in ${one.from}`)),
  )
}

function definesObject(file: { readonly root: Node }): boolean {
  // The classes that wrangler.toml names, by their names: what they extend may lie in between.
  for (const { node } of walk(file.root))
    if (node.type === 'ClassDeclaration' && /Object$/.test(String((node['id'] as Node | null)?.['name']))) return true
  return false
}

/** A file that hands on other files' names hides where things live. The composition root must export the object classes. */
export function barrels(tree: readonly Source[]): Breaches {
  return codeIn(tree, ...allRooms)
    .filter((file) => file.path !== 'workers/index.ts')
    .flatMap((file) =>
      importsOf(file)
        .filter((one) => one.node.type.startsWith('Export'))
        .map((one) => at(file, one.node, `hands on ${one.from}: import it where it is used`)),
    )
}

/** One `../` from a room, two from a room within a room: more would leave the project. Never out and back in again. */
export function detours(tree: readonly Source[]): Breaches {
  return codeIn(tree, ...allRooms).flatMap((file) =>
    importsOf(file)
      .filter((one) => one.from.startsWith('.') && one.from !== shortest(file.path, resolve(file.path, one.from)))
      .map((one) => at(file, one.node, `${one.from} is not the shortest way`)),
  )
}

function shortest(importer: string, target: string): string {
  const way = posix.relative(posix.dirname(importer), target)
  return way.startsWith('.') ? way : `./${way}`
}

/** Each cycle once, as the way round. Types count: two files that name each other cannot be understood one by one. */
export function cycles(tree: readonly Source[]): Breaches {
  const edges = new Map(
    codeIn(tree, ...allRooms).map((file) => [
      file.path,
      importsOf(file)
        .filter((one) => one.from.startsWith('.'))
        .map((one) => resolve(file.path, one.from)),
    ]),
  )
  const found: string[] = []
  const done = new Set<string>()
  const visit = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) found.push([...way.slice(way.indexOf(path)), path].join(' → '))
    if (way.includes(path) || done.has(path)) return
    for (const next of edges.get(path) ?? []) visit(next, [...way, path])
    done.add(path)
  }
  for (const path of edges.keys()) visit(path, [])
  return found
}

/** An import that leads nowhere is a map that lies. */
export function dangling(tree: readonly Source[]): Breaches {
  const paths = new Set(tree.map((file) => file.path))
  return codeIn(tree, ...allRooms).flatMap((file) =>
    importsOf(file)
      .filter((one) => one.from.startsWith('.') && !paths.has(resolve(file.path, one.from)))
      .map((one) => at(file, one.node, `${one.from} does not exist`)),
  )
}

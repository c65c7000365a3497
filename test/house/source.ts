/**
 * The tree as the house rules see it: each file with its text and, for TypeScript, its syntax tree. Rules read syntax, so a
 * word in a comment or a string is never mistaken for code. Never here: a rule.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAst } from 'vitest/node'

export interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [key: string]: unknown
}

export interface Source {
  /** From the project's root, with `/`. */
  readonly path: string
  readonly text: string
  /** Undefined for what is not TypeScript. */
  readonly root: Node | undefined
}

/** What a rule says of a tree that keeps it: nothing. */
export type Breaches = readonly string[]

export function source(path: string, text: string): Source {
  return { path, text, root: path.endsWith('.ts') ? parse(text) : undefined }
}

function parse(text: string): Node {
  // The parser's own type is a union of two hundred shapes; the rules ask for `type` and walk the rest.
  return parseAst(text, { lang: 'ts', astType: 'ts' }) as unknown as Node
}

const textual =
  /(\.(ts|md|json|jsonc|toml|yml|yaml|html|css|js|mjs|sh|txt|svg|csv)|\/(run|LICENSE|\.gitignore)|^(LICENSE|\.gitignore))$/

/** Every text file under `directory` that the ignore file does not name, in order of path. */
export function readTree(directory: string): readonly Source[] {
  const ignored = readFileSync(join(directory, '.gitignore'), 'utf8').split('\n').filter(Boolean)
  return pathsUnder(directory, '', ignored)
    .filter((path) => textual.test(path))
    .map((path) => source(path, readFileSync(join(directory, path), 'utf8')))
}

function pathsUnder(directory: string, folder: string, ignored: readonly string[]): string[] {
  const entries = readdirSync(join(directory, folder), { withFileTypes: true })
  return entries
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .filter((entry) => entry.name !== '.git' && !isIgnored(entry.name, ignored))
    .flatMap((entry) => {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory()) return pathsUnder(directory, path, ignored)
      return entry.isFile() ? [path] : []
    })
}

// The ignore file keeps to three forms: `name`, `name/` and `*.ending`.
function isIgnored(name: string, ignored: readonly string[]): boolean {
  return ignored.some((line) => (line.startsWith('*') ? name.endsWith(line.slice(1)) : name === line.replace('/', '')))
}

export interface Visit {
  readonly node: Node
  readonly parent: Node | undefined
  /** The parent's property that holds the node. */
  readonly key: string
}

/** Every node under `root`, parents first. */
export function* walk(root: Node, parent?: Node, key = ''): Generator<Visit> {
  yield { node: root, parent, key }
  for (const [name, value] of Object.entries(root)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) yield* walk(child, root, name)
  }
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string'
}

export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

export function at(file: Source, node: Node, what: string): string {
  return `${file.path}:${lineAt(file.text, node.start)} ${what}`
}

/** `shared` of `shared/ids.ts`; the empty name for files at the root. */
export function roomOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : ''
}

/** Files of the tree with code in them, in the rooms named. */
export function codeIn(tree: readonly Source[], ...rooms: readonly string[]): readonly (Source & { root: Node })[] {
  return tree.filter(
    (file): file is Source & { root: Node } => file.root !== undefined && rooms.includes(roomOf(file.path)),
  )
}

/** Rooms whose code is shipped. */
export const shippedRooms = ['workers', 'durable-objects', 'shared', 'agents'] as const
export const allRooms = [...shippedRooms, 'scripts', 'bench', 'test'] as const

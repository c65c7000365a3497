/**
 * The shape of a file: how it opens, how long it and its functions are, what it never contains.
 * Exceptions are named with a reason, and one that is no longer needed is itself a breach. Never here: what files mean.
 */
import { allRooms, at, type Breaches, codeIn, lineAt, type Node, type Source, shippedRooms, walk } from './source.ts'

export const fileLinesMax = 300
/** A test reads as a list of cases; it may be longer before it must be split. */
export const testLinesMax = 600
export const functionLinesMax = 70

/** Longer than allowed, and why that is better than splitting. */
export type Exceptions = Readonly<Record<string, string>>

export function longFiles(tree: readonly Source[], exceptions: Exceptions): Breaches {
  const long = codeIn(tree, ...allRooms)
    .map((file) => ({ path: file.path, lines: file.text.trimEnd().split('\n').length }))
    .filter(({ path, lines }) => lines > (path.startsWith('test/') ? testLinesMax : fileLinesMax))
  return judged(
    long.map(({ path, lines }) => ({ name: path, what: `${path} has ${lines} lines` })),
    exceptions,
  )
}

export function longFunctions(tree: readonly Source[], exceptions: Exceptions): Breaches {
  const long = codeIn(tree, ...shippedRooms, 'scripts').flatMap((file) =>
    functionsOf(file.root)
      .map(({ node, name }) => ({ node, name, lines: lineAt(file.text, node.end) - lineAt(file.text, node.start) + 1 }))
      .filter(({ lines }) => lines > functionLinesMax)
      .map(({ node, name, lines }) => ({
        name: `${file.path} ${name}`,
        what: at(file, node, `${name} has ${lines} lines`),
      })),
  )
  return judged(long, exceptions)
}

function judged(long: readonly { readonly name: string; readonly what: string }[], exceptions: Exceptions): Breaches {
  const names = new Set(long.map((one) => one.name))
  return [
    ...long.filter((one) => !Object.hasOwn(exceptions, one.name)).map((one) => one.what),
    ...Object.keys(exceptions)
      .filter((name) => !names.has(name))
      .map((name) => `${name} is excepted and need not be`),
  ]
}

function functionsOf(root: Node): readonly { readonly node: Node; readonly name: string }[] {
  const found: { node: Node; name: string }[] = []
  for (const { node, parent } of walk(root)) {
    if (!/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)) continue
    const owner = (node['id'] ?? parent?.['key'] ?? parent?.['id']) as Node | null | undefined
    found.push({ node, name: typeof owner?.['name'] === 'string' ? owner['name'] : '(anonymous)' })
  }
  return found
}

/** Every file says first what it is. */
export function silentFiles(tree: readonly Source[]): Breaches {
  return codeIn(tree, ...allRooms)
    .filter((file) => !/^(#!.*\n)?(\/\*\*?|\/\/)/.test(file.text))
    .map((file) => `${file.path} does not open with a comment`)
}

/** `any`, `!` and silenced compilers: what the types would have said. `!` is allowed in tests, where it fails loudly. */
export function unsound(tree: readonly Source[]): Breaches {
  return codeIn(tree, ...allRooms).flatMap((file) => {
    const found: string[] = []
    for (const { node } of walk(file.root)) {
      if (node.type === 'TSAnyKeyword') found.push(at(file, node, 'uses any'))
      if (node.type === 'TSNonNullExpression' && !file.path.startsWith('test/')) found.push(at(file, node, 'uses !'))
    }
    const suppressed = /(?:\/\/|\/\*)\s*@ts-(?:ignore|expect-error|nocheck)/.exec(withoutLiterals(file))
    if (suppressed !== null) found.push(`${file.path}:${lineAt(file.text, suppressed.index)} silences the compiler`)
    return found
  })
}

/** The text with every string, template and regular expression blanked, so that what looks like a comment is one. */
function withoutLiterals(file: Source & { readonly root: Node }): string {
  const literals = [...walk(file.root)]
    .map(({ node }) => node)
    .filter((node) => node.type === 'Literal' || node.type === 'TemplateElement')
    .sort((one, other) => one.start - other.start)
  const parts: string[] = []
  let end = 0
  for (const { start, end: next } of literals) {
    parts.push(file.text.slice(end, start), ' '.repeat(next - start))
    end = next
  }
  return parts.join('') + file.text.slice(end)
}

/** Names that say nothing about what is inside. */
export function vagueNames(tree: readonly Source[]): Breaches {
  return tree
    .filter((file) => /(helper|util|manager|service)/i.test(file.path.slice(file.path.lastIndexOf('/') + 1)))
    .map((file) => `${file.path}: name it after what it does`)
}

/** Paths of somebody's machine, and hosts of package registries, mean nothing to a stranger. */
export function machineTraces(tree: readonly Source[]): Breaches {
  return tree.flatMap((file) => {
    const home = /(?:^|[\s"'`(=:])\/(?:home|Users|root|work|var\/folders)\/[\w.-]/m.exec(file.text)
    const host = /\b(?:registry\.[a-z0-9-]+\.[a-z]{2,}|artifac[t]ory|verdacci[o])\b|"resolve[d]":/i.exec(file.text)
    return [home, host]
      .filter((match) => match !== null)
      .map((match) => `${file.path}:${lineAt(file.text, match.index)} names a machine: ${match[0].trim()}`)
  })
}

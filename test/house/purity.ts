/**
 * What shared/ never does: no platform, no clock, no dice, no throw. Time and chance are arguments there, so that a failing
 * run can be run again. Never here: imports (test/house/imports.ts).
 */
import { at, type Breaches, codeIn, type Node, type Source, type Visit, walk } from './source.ts'

/** Names that reach out of a pure function, wherever they are mentioned as a value. */
const worldly = new Set([
  'crypto',
  'fetch',
  'setTimeout',
  'setInterval',
  'queueMicrotask',
  'process',
  'performance',
  'console',
  'globalThis',
  'require',
  'caches',
  'navigator',
])

export function impurities(tree: readonly Source[]): Breaches {
  return codeIn(tree, 'shared').flatMap((file) => {
    const found: string[] = []
    for (const visit of walk(file.root)) {
      const what = impurityOf(visit, file.path)
      if (what !== undefined) found.push(at(file, visit.node, what))
    }
    return found
  })
}

function impurityOf({ node, parent, key }: Visit, path: string): string | undefined {
  switch (node.type) {
    case 'ThrowStatement':
      return path === 'shared/result.ts' ? undefined : 'throws: answer with a Result'
    case 'ImportExpression':
      return 'imports at run time'
    case 'NewExpression':
      return named(node['callee'], 'Date') && isEmpty(node['arguments']) ? 'reads the clock: new Date()' : undefined
    case 'CallExpression':
      return named(node['callee'], 'Date') ? 'reads the clock: Date()' : undefined
    case 'MemberExpression':
      if (named(node['object'], 'Date') && named(node['property'], 'now')) return 'reads the clock: Date.now'
      return named(node['object'], 'Math') && named(node['property'], 'random') ? 'throws dice: Math.random' : undefined
    case 'Identifier':
      return isValue(parent, key) && worldly.has(String(node['name'])) ? `reaches out: ${node['name']}` : undefined
    default:
      return undefined
  }
}

function named(node: unknown, name: string): boolean {
  return (node as Node | undefined)?.type === 'Identifier' && (node as Node)['name'] === name
}

function isEmpty(list: unknown): boolean {
  return Array.isArray(list) && list.length === 0
}

// `port.fetch`, `{ fetch: … }` and a member of a type name a part of something given; a bare `fetch` is the platform's.
function isValue(parent: Node | undefined, key: string): boolean {
  if (parent === undefined) return true
  if (parent.type === 'MemberExpression' && key === 'property') return parent['computed'] === true
  if (key === 'key') return parent['shorthand'] === true
  return !parent.type.startsWith('TS') || key === 'expression'
}

/**
 * Papers that must not rot: the map names every file, the decision index every record, the table of invariants only tests
 * that exist, and every mutant still applies. Never here: code.
 */
import { posix } from 'node:path'
import { mapPage, mappedRooms } from '../../scripts/map-page.ts'
import { mutantSchema, mutate } from '../../scripts/mutant.ts'
import { type Breaches, codeIn, roomOf, type Source } from './source.ts'

function textOf(tree: readonly Source[], path: string): string {
  return tree.find((file) => file.path === path)?.text ?? ''
}

/** The README's map: every folder at the top with something in it, and nothing else. */
export function readmeMap(tree: readonly Source[]): Breaches {
  const section = /## The map\n([\s\S]*?)(?:\n## |$)/.exec(textOf(tree, 'README.md'))?.[1] ?? ''
  const named = [...section.matchAll(/^- `([^`/]+)\/`/gm)].map((match) => match[1] ?? '')
  const standing = new Set(tree.map((file) => roomOf(file.path)).filter((room) => room !== ''))
  return [
    ...[...standing].filter((room) => !named.includes(room)).map((room) => `README's map does not name ${room}/`),
    ...named.filter((room) => !standing.has(room)).map((room) => `README's map names ${room}/, which does not exist`),
  ]
}

/** docs/map.md: one line for every file that is shipped or run, in the file's own words. */
export function fileMap(tree: readonly Source[]): Breaches {
  const stands = textOf(tree, 'docs/map.md').split('\n')
  const should = mapPage(codeIn(tree, ...mappedRooms)).split('\n')
  const wrong = [
    ...should.filter((line) => !stands.includes(line)).map((line) => `docs/map.md lacks: ${line}`),
    ...stands.filter((line) => !should.includes(line)).map((line) => `docs/map.md should not say: ${line}`),
  ]
  return wrong.length === 0 ? [] : [...wrong, 'run `npm run map`']
}

/** docs/decisions/README.md lists each record once, and each record has the four parts. */
export function decisions(tree: readonly Source[]): Breaches {
  const index = textOf(tree, 'docs/decisions/README.md')
  const records = tree.filter((file) => /^docs\/decisions\/\d{4}-[a-z0-9-]+\.md$/.test(file.path))
  const linked = [...index.matchAll(/\]\((\d{4}-[a-z0-9-]+\.md)\)/g)].map((match) => `docs/decisions/${match[1]}`)
  const parts = ['Status:', '## Context', '## Decision', '## Rejected']
  return [
    ...records.filter((file) => !linked.includes(file.path)).map((file) => `${file.path} is not in the index`),
    ...linked
      .filter((path) => !records.some((file) => file.path === path))
      .map((path) => `${path} is indexed and missing`),
    ...records.flatMap((file) =>
      parts.filter((part) => !file.text.includes(part)).map((part) => `${file.path} lacks "${part}"`),
    ),
    ...cited(tree)
      .filter(([, path]) => !records.some((file) => file.path.startsWith(path)))
      .map(([by, path]) => `${by} cites ${path}, which does not exist`),
  ]
}

function cited(tree: readonly Source[]): readonly (readonly [string, string])[] {
  return tree
    .filter((file) => !file.path.startsWith('test/house'))
    .flatMap((file) =>
      [...file.text.matchAll(/docs\/decisions\/\d{4}/g)].map((match) => [file.path, match[0]] as const),
    )
}

/** docs/invariants.md: a test named as proof exists and mentions what it proves; every code cited in the tree is explained. */
export function invariants(tree: readonly Source[]): Breaches {
  const rows = invariantRows(textOf(tree, 'docs/invariants.md'))
  const known = new Set(rows.map((row) => row.name))
  return [
    ...rows.flatMap((row) => row.proofs.flatMap((path) => proofBreach(tree, row.name, path))),
    ...rows
      .filter((row) => row.proofs.length === 0 && !row.text.includes('not yet built'))
      .map((row) => `docs/invariants.md: ${row.name} is proved by nothing and not marked as not yet built`),
    ...codesCited(tree)
      .filter(([, code]) => !known.has(code))
      .map(([path, code]) => `${path} cites ${code}, which docs/invariants.md does not explain`),
  ]
}

interface Row {
  readonly name: string
  readonly text: string
  readonly proofs: readonly string[]
}

function invariantRows(text: string): readonly Row[] {
  return [...text.matchAll(/^\| \*\*([MEBWGST]\d+)\*\* \|(.*)$/gm)].map((match) => ({
    name: match[1] ?? '',
    text: match[2] ?? '',
    proofs: [...(match[2] ?? '').matchAll(/`(test\/[^`]+)`/g)].map((proof) => proof[1] ?? ''),
  }))
}

function proofBreach(tree: readonly Source[], name: string, path: string): string[] {
  const proof = tree.find((file) => file.path === path)
  if (proof === undefined) return [`docs/invariants.md: ${name} is proved by ${path}, which does not exist`]
  return new RegExp(`\\b${name}\\b`).test(proof.text) ? [] : [`docs/invariants.md: ${path} does not mention ${name}`]
}

function codesCited(tree: readonly Source[]): readonly (readonly [string, string])[] {
  return codeIn(tree, 'workers', 'durable-objects', 'shared', 'agents').flatMap((file) =>
    [...new Set([...file.text.matchAll(/\b(?:[ME]\d|B[1-3]|W[1-3]|G1|S[12]|T1?\d)\b/g)].map((match) => match[0]))].map(
      (code) => [file.path, code] as const,
    ),
  )
}

/** A link from one paper to a file of the tree leads to a file, and so does a paper that a comment sends the reader to. */
export function deadLinks(tree: readonly Source[]): Breaches {
  const stands = (path: string) =>
    tree.some((file) => file.path === path || file.path.startsWith(path.replace(/\/?$/, '/')))
  return tree
    .filter((file) => !file.path.startsWith('test/house'))
    .flatMap((file) =>
      [...new Set([...linksOf(file), ...papersNamed(file)])]
        .filter((path) => !stands(path))
        .map((path) => `${file.path} sends the reader to ${path}, which does not exist`),
    )
}

function linksOf(file: Source): readonly string[] {
  if (!file.path.endsWith('.md')) return []
  return [...file.text.matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)]
    .map((match) => match[1] ?? '')
    .filter((link) => !link.startsWith('/'))
    .map((link) => posix.join(posix.dirname(file.path), link))
}

function papersNamed(file: Source): readonly string[] {
  return [...file.text.matchAll(/\bdocs\/[a-z0-9/-]+\.md\b/g)].map((match) => match[0])
}

/** test/mutants/: each parses, applies exactly once, and names tests that exist. */
export function staleMutants(tree: readonly Source[]): Breaches {
  return tree
    .filter((file) => /^test\/mutants\/.*\.json$/.test(file.path))
    .flatMap((file) => {
      const parsed = mutantSchema.safeParse(jsonOf(file.text))
      if (!parsed.success) return [`${file.path}: ${parsed.error.issues.map((i) => i.message).join('; ')}`]
      const mutant = parsed.data
      const result = mutate(textOf(tree, mutant.file), mutant)
      return [
        ...('stale' in result ? [`${file.path}: ${result.stale}`] : []),
        ...mutant.tests
          .filter((path) => !tree.some((one) => one.path === path))
          .map((path) => `${file.path} counts on ${path}, which does not exist`),
      ]
    })
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

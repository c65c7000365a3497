/**
 * The document that is made from the table of operations, held to what OpenAPI and its readers ask. That the server does what
 * it says is tested where there is a server (test/workers/openapi.test.ts).
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createConfig, lintFromString } from '@redocly/openapi-core'
import { describe, expect, it } from 'vitest'
import { answerNames, operations, requestNames, tags, version } from '../../shared/api.ts'
import { faultsOf } from '../../shared/api-operation.ts'
import { faultCodes } from '../../shared/fault-examples.ts'
import { openApiOf } from '../../shared/openapi.ts'

interface Document {
  readonly paths: Record<string, Record<string, Record<string, unknown>>>
  readonly components: { readonly schemas: Record<string, unknown> }
}
const servers = [{ url: 'https://switchboard.acme.workers.dev' }]
const document = { ...openApiOf(), servers } as unknown as Document

async function problemsOf(source: unknown): Promise<string[]> {
  const config = await createConfig({ extends: ['recommended'] })
  const problems = await lintFromString({ source: JSON.stringify(source), absoluteRef: '/openapi.json', config })
  return problems.map((p) => `${p.severity} ${p.ruleId}: ${p.message} at ${p.location[0]?.pointer}`)
}

/** Every value anywhere in the document, with the way to it. */
function* parts(value: unknown, at = '#'): Generator<readonly [string, unknown]> {
  yield [at, value]
  if (typeof value !== 'object' || value === null) return
  for (const [key, child] of Object.entries(value)) yield* parts(child, `${at}/${key}`)
}

describe('the OpenAPI document', () => {
  it('lints to zero errors and zero warnings by the recommended rules', async () => {
    expect(await problemsOf(document)).toEqual([])
  })

  it('is linted in earnest: a document without a summary and with a loose reference is caught', async () => {
    const broken = structuredClone(document)
    delete broken.paths['/v1/messages']!['post']!['summary']
    broken.paths['/v1/messages']!['post']!['requestBody'] = { $ref: '#/components/requestBodies/None' }
    const problems = (await problemsOf(broken)).join('\n')
    expect(problems).toContain('operation-summary')
    expect(problems).toContain('no-unresolved-refs')
  })

  it('is plain JSON: what a caller gets is what was linted', () => {
    expect(JSON.parse(JSON.stringify(document))).toEqual(document)
  })

  it('gives every operation its own id, a tag that is explained, and one answer for each status', () => {
    expect(new Set(operations.map((o) => o.id)).size).toBe(operations.length)
    expect([...new Set(operations.map((o) => o.tag))].sort()).toEqual(Object.keys(tags).sort())
    for (const { answers } of operations) expect(new Set(answers.map((a) => a.status)).size).toBe(answers.length)
  })

  it('tells 401 and 503 for everything that needs a key, and neither for what needs none', () => {
    for (const operation of operations) {
      const codes = faultsOf(operation)
      const keyed = operation.path.startsWith('/v1/') || operation.path === '/metrics'
      expect([operation.path, codes.includes('unauthenticated')]).toEqual([operation.path, keyed])
      expect([operation.path, codes.includes('not_configured')]).toEqual([operation.path, keyed])
    }
  })

  it('explains every code that some operation may answer, and no code is left that none may', () => {
    const told = new Set(operations.flatMap(faultsOf))
    // Answered where no operation is.
    told.add('route_not_found')
    expect([...told].sort()).toEqual([...faultCodes].sort())
  })

  it('names each schema once, and has none that nothing refers to', () => {
    expect(Object.keys(requestNames).filter((name) => name in answerNames)).toEqual([])
    // What has no name of its own is named after its operation, which serves for one schema only.
    for (const { id, body, answers } of operations) {
      const unnamed = (schemas: readonly unknown[], names: object) =>
        new Set(schemas.filter((s) => s !== undefined && !Object.values(names).includes(s))).size
      expect([id, unnamed(Object.values(body?.types ?? {}), requestNames)]).not.toEqual([id, 2])
      expect([
        id,
        unnamed(
          answers.map((a) => a.schema),
          answerNames,
        ),
      ]).not.toEqual([id, 2])
    }
    const { schemas } = document.components
    const refs = [...parts(document)].filter(([at]) => at.endsWith('/$ref')).map(([, to]) => String(to))
    const used = new Set(refs.filter((r) => r.startsWith('#/components/schemas/')).map((r) => r.split('/').at(-1)))
    expect([...used].sort()).toEqual(Object.keys(schemas).sort())
  })

  it('states the version of the package', () => {
    const manifest = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
      version: string
    }
    expect(version).toBe(manifest.version)
  })
})

/**
 * The documents about the interface itself, open to everybody: the OpenAPI document, the reference page, the problem codes.
 * Never here: what they say (shared/openapi.ts, workers/docs-page.ts).
 */
import { Hono } from 'hono'
import { openApiOf } from '../shared/openapi.ts'
import type { App } from './context.ts'
import { docsPage, problemsPage } from './docs-page.ts'
import { openPage } from './page.ts'

export const documents = new Hono<App>()

const openApi = once(openApiOf)
const docs = once(docsPage)
const problems = once(problemsPage)

documents.get('/openapi.json', (c) => {
  const servers = [{ url: new URL(c.req.url).origin }]
  return c.json({ ...openApi(), servers }, 200, { 'Cache-Control': 'no-cache' })
})
documents.get('/docs', () => openPage(docs()))
documents.get('/problems', () => openPage(problems()))

// Made when first asked for, and once per isolate: ten milliseconds that neither the start nor a crawler should cost.
function once<T>(make: () => T): () => T {
  let made: T | undefined
  return () => {
    made ??= make()
    return made
  }
}

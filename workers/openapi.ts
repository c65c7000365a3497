/**
 * The documents about the interface itself, open to everybody: the OpenAPI document, the reference page, the problem codes.
 * Never here: what they say (shared/openapi.ts, workers/docs-page.ts).
 */
import { Hono } from 'hono'
import { toBase64 } from '../shared/base64.ts'
import { openApiOf } from '../shared/openapi.ts'
import type { App } from './context.ts'
import { docsPage, problemsPage, style } from './docs-page.ts'

export const documents = new Hono<App>()

const openApi = once(openApiOf)
const docs = once(docsPage)
const problems = once(problemsPage)

documents.get('/openapi.json', (c) => {
  const servers = [{ url: new URL(c.req.url).origin }]
  return c.json({ ...openApi(), servers }, 200, { 'Cache-Control': 'no-cache' })
})
documents.get('/docs', () => htmlResponse(docs()))
documents.get('/problems', () => htmlResponse(problems()))

// Made when first asked for, and once per isolate: ten milliseconds that neither the start nor a crawler should cost.
function once<T>(make: () => T): () => T {
  let made: T | undefined
  return () => {
    made ??= make()
    return made
  }
}

// The pages load nothing and run nothing; should something ever slip into them, the browser will not load or run it either.
async function htmlResponse(page: string): Promise<Response> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(style)))
  const policy = `default-src 'none'; style-src 'sha256-${toBase64(hash)}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
  return new Response(page, {
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': policy,
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      'Cache-Control': 'no-cache',
    },
  })
}

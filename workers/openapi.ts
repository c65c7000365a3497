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

documents.get('/openapi.json', (c) =>
  c.json(openApiOf(new URL(c.req.url).origin), 200, { 'Cache-Control': 'no-cache' }),
)
documents.get('/docs', () => htmlResponse(docsPage()))
documents.get('/problems', () => htmlResponse(problemsPage()))

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

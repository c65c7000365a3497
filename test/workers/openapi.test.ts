/**
 * What the document says and what the server does are the same. The answers of every other test in this folder are held to
 * the document too (test/workers/gateway.ts).
 */
import { describe, expect, it } from 'vitest'
import { operations } from '../../shared/api.ts'
import { faultCodes } from '../../shared/fault-examples.ts'
import { buildApp } from '../../workers/app.ts'
import { call } from './gateway.ts'

// The app is only asked for its routes.
const app = buildApp(new Map(), () => {
  throw new Error('no platform is needed to list routes')
})

/** For people with a browser and a session, not for programs with a key: test/workers/pages.test.ts. */
const pages = [
  'GET /login',
  'POST /login',
  'POST /logout',
  'GET /m',
  'GET /m/{delivery}',
  'GET /m/{delivery}/graph',
  'GET /w/{workflow}',
  'GET /a/{approval}',
  'POST /a/{approval}',
  'GET /d/{document}',
]

/** `METHOD /path/{parameter}`, of handlers; middleware answers to ALL. */
const served = app.routes
  .filter(({ method }) => method !== 'ALL')
  .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
const told = operations.map(({ method, path }) => `${method.toUpperCase()} ${path}`)

describe('the table of operations', () => {
  it('tells every route that is registered, but the pages for people (TB25)', () => {
    expect(served.filter((route) => !told.includes(route)).sort()).toEqual(pages.sort())
  })

  it('tells none that is not', () => {
    expect(told.filter((route) => !served.includes(route))).toEqual([])
  })

  it('is told to a stranger without a key: what is refused is refused for the key, not for the path', async () => {
    for (const { method, path, who } of operations) {
      const { status } = await call(method.toUpperCase(), path.replaceAll(/\{\w+\}/g, 'x'), { key: null })
      expect([method, path, status]).toEqual([method, path, who === 'anyone' ? 200 : 401])
    }
  })
})

describe('a wrong method', () => {
  it('is 405 and told which methods there are, for every path', async () => {
    for (const path of new Set(operations.map((o) => o.path))) {
      const allow = operations.filter((o) => o.path === path).map((o) => o.method.toUpperCase())
      const wrong = allow.includes('PATCH') ? 'PUT' : 'PATCH'
      const { status, headers, body } = await call(wrong, path.replaceAll(/\{\w+\}/g, 'x'))
      expect([path, status, body.code]).toEqual([path, 405, 'method_not_allowed'])
      for (const method of allow) expect(headers.get('Allow')).toContain(method)
    }
  })
})

describe('the documents', () => {
  it('/openapi.json is OpenAPI 3.1 and says where it was asked for', async () => {
    const { body } = await call('GET', '/openapi.json', { key: null })
    expect(body).toMatchObject({ openapi: '3.1.1', servers: [{ url: 'http://switchboard.test' }] })
    expect(Object.keys(body.paths).sort()).toEqual([...new Set(operations.map((o) => o.path))].sort())
  })

  it('/docs shows every operation and every link within it leads somewhere', async () => {
    const { body, headers } = await call('GET', '/docs', { key: null })
    const page = String(body)
    const anchors = new Set([...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id))
    for (const { id } of operations) expect(anchors).toContain(id)
    for (const [, to] of page.matchAll(/href="#([^"]+)"/g)) expect(anchors).toContain(to)
    for (const [, to] of page.matchAll(/href="\/problems#([^"]+)"/g)) expect(faultCodes).toContain(to)
    expect(headers.get('Content-Type')).toBe('text/html; charset=utf-8')
  })

  it('/problems explains every code at the anchor that a problem’s type names (A121)', async () => {
    const { body } = await call('GET', '/problems', { key: null })
    for (const code of faultCodes) expect(body).toContain(`<article id="${code}">`)
    const { body: problem } = await call('GET', '/v1/agents', { key: null })
    expect(problem.type).toBe('/problems#unauthenticated')
  })

  it('load and run nothing: the policy allows the page’s own style and no more', async () => {
    for (const path of ['/docs', '/problems']) {
      const { body, headers } = await call('GET', path, { key: null })
      const page = String(body)
      expect(page).not.toMatch(/<(script|link|img|iframe|form)\b|<[^>]+\s(on\w+|style|src|href=.(?![/#]))/i)
      const [, style = ''] = /<style>([\s\S]*?)<\/style>/.exec(page) ?? []
      const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(style)))
      const policy = headers.get('Content-Security-Policy')
      expect(policy).toContain("default-src 'none'")
      expect(policy).toContain(`'sha256-${btoa(String.fromCharCode(...hash))}'`)
    }
  })
})

/**
 * Who is logged in: the pages for people take a session in place of a key, as a cookie. Never here: what a session is
 * (shared/session.ts), the form (workers/routes/session.ts).
 */
import type { Context, MiddlewareHandler } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import { limits } from '../shared/limits.ts'
import { isSession, openSession } from '../shared/session.ts'
import { isLoopback } from '../shared/webhook-url.ts'
import type { App } from './context.ts'

/** To the form, which leads back here; nobody without a session sees a page. */
export const requireSession: MiddlewareHandler<App> = async (c, next) => {
  const { adminKey } = c.get('platform').settings
  const session = getCookie(c, cookieOf(c).name)
  if (adminKey === undefined || session === undefined || !isSession(session, adminKey, c.get('platform').now()))
    return c.redirect(`/login?next=${encodeURIComponent(c.req.path)}`, 303)
  return next()
}

/** Gives the browser a session of the admin key. */
export function logIn(c: Context<App>, adminKey: string): void {
  const platform = c.get('platform')
  const session = openSession(adminKey, platform.now() + limits.sessionSeconds * 1_000, platform.token())
  const { name, secure } = cookieOf(c)
  setCookie(c, name, session, { ...attributes, secure, maxAge: limits.sessionSeconds })
}

export function logOut(c: Context<App>): void {
  const { name, secure } = cookieOf(c)
  deleteCookie(c, name, { ...attributes, secure })
}

const attributes = { path: '/', httpOnly: true, sameSite: 'Strict' } as const

// `__Host-`: the browser takes it from this very host only, and over https. On loopback in development there is no https.
function cookieOf(c: Context<App>): { readonly name: string; readonly secure: boolean } {
  const { protocol, hostname } = new URL(c.req.url)
  const plain = c.get('platform').settings.development && protocol === 'http:' && isLoopback(hostname)
  return plain ? { name: 'switchboard_session', secure: false } : { name: '__Host-switchboard_session', secure: true }
}

/** Was this form sent from a page of ours? Browsers say where a form comes from; what says nothing is no browser. */
export function isOwnForm(c: Context<App>): boolean {
  const origin = c.req.header('origin')
  if (origin !== undefined) return origin === new URL(c.req.url).origin
  const site = c.req.header('sec-fetch-site')
  return site === undefined || site === 'same-origin'
}

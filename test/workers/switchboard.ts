/**
 * A Switchboard of a test's own, over the same storage as everybody's: for another clock, other settings, or peers that answer
 * as the test says. Its isolate's memory is fresh. Never here: parts of ours that are replaced; only what the platform gives is.
 */
import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import type { FetchedAnswer, Platform } from '../../shared/ports.ts'
import type { AnyAgent } from '../../workers/define.ts'
import { createSwitchboard } from '../../workers/switchboard.ts'
import { type Answered, adminKey, type Sent } from './gateway.ts'

export interface Own {
  readonly agents?: readonly AnyAgent[]
  readonly workflows?: Readonly<Record<string, unknown>>
  /** Laid over the platform's ports. */
  readonly ports?: (platform: Platform) => Partial<Platform>
  readonly env?: Readonly<Record<string, unknown>>
}

export type OwnCall = (method: string, path: string, sent?: Sent) => Promise<Answered>

export function ownSwitchboard({ agents = [], workflows = {}, ports = () => ({}), env: more = {} }: Own = {}): OwnCall {
  const { fetch } = createSwitchboard({
    agents,
    workflows,
    ports: (platform) => ({ ...platform, ...ports(platform) }),
  })
  return async (method, path, sent = {}) => {
    const headers = new Headers(sent.headers)
    if (sent.key !== null) headers.set('Authorization', `Bearer ${sent.key ?? adminKey}`)
    if (sent.json !== undefined) headers.set('Content-Type', 'application/json')
    const body = sent.json === undefined ? (sent.body ?? null) : JSON.stringify(sent.json)
    const init = { method, headers, body, ...(sent.signal && { signal: sent.signal }) }
    const request = new Request(`http://switchboard.test${path}`, init)
    const ctx = createExecutionContext()
    // The handler's type wants the request as workerd made it; one that a test makes has no `cf`.
    const response = await fetch(request as Parameters<typeof fetch>[0], { ...env, ...more } as Env, ctx)
    await waitOnExecutionContext(ctx)
    const text = await response.text()
    const json = /json/.test(response.headers.get('Content-Type') ?? '')
    return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text }
  }
}

/** A clock that stands until it is moved. */
export function stoppedClock(at = Date.now()) {
  const clock = { at, now: () => clock.at }
  return clock
}

/** What a webhook answers, as fetch gives it. */
export function answer(status: number, body: unknown = '', headers: Record<string, string> = {}): FetchedAnswer {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return new Response([204, 304].includes(status) ? null : text, { status, headers })
}

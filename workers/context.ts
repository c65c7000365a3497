/**
 * What every route finds in Hono's context. Only types. Never here: filling it in (workers/app.ts).
 */
import type { Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import type { Meter } from '../shared/publish-rate.ts'
import type { AnyAgent } from './define.ts'
import type { Shipped } from './definitions.ts'

/** The agents that run inside this Worker, by name (workers/handlers.ts). */
export type Handlers = ReadonlyMap<string, AnyAgent>

export type App = {
  Bindings: Env
  Variables: {
    platform: Platform
    /** Who calls, as proved by a key or a signature. Set on every route under /v1. */
    principal: Principal
    /** What it may publish. The admin's key is not counted. */
    meter?: Meter
    handlers: Handlers
    /** The definitions of workflows that are in this Worker's code. */
    shipped: Shipped
    /** The webhook-id of a signed call: serves as its idempotency key when the caller gave none. */
    idempotencyKey?: string
    /** The body of a signed call, already read because its bytes were verified. `readBytes` starts from it. */
    rawBody?: Uint8Array
  }
}

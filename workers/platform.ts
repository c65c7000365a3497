/**
 * The platform's ports, made of what Cloudflare gives one invocation. The only file of `workers/` that touches a clock, dice,
 * stubs or fetch. Never here: a decision.
 */
import type { AgentPort } from '../shared/agent-port.ts'
import type { ApprovalsPort } from '../shared/approval-port.ts'
import { Bell } from '../shared/bell.ts'
import type { DeadLettersPort } from '../shared/dead-letter.ts'
import type { DirectoryPort } from '../shared/directory.ts'
import type { DocumentPort } from '../shared/document.ts'
import { gatherPlace } from '../shared/gather-place.ts'
import type { GatherPort, RequestsPort } from '../shared/gather-port.ts'
import { limits } from '../shared/limits.ts'
import type { ChancePort, Isolate, Platform, QueuePort } from '../shared/ports.ts'
import type { PromisePort } from '../shared/promise.ts'
import type { PublicationPort } from '../shared/publication.ts'
import type { Reference, WorkReference } from '../shared/reference.ts'
import type { ResourcePort } from '../shared/resource.ts'
import type { SchedulesPort } from '../shared/schedule.ts'
import { collectorHeaders } from '../shared/span.ts'
import type { WorkflowIndexPort } from '../shared/workflow-index.ts'
import type { WorkflowPort } from '../shared/workflow-port.ts'
import { InvocationLog } from './log.ts'
import { type Audiences, remembering } from './remember.ts'
import { Trace } from './trace.ts'

/** What is used of an invocation's context. */
export interface Invocation {
  waitUntil(work: Promise<unknown>): void
}

/** The agents that live in this Worker, as far as a platform has to do with them. */
export interface Roster {
  /** What this isolate remembers of whom publishes to many are for. */
  readonly audiences: Audiences
  enrol(platform: Platform, name: string): Promise<boolean>
  enrolAll(platform: Platform): Promise<void>
}

/** An object did not answer. Whether the call took effect is not known; its token makes a repeat safe. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable'
  readonly what: string

  constructor(what: string, cause: unknown) {
    super(`${what} did not answer: ${String(cause)}`)
    this.what = what
  }
}

/** What is the same for every invocation of an isolate: made once, because an invocation is short. */
type Lasting = Omit<
  Platform,
  'waitUntil' | 'enrolHandler' | 'enrolHandlers' | 'log' | 'ended' | 'isolate' | 'allowance' | 'bell' | 'tracing'
>
const lasting = new WeakMap<Roster, { readonly env: Env; readonly shared: Lasting }>()

/** Waits before a call is tried again. */
type Pause = (tries: number) => Promise<void>

const callTries = 3
const callPauseMs = 50

/** One platform for one invocation. */
export function platformOf(env: Env, invocation: Invocation, roster: Roster, isolate: Isolate): Platform {
  const known = lasting.get(roster)
  const shared = known?.env === env ? known.shared : lastingOf(env, roster)
  if (known?.env !== env) lasting.set(roster, { env, shared })
  const log = new InvocationLog((line, level) => console[level](line), shared.after)
  const platform: { -readonly [K in keyof Platform]: Platform[K] } = {
    ...shared,
    waitUntil: (work) => invocation.waitUntil(log.during(work)),
    enrolHandler: (name) => roster.enrol(platform, name),
    enrolHandlers: () => roster.enrolAll(platform),
    log: (step, ids) => log.note({ step, at: Date.now(), ...ids }),
    ended: () => log.end(),
    isolate,
    allowance: { legs: limits.legsPerInvocation },
    bell: new Bell(),
  }
  const collector = env.SWITCHBOARD_OTLP_URL ?? ''
  if (collector !== '')
    platform.tracing = new Trace(platform, {
      url: collector,
      headers: collectorHeaders(env.SWITCHBOARD_OTLP_HEADERS ?? ''),
    })
  return platform
}

function lastingOf(env: Env, roster: Roster): Lasting {
  const pause: Pause = (tries) =>
    new Promise<void>((resolve) => setTimeout(resolve, callPauseMs * 4 ** (tries - 1) * (0.5 + Math.random())))
  const directory = persistent<DirectoryPort>(
    'directory',
    () => env.DIRECTORY.getByName('all') as unknown as DirectoryPort,
    pause,
  )
  return {
    ...chance,
    ...objectsOf(env, pause),
    directory: () => remembering(directory, roster.audiences, chance.now),
    deliveries: env.DELIVERIES as QueuePort<Reference>,
    work: env.WORK as QueuePort<WorkReference>,
    fetch: (url, init) => fetch(url, init),
    after: (ms, then) => {
      const timer = setTimeout(then, ms)
      return () => clearTimeout(timer)
    },
    settings: {
      adminKey: env.SWITCHBOARD_ADMIN_KEY === '' ? undefined : env.SWITCHBOARD_ADMIN_KEY,
      development: env.SWITCHBOARD_DEV === '1',
      patienceMs: Number(env.SWITCHBOARD_PATIENCE_SECONDS || 0) * 1_000,
    },
    bindings: env as unknown as Readonly<Record<string, unknown>>,
  }
}

/** The objects by name, but for the directory, of which the isolate remembers much. */
function objectsOf(env: Env, pause: Pause) {
  return {
    agent: (name) => persistent<AgentPort>('mailbox', () => env.AGENTS.getByName(name) as unknown as AgentPort, pause),
    deadLetters: () =>
      persistent<DeadLettersPort>(
        'dead letter index',
        () => env.DEAD_LETTERS.getByName('all') as unknown as DeadLettersPort,
        pause,
      ),
    publication: (id) =>
      persistent<PublicationPort>(
        'publication',
        () => env.PUBLICATIONS.getByName(id) as unknown as PublicationPort,
        pause,
      ),
    gather: (id) => {
      const place = gatherPlace(id)
      return place.kind === 'mailbox'
        ? persistent<GatherPort>('mailbox', () => env.AGENTS.getByName(place.agent) as unknown as GatherPort, pause, {
            via: 'gather',
            id,
          })
        : persistent<GatherPort>('gather', () => env.GATHERS.getByName(place.name) as unknown as GatherPort, pause, {
            id,
          })
    },
    requests: (owner) =>
      persistent<RequestsPort>(
        'list of requests',
        () => env.REQUESTS.getByName(owner) as unknown as RequestsPort,
        pause,
      ),
    schedules: () =>
      persistent<SchedulesPort>('schedules', () => env.SCHEDULES.getByName('all') as unknown as SchedulesPort, pause),
    approvals: () =>
      persistent<ApprovalsPort>('approvals', () => env.APPROVALS.getByName('all') as unknown as ApprovalsPort, pause),
    promise: (id) =>
      persistent<PromisePort>('promise', () => env.PROMISES.getByName(id) as unknown as PromisePort, pause),
    document: (id) =>
      persistent<DocumentPort>('document', () => env.DOCUMENTS.getByName(id) as unknown as DocumentPort, pause),
    resource: (name) =>
      persistent<ResourcePort>('resource', () => env.RESOURCES.getByName(name) as unknown as ResourcePort, pause),
    workflow: (id) =>
      persistent<WorkflowPort>('workflow', () => env.WORKFLOWS.getByName(id) as unknown as WorkflowPort, pause),
    workflowIndex: () =>
      persistent<WorkflowIndexPort>(
        'index of workflows',
        () => env.WORKFLOW_INDEX.getByName('all') as unknown as WorkflowIndexPort,
        pause,
      ),
  } satisfies Partial<Platform>
}

type Remote = Record<string | symbol, (...args: unknown[]) => Promise<unknown>>

/**
 * A port that tries again. Every changing call carries a token, so a call that took effect and lost its answer is safe to
 * repeat. A fresh stub each time: after an exception the old one may be broken. An overloaded object is left alone. `one`: which of
 * several things that the object has, by the object's own methods, or `via` one that is told the method.
 */
export function persistent<Port extends object>(
  what: string,
  stub: () => Port,
  pause: Pause,
  one?: { readonly id: string; readonly via?: string },
): Port {
  return new Proxy({} as Port, {
    get: (_, method) => {
      const called = one?.via ?? method
      const first = one === undefined ? [] : one.via === undefined ? [one.id] : [method, one.id]
      return async (...args: unknown[]) => {
        for (let tries = 1; ; tries++) {
          try {
            // Called as a method, in one expression: `apply` and `call` would themselves be taken for remote methods.
            return await (stub() as Remote)[called]?.(...first, ...args)
          } catch (error) {
            const overloaded =
              typeof error === 'object' && error !== null && 'overloaded' in error && error.overloaded === true
            if (tries >= callTries || overloaded) throw new Unavailable(what, error)
            await pause(tries)
          }
        }
      }
    },
  })
}

const chance: ChancePort = {
  now: () => Date.now(),
  random: () => Math.random(),
  token: () => base64url(bytes(16)),
  uuidv7: () => uuidv7(Date.now(), bytes(10)),
  hex: (n) => hex(bytes(n)),
}

// Ids come out of a pool that the platform fills for many of them at once: each question costs more than its bytes. Keys and secrets do not.
const pool = new Uint8Array(1_024)
const idBytes = 16
let used = pool.length

function bytes(n: number): Uint8Array {
  if (n > idBytes) return crypto.getRandomValues(new Uint8Array(n))
  if (used + n > pool.length) {
    crypto.getRandomValues(pool)
    used = 0
  }
  used += n
  return pool.slice(used - n, used)
}

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

function hex(data: Uint8Array): string {
  let text = ''
  for (const byte of data) text += hexOfByte[byte]
  return text
}

function base64url(data: Uint8Array): string {
  return btoa(String.fromCharCode(...data))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}

/** RFC 9562, 5.7: 48 bits of milliseconds, then version, variant and 74 random bits. */
export function uuidv7(atMs: number, random: Uint8Array): string {
  const tail = hex(random)
  const time = atMs.toString(16).padStart(12, '0')
  const variant = ((Number.parseInt(tail.slice(3, 4), 16) & 0x3) | 0x8).toString(16)
  return `${time.slice(0, 8)}-${time.slice(8)}-7${tail.slice(0, 3)}-${variant}${tail.slice(4, 7)}-${tail.slice(7, 19)}`
}

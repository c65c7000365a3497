/**
 * Who may do what. A principal is what a key proved; its permissions are patterns. Never here: keys (durable-objects/directory.ts).
 */
import * as z from 'zod'
import { limits } from './limits.ts'
import { isReserved, reservedPrefix } from './topic.ts'

const patterns = z.array(z.string().min(1).max(limits.topicLength)).max(limits.permissionPatterns)

/** What PUT /v1/agents/{agent} and POST /v1/keys take: every part optional. `*` alone matches everything; a trailing `*` matches the rest. */
export const permissionsInput = z.strictObject({
  send: patterns.optional(),
  publish: patterns.optional(),
  subscribe: patterns.optional(),
  readState: patterns.optional(),
  writeState: patterns.optional(),
  sources: patterns.optional(),
})
export type PermissionsInput = z.infer<typeof permissionsInput>

/** Stored patterns, parsed as the network's are. */
export const readPatterns = (stored: unknown): readonly string[] => patterns.parse(JSON.parse(String(stored)))

export const permissionsSchema = permissionsInput.required()
export type Permissions = z.infer<typeof permissionsSchema>

export const principalSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('admin') }),
  z.strictObject({
    ...{ kind: z.literal('agent'), name: z.string(), permissions: permissionsSchema },
    /** When this incarnation of it was registered. Absent: that is not known of the caller. */
    since: z.number().exactOptional(),
  }),
  z.strictObject({ kind: z.literal('app'), name: z.string(), permissions: permissionsSchema }),
  /** With what its creator might do. It sends; it never calls. */
  z.strictObject({ kind: z.literal('workflow'), id: z.string(), permissions: permissionsSchema }),
])
export type Principal = z.infer<typeof principalSchema>

/**
 * Everything but operating other agents; and it may speak only as itself. What is left out of a change stays as it was `before`, so that
 * nobody is given more by a call that says nothing of it.
 */
export function resolvePermissions(ownSource: string, input: PermissionsInput = {}, before?: Permissions): Permissions {
  return {
    send: input.send ?? before?.send ?? ['*'],
    publish: input.publish ?? before?.publish ?? ['*'],
    subscribe: input.subscribe ?? before?.subscribe ?? ['*'],
    readState: input.readState ?? before?.readState ?? ['*'],
    writeState: input.writeState ?? before?.writeState ?? ['*'],
    sources: input.sources ?? before?.sources ?? [ownSource],
  }
}

/** What all of these allow together: of the keys of one app, each brings what it may. */
export function permissionsOfAny(all: readonly Permissions[]): Permissions {
  return eachPermission((action) => [...new Set(all.flatMap((one) => one[action]))])
}

/** What both allow. */
export function permissionsOfBoth(one: Permissions, other: Permissions): Permissions {
  return eachPermission((action) =>
    one[action].flatMap((pattern) =>
      covers(other[action], pattern) ? [pattern] : other[action].filter((narrower) => covers([pattern], narrower)),
    ),
  )
}

function eachPermission(patternsOf: (action: keyof Permissions) => string[]): Permissions {
  const [send, publish, subscribe] = [patternsOf('send'), patternsOf('publish'), patternsOf('subscribe')]
  const [readState, writeState, sources] = [patternsOf('readState'), patternsOf('writeState'), patternsOf('sources')]
  return { send, publish, subscribe, readState, writeState, sources }
}

/** What a principal hands on to what it makes: all that it may, but to speak as anybody (S1). */
export function permissionsOf(principal: Principal): Permissions {
  return { ...(principal.kind === 'admin' ? resolvePermissions('admin') : principal.permissions), sources: [] }
}

/** Under this name the broker itself speaks, and nobody else (S1). */
export const brokerSource = reservedPrefix

/** The source that the broker stamps when the publisher claims none (S1). An agent's is its name. */
export function ownSource(principal: Principal): string {
  switch (principal.kind) {
    case 'admin':
      return 'admin'
    case 'agent':
      return principal.name
    case 'app':
      return `app/${principal.name}`
    case 'workflow':
      return `workflow/${principal.id}`
  }
}

export function matches(pattern: string, subject: string): boolean {
  return pattern.endsWith('*') ? subject.startsWith(pattern.slice(0, -1)) : pattern === subject
}

export function allows(principal: Principal, action: Exclude<keyof Permissions, 'sources'>, subject: string): boolean {
  return principal.kind === 'admin' || principal.permissions[action].some((p) => matches(p, subject))
}

/** May this principal send events to a workflow, itself or by having answers go there? A workflow hears what it asked for. */
export function mayTell(principal: Principal, workflow: string): boolean {
  if (principal.kind === 'workflow' && principal.id === workflow) return true
  return allows(principal, 'send', `workflow:${workflow}`) && allows(principal, 'writeState', workflow)
}

/** May this principal say of a message that it belongs to a workflow, whose budget then pays and whose chart is told of refusals? */
export function mayJoin(principal: Principal, workflow: string): boolean {
  if (principal.kind === 'workflow' && principal.id === workflow) return true
  return allows(principal, 'writeState', workflow)
}

/** May this principal publish as `source`? (S1) */
export function maySpeakAs(principal: Principal, source: string): boolean {
  return (
    principal.kind === 'admin' ||
    source === ownSource(principal) ||
    principal.permissions.sources.some((p) => matches(p, source))
  )
}

/** Something that somebody made, and when. */
export interface Made {
  /** The source of whoever made it. */
  readonly source: string
  readonly at: number
}

/** Is it of another agent, that had this one's name before it was registered? A new one inherits nothing. */
export function isOfPredecessor(principal: Principal, { source, at }: Made): boolean {
  return principal.kind === 'agent' && principal.name === source && at < (principal.since ?? 0)
}

/** May this principal do with it what whoever made it may? */
export function maySpeakFor(principal: Principal, made: Made): boolean {
  return maySpeakAs(principal, made.source) && !isOfPredecessor(principal, made)
}

/** Did this principal itself make it? */
export function isMaker(principal: Principal, made: Made): boolean {
  return ownSource(principal) === made.source && !isOfPredecessor(principal, made)
}

/** A receipt is readable by its sender, its addressee and an admin, and nobody else (S2). */
export function mayRead(principal: Principal, delivery: { readonly agent: string; readonly source: string }): boolean {
  if (principal.kind === 'admin') return true
  if (principal.kind === 'agent' && principal.name === delivery.agent) return true
  return maySpeakAs(principal, delivery.source)
}

/** Settling, leasing and operating a mailbox belong to the agent itself and to an admin. */
export function mayOperate(principal: Principal, agent: string): boolean {
  return principal.kind === 'admin' || (principal.kind === 'agent' && principal.name === agent)
}

/**
 * May this principal have `agent` hear what the pattern matches? The broker's own topics need a permission that names them:
 * `*` allows whatever agents tell each other, and no more.
 */
export function maySubscribe(principal: Principal, agent: string, pattern: string): boolean {
  if (principal.kind === 'admin') return true
  if (!mayOperate(principal, agent)) return false
  return covers(principal.permissions.subscribe, pattern)
}

/** Do these permissions to subscribe cover the pattern? */
export function covers(allowed: readonly string[], pattern: string): boolean {
  const granted = allowed.filter((p) => !isReserved(pattern) || p.startsWith(reservedPrefix))
  return granted.some((p) => matches(p, pattern))
}

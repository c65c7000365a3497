/**
 * Scatter: one question to many agents, or many parts of one work.
 *
 *   parse → whom → cut → authorise and conform each leg → open its gather (that write is the 202)
 *
 * Never here: having the legs accepted (workers/gather.ts), what is made of the replies (workers/reduce.ts), HTTP.
 */
import { assigned, type Candidate } from '../shared/chunks.ts'
import { type Fault, issuesOf } from '../shared/fault.ts'
import { type Gather, type GatherOpening, gatherAddress, wasRefused } from '../shared/gather.ts'
import { digest } from '../shared/ids.ts'
import { canonical, utf8Length } from '../shared/json.ts'
import { limits } from '../shared/limits.ts'
import { destinationOf, headOf, type Message, replyDestination } from '../shared/message.ts'
import { isOfPredecessor, ownSource, type Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { err, ok, type Result } from '../shared/result.ts'
import {
  chunksOf,
  isEmpty,
  joinOf,
  type Own,
  partOf,
  scatterId,
  scatterInput,
  splitScatter,
} from '../shared/scatter.ts'
import type { ScatterPlan } from '../shared/scatter-plan.ts'
import { findAgents } from './choose.ts'
import { conform } from './conform.ts'
import { followOne } from './follow.ts'
import { type PublishOptions, prepare, type Routed } from './route.ts'

export interface Scattered {
  readonly gather: Gather
  /** This call opened it, and these are what its legs are sent. Without them it was open already. */
  readonly bodies?: readonly string[]
}

/** Opens a scatter, or finds the one that its key names. An `ok` means that it is stored, and that its legs will be asked. */
export async function scatter(
  platform: Platform,
  principal: Principal,
  raw: unknown,
  options: PublishOptions,
): Promise<Result<Scattered, Fault>> {
  const parsed = scatterInput.safeParse(raw)
  if (!parsed.success) return err({ code: 'invalid_request', issues: issuesOf(parsed.error) })
  const { own, message } = splitScatter(parsed.data)
  const source = typeof message.source === 'string' ? message.source : ownSource(principal)
  const key = options.idempotencyKey ?? (typeof message.id === 'string' ? message.id : undefined)
  const asking: Asking = { platform, principal, options, own, message, id: scatterId(source, key, platform.token()) }
  const known = key === undefined ? undefined : await found(asking)
  if (known !== undefined) return isSame(asking, known) ? ok({ gather: known }) : reused(asking, key)
  const prepared = await openingOf(asking, source, key)
  if (!prepared.ok) return prepared
  const { opening, bodies } = prepared.value
  const opened = await platform.gather(asking.id).open(opening, bodies)
  platform.log('scatter', { gather: asking.id, legs: opening.agents.length, status: opened.status })
  if (opened.status === 'conflict') return reused(asking, key)
  return ok({ gather: opened.gather, ...(opened.status === 'opened' ? { bodies } : {}) })
}

// --- inside -----------------------------------------------------------------------------------------------------------

interface Asking {
  readonly platform: Platform
  readonly principal: Principal
  readonly options: PublishOptions
  readonly own: Own
  readonly message: Readonly<Record<string, unknown>>
  readonly id: string
}

// The repeat of one that was accepted finds it, whoever could be asked by now.
async function found({ platform, id }: Asking): Promise<Gather | undefined> {
  const gather = (await platform.gather(id).report())?.gather
  return gather === undefined || wasRefused(gather) ? undefined : gather
}

function isSame(asking: Asking, { contentHash, owner, openedAt }: Gather): boolean {
  return contentHash === hashOf(asking) && !isOfPredecessor(asking.principal, { source: owner, at: openedAt })
}

function reused({ id }: Asking, key: string | undefined): Result<never, Fault> {
  return err({ code: 'key_reused', key: key ?? id, delivery: id })
}

// What the asker sent, less what names the call and what differs from one try to the next.
function hashOf({ own, message }: Asking): string {
  const { id: _id, time: _time, traceparent: _traceparent, tracestate: _tracestate, ...content } = message
  return digest(canonical({ ...content, ...own }))
}

interface Prepared {
  readonly opening: GatherOpening
  /** What everybody gets, and each leg's chunk. */
  readonly bodies: readonly string[]
}

async function openingOf(asking: Asking, owner: string, key: string | undefined): Promise<Result<Prepared, Fault>> {
  const { platform, own, id } = asking
  if (isEmpty(own)) return err({ code: 'empty_scatter', what: 'items' })
  const candidates = await candidatesOf(asking)
  if (!candidates.ok) return candidates
  const chunks = chunksOf(own, candidates.value.length)
  const count = chunks?.length ?? candidates.value.length
  if (count > limits.scatterLegs) return invalid('items', `make ${count} chunks; at most ${limits.scatterLegs}`)
  const agents =
    chunks === undefined ? candidates.value.map((c) => c.agent) : assigned(count, candidates.value, own.assign)
  const join = joinOf(own, count)
  if (!join.ok) return invalid('join', join.error)
  const common = await commonOf(asking, agents, chunks)
  if (!common.ok) return common
  const plan = await planOf(asking, key)
  if (!plan.ok) return plan
  const descent = await followOne(platform, asking.principal, common.value)
  const opening: GatherOpening = {
    ...{ id, owner, contentHash: hashOf(asking), head: headOf(common.value), hops: descent?.hops ?? 0, path: [] },
    ...(descent === undefined ? {} : { lineage: descent.lineageOf(common.value) }),
    ...{ join: join.value, onTimeout: { kind: 'error' }, timeoutMs: own.deadlineSeconds * 1_000 },
    ...{ agents, scatter: plan.value },
  }
  platform.log('scatter.cut', { gather: id, legs: count, agents: candidates.value.length })
  return ok({ opening, bodies: [JSON.stringify(common.value), ...(chunks ?? []).map((c) => JSON.stringify(c))] })
}

// Those that may be asked, with what they have to do already.
async function candidatesOf({ platform, own }: Asking): Promise<Result<readonly Candidate[], Fault>> {
  const named = Array.isArray(own.to) ? own.to : undefined
  const to = named === undefined ? destinationOf({ to: String(own.to) }) : undefined
  if (to !== undefined && to.kind !== 'agent' && to.kind !== 'capability')
    return invalid('to', 'a scatter asks agents by name, or `capability:<skill>`')
  if (named?.length === 0) return err({ code: 'empty_scatter', what: 'agents' })
  const wanted = to?.kind === 'capability' ? to : { names: named ?? [String(own.to)] }
  const { candidates, unknown } = await findAgents(platform, wanted)
  if (unknown !== undefined) return err({ code: 'agent_not_found', agent: unknown })
  return candidates.length === 0 ? err({ code: 'empty_scatter', what: 'agents' }) : ok(candidates)
}

// Each leg is held to what a publish is held to; kept is only what they have in common.
async function commonOf(
  { platform, principal, options, own, message, id }: Asking,
  agents: readonly string[],
  chunks: readonly (readonly unknown[])[] | undefined,
): Promise<Result<Message, Fault>> {
  for (const name of ['topic', 'chain'])
    if (name in message) return invalid(name, 'is not for a scatter: it asks each of its agents')
  if (message.deliverymode === 'at_most_once') return err({ code: 'not_durable', attribute: 'replyto' })
  const { idempotencyKey: _key, ...trace } = options
  const { type, data } = own
  const whole = { ...message, type, ...(data === undefined ? {} : { data }) }
  const routed: Result<Routed, Fault>[] = []
  let bytes = 0
  for (const [i, to] of agents.entries()) {
    const asked = { ...whole, to, replyto: gatherAddress(id), correlationid: message.correlationid ?? id }
    const part = partOf({ ...asked, id: `${id}.map.${i}` } as unknown as Message, chunks?.[i])
    const prepared = prepare(platform, principal, part, trace)
    if (!prepared.ok) return prepared
    bytes += utf8Length(prepared.value.incoming.body)
    if (bytes > limits.scatterBytes)
      return err({ code: 'too_large', what: 'scatter', limitBytes: limits.scatterBytes, gotBytes: bytes })
    routed.push(prepared)
  }
  for (const judged of await conform(platform, routed)) if (!judged.ok) return judged
  const [first] = routed
  if (first?.ok !== true) return err({ code: 'empty_scatter', what: 'agents' })
  const { data: _data, to: _to, ...common } = first.value.incoming.message
  return ok({ ...common, id, ...(data === undefined ? {} : { data }) })
}

async function planOf(asking: Asking, key: string | undefined): Promise<Result<ScatterPlan, Fault>> {
  const { platform, principal, own } = asking
  const { reduce, replyto, replytype } = own
  const plan = {
    ...(key === undefined ? {} : { asked: key }),
    ...(replyto === undefined ? {} : { replyto }),
    ...(replytype === undefined ? {} : { replytype }),
  }
  if (replyto !== undefined) {
    const allowed = prepare(platform, principal, { ...replyDestination(replyto), type: own.type }, {})
    if (!allowed.ok) return allowed
    if (allowed.value.to.kind === 'gather') return invalid('replyto', 'is an agent, a topic or a workflow')
  }
  if (reduce === undefined) return ok(plan)
  const { to, type, data, onEmpty, timeoutSeconds = own.deadlineSeconds } = reduce
  const allowed = prepare(platform, principal, { to, type }, {})
  if (!allowed.ok) return allowed
  const target = allowed.value.to
  if (target.kind !== 'agent' && target.kind !== 'capability')
    return invalid('reduce.to', 'is an agent’s name, or `capability:<skill>`')
  const wanted = target.kind === 'agent' ? { names: [target.agent] } : target
  const { candidates, unknown } = await findAgents(platform, wanted)
  if (unknown !== undefined) return err({ code: 'agent_not_found', agent: unknown })
  const [agent] = assigned(1, candidates, 'least_loaded')
  if (agent === undefined || agent === '') return err({ code: 'empty_scatter', what: 'agents' })
  const timeoutMs = timeoutSeconds * 1_000
  return ok({ ...plan, reduce: { agent, type, onEmpty, timeoutMs, ...(data === undefined ? {} : { data }) } })
}

function invalid(path: string, message: string): Result<never, Fault> {
  return err({ code: 'invalid_request', issues: [{ path, message }] })
}

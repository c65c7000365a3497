/**
 * Carry out: what a journaled result wants to happen next. Ids are deterministic, so a repeat is a duplicate downstream:
 * that is how done means done once (M2). Every effect ends as carried or refused, and a refusal is told (E1).
 * Never here: deciding what the effects are (shared/effects.ts).
 */
import type { Admission, Incoming } from '../shared/admission.ts'
import type { AgentRecord } from '../shared/agent.ts'
import type { Unfinished } from '../shared/agent-port.ts'
import { deadLetterOfEffect } from '../shared/dead-letter.ts'
import { type Effect, type EffectStatus, endedType } from '../shared/effects.ts'
import { problemOf } from '../shared/fault.ts'
import { judge } from '../shared/lineage.ts'
import { destinationOf } from '../shared/message.ts'
import type { Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { ok, unreachable } from '../shared/result.ts'
import { type CarriedEffect, effectGiveUpMs } from '../shared/upkeep.ts'
import { accept } from './accept.ts'
import { arriveFromJournal, arriveNotice } from './arrive.ts'
import { chargeUsage } from './budget.ts'
import { bury } from './bury.ts'
import { changeWorkflow, tellRefusals } from './change-workflow.ts'
import type { Many } from './choose.ts'
import { conform } from './conform.ts'
import { enqueue } from './enqueue.ts'
import { type Descent, descend } from './follow.ts'
import { passOn } from './pass.ts'
import { publishMany } from './publish-many.ts'
import { receiveFromJournal, receiveNotice } from './receive.ts'
import { prepare, type Routed } from './route.ts'
import { tellStop } from './stop.ts'
import { tellEnd } from './tell-end.ts'

/** Finishes what ended deliveries of one agent left to do. Failures are left to the mailbox's alarm, which asks again. */
export async function carryOut(
  platform: Platform,
  name: string,
  agent: AgentRecord | undefined,
  unfinished: readonly Unfinished[],
): Promise<void> {
  await Promise.all(
    unfinished.map(async (one) => {
      try {
        if (one.burial !== undefined) await bury(platform, name, one.burial)
        if (one.effects.length > 0) await carry(platform, name, agent, one)
      } catch (error) {
        platform.log('carry.failed', { agent: name, delivery: one.id, error: String(error) })
      }
    }),
  )
}

async function carry(platform: Platform, name: string, agent: AgentRecord | undefined, one: Unfinished): Promise<void> {
  const states = new Map<number, EffectStatus>()
  const arrived = (n: number, state: EffectStatus, { message }: Incoming) => {
    states.set(n, state)
    if (state.status === 'carried') platform.tracing?.sent(message)
  }
  const byTarget = new Map<string, { effect: Effect; incoming: Incoming }[]>()
  const toMany: { effect: Effect; to: Many; incoming: Incoming }[] = []
  let descending: Promise<Descent | undefined> | undefined
  const descent = (effect: Effect) => {
    if (!isSpreading(effect)) return undefined
    descending ??= handDown(platform, one)
    return descending
  }
  const begin = async (effect: Effect) => {
    const carrying = carryItself(platform, name, agent, one, effect)
    if (carrying !== undefined) {
      const done = await carrying
      if (done !== undefined) states.set(effect.n, done)
      return
    }
    const prepared =
      agent === undefined
        ? refused('agent_deleted', `${name} was deleted`)
        : await conforming(platform, prepareEffect(platform, agent, one, effect, await descent(effect)))
    if ('status' in prepared) states.set(effect.n, prepared)
    else if (prepared.to.kind === 'gather')
      arrived(
        effect.n,
        await arriveFromJournal(platform, name, one, prepared.to.gather, prepared.incoming),
        prepared.incoming,
      )
    else if (prepared.to.kind === 'workflow') {
      const received = await receiveFromJournal(platform, prepared.to.workflow, one, prepared.incoming)
      if (received !== undefined) arrived(effect.n, received, prepared.incoming)
    } else if (prepared.to.kind !== 'agent') toMany.push({ effect, to: prepared.to, incoming: prepared.incoming })
    else {
      const target = prepared.to.agent
      byTarget.set(target, [...(byTarget.get(target) ?? []), { effect, incoming: prepared.incoming }])
    }
  }
  for (const effect of one.effects)
    if (effect.state.status === 'pending') await alone(platform, one, [effect], states, () => begin(effect))
  await Promise.all(
    [...byTarget].map(([target, items]) =>
      alone(
        platform,
        one,
        items.map((i) => i.effect),
        states,
        () => send(platform, one, target, items, states),
      ),
    ),
  )
  for (const { effect, to, incoming } of toMany)
    await alone(platform, one, [effect], states, async () => {
      const published = await publishMany(platform, to, incoming)
      if (published.ok)
        arrived(effect.n, { status: 'carried', deliveries: published.value.deliveries.map((d) => d.id) }, incoming)
      else states.set(effect.n, refused(published.error.code, problemOf(published.error).body.detail))
    })
  await tell(platform, name, one, states)
}

/** What cannot be carried hides nothing of what can, and is given up and told after a day, whatever the reason (E1). */
async function alone(
  platform: Platform,
  one: Unfinished,
  effects: readonly Effect[],
  states: Map<number, EffectStatus>,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    platform.log('carry.failed', { delivery: one.id, effects: effects.map((e) => e.n), error: String(error) })
    if (platform.now() - one.openedAt < effectGiveUpMs) return
    const given = refused('unavailable', `it could not be carried for a day; the last try failed: ${String(error)}`)
    for (const { n } of effects) if (!states.has(n)) states.set(n, given)
  }
}

async function send(
  platform: Platform,
  one: Unfinished,
  target: string,
  items: readonly { readonly effect: Effect; readonly incoming: Incoming }[],
  states: Map<number, EffectStatus>,
): Promise<void> {
  // The token is the journal's own, so a repeat of this very call is recognised as one.
  const answer = await accept(
    platform,
    target,
    items.map((i) => i.incoming),
    `effects.${one.id}`,
  )
  enqueue(platform, target, answer.references)
  items.forEach(({ effect }, place) => {
    const admission = answer.admissions[place]
    const state = admission === undefined ? undefined : stateOf(target, admission, platform.now() - one.openedAt)
    if (state !== undefined) states.set(effect.n, state)
  })
}

// An effect that is no message of the agent's own; undefined for one that is.
function carryItself(
  platform: Platform,
  name: string,
  agent: AgentRecord | undefined,
  one: Unfinished,
  effect: Effect,
): Promise<EffectStatus | undefined> | undefined {
  const tellWaiting = (notice: Effect) => tellEnding(platform, name, one, notice)
  if (effect.kind === 'notice') return tellWaiting(effect)
  if (effect.kind === 'usage') return chargeUsage(platform, one, effect)
  if (effect.kind === 'pass') return passOn(platform, one, effect, tellWaiting)
  if (agent === undefined || (effect.kind !== 'event' && effect.kind !== 'state')) return undefined
  return changeWorkflow(platform, agent, one, effect)
}

function tellEnding(platform: Platform, name: string, one: Unfinished, effect: Effect) {
  const { to: address, type } = effect.publish
  if (typeof address !== 'string') return tellEnd(platform, one, effect)
  const to = destinationOf({ to: address })
  if (to.kind === 'workflow') return receiveNotice(platform, to.workflow, name, one, effect)
  if (to.kind !== 'agent') return arriveNotice(platform, name, one, effect)
  return type === endedType ? tellEnd(platform, one, effect) : tellStop(platform, to.agent, one, effect)
}

async function handDown(platform: Platform, one: Unfinished): Promise<Descent | undefined> {
  const spreading = one.effects.filter(isSpreading).map((effect) => effect.publish)
  return spreading.length === 0 ? undefined : descend(platform, one, one.id, spreading)
}

/** Does it go to somebody whom it may set to work? Answers to who waits for them lead nowhere by themselves. */
function isSpreading({ kind, state, publish: { to, topic } }: Effect): boolean {
  if (state.status !== 'pending' || (kind !== 'reply' && kind !== 'message')) return false
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined)
  const destination = destinationOf({ to: text(to), topic: text(topic) })
  return destination.kind !== 'gather' && destination.kind !== 'workflow'
}

function prepareEffect(
  platform: Platform,
  agent: AgentRecord,
  one: Unfinished,
  effect: Effect,
  descent: Descent | undefined,
): EffectStatus | Routed {
  // A reply goes where its asker was allowed to send; anything else needs the agent's own permission.
  const speaker: Principal =
    effect.kind === 'reply'
      ? {
          kind: 'agent',
          name: agent.name,
          permissions: { ...agent.permissions, send: ['*'], publish: ['*'], writeState: ['*'] },
        }
      : { kind: 'agent', name: agent.name, permissions: agent.permissions }
  const { tracestate, workflowid } = one.head
  const traceparent = platform.tracing?.within(one.id) ?? one.head.traceparent
  const prepared = prepare(platform, speaker, effect.publish, {
    ...(workflowid === undefined ? {} : { within: workflowid }),
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(tracestate === undefined ? {} : { tracestate }),
  })
  if (!prepared.ok) return refused(prepared.error.code, problemOf(prepared.error).body.detail)
  const { to, incoming } = prepared.value
  const made = { ...incoming, hops: one.hops + 1, brokerMade: true, since: one.since, reserved: true } as const
  if (descent === undefined || to.kind === 'gather' || to.kind === 'workflow') return { to, incoming: made }
  const lineage = descent.lineageOf(incoming.message)
  // Whom it would come to is not known yet: each of their mailboxes judges for itself.
  const trip = to.kind === 'agent' ? undefined : judge(lineage, '', made.hops)
  return trip === undefined ? { to, incoming: { ...made, lineage } } : refused(trip.reason, trip.detail)
}

/** The message that a reply becomes; undefined when it may not be sent. */
export async function prepareReply(platform: Platform, agent: AgentRecord, one: Unfinished, effect: Effect) {
  const prepared = await conforming(platform, prepareEffect(platform, agent, one, effect, undefined))
  return 'status' in prepared ? undefined : prepared.incoming
}

async function conforming(platform: Platform, prepared: EffectStatus | Routed): Promise<EffectStatus | Routed> {
  if ('status' in prepared) return prepared
  const [judged] = await conform(platform, [ok(prepared)])
  if (judged === undefined || judged.ok) return prepared
  return refused(judged.error.code, problemOf(judged.error).body.detail)
}

// `undefined`: still pending, to be tried again.
function stateOf(target: string, admission: Admission, ageMs: number): EffectStatus | undefined {
  switch (admission.status) {
    case 'accepted':
    case 'duplicate':
      return { status: 'carried', deliveries: [admission.id] }
    case 'unknown':
      return refused('agent_not_found', `no agent is registered as ${target}`)
    case 'stopped':
      return { ...refused(admission.trip.reason, admission.trip.detail), delivery: admission.id }
    case 'conflict':
      return refused('key_reused', `${admission.id} holds this id with other content`)
    // Only a publisher's own message is refused so.
    case 'refused':
    case 'full':
      return ageMs < effectGiveUpMs ? undefined : refused('backpressure', `${target} was full for a day`)
    default:
      return unreachable(admission)
  }
}

const refused = (reason: string, detail: string) => ({ status: 'refused', reason, detail }) as const

// What was carried is noted first: no trouble with telling a refusal has it carried again. A refusal becomes a dead letter before the
// journal is told, so that a crash in between repeats it rather than forgets it.
async function tell(
  platform: Platform,
  name: string,
  one: Unfinished,
  states: ReadonlyMap<number, EffectStatus>,
): Promise<void> {
  const known = one.effects.map((e) => ({ ...e, state: states.get(e.n) ?? e.state }))
  const news: CarriedEffect[] = [...states].map(([n, state]) => ({ n, state }))
  const refusals = news.filter(({ state }) => state.status === 'refused')
  const note = async (some: readonly CarriedEffect[]) => {
    const answer = await platform.agent(name).carried(one.id, some)
    enqueue(platform, name, answer.references)
  }
  if (refusals.length > 0 && refusals.length < news.length)
    await note(news.filter(({ state }) => state.status !== 'refused'))
  const letters = known.flatMap((e) => deadLetterOfEffect(name, one.id, one.head, e, platform.now()) ?? [])
  if (letters.length > 0) await platform.deadLetters().bury(letters)
  await tellWorkflow(platform, name, one, known)
  await note(refusals.length > 0 ? refusals : news)
  platform.log('carry', { agent: name, delivery: one.id, effects: known.map((e) => `${e.n} ${e.state.status}`) })
}

// A day to carry, and another one to tell: then the receipt and the dead letter have to do.
async function tellWorkflow(platform: Platform, name: string, one: Unfinished, known: readonly Effect[]) {
  try {
    await tellRefusals(platform, name, one, known)
  } catch (error) {
    if (platform.now() - one.openedAt < 2 * effectGiveUpMs) throw error
    platform.log('tell.failed', { agent: name, delivery: one.id, error: String(error) })
  }
}

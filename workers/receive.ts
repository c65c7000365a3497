/**
 * Receive: a message comes to a workflow, as an event of its statechart. By hand, out of an agent's journal, or as the news that
 * a delivery will not be answered. Never here: what the statechart makes of it (shared/workflow-events.ts).
 */

import type { Incoming } from '../shared/admission.ts'
import type { Unfinished } from '../shared/agent-port.ts'
import type { Asker } from '../shared/asker.ts'
import type { Effect, EffectStatus } from '../shared/effects.ts'
import { type Fault, problemOf } from '../shared/fault.ts'
import { datedKey } from '../shared/ids.ts'
import { limits } from '../shared/limits.ts'
import {
  type OutgoingName,
  outgoingName,
  ownMessage,
  ownName,
  workflowAddress,
  workflowSource,
} from '../shared/outgoing.ts'
import type { Platform } from '../shared/ports.ts'
import { err, ok, type Result, unreachable } from '../shared/result.ts'
import { effectGiveUpMs } from '../shared/upkeep.ts'
import type { Happening } from '../shared/workflow.ts'
import type { Received } from '../shared/workflow-events.ts'
import { contentOf, operationId } from '../shared/workflow-history.ts'
import type { Asked } from '../shared/workflow-port.ts'
import { performSoon } from './perform.ts'
import type { PublishReceipt } from './route.ts'

/** Whoever may publish to it was asked before (workers/route.ts). */
const admitted = (source: string, after?: OutgoingName): Asker => ({
  ...{ source, permitted: true },
  ...(after === undefined ? {} : { after }),
})

/** A message published to a workflow. */
export async function receiveByHand(
  platform: Platform,
  workflow: string,
  incoming: Incoming,
): Promise<Result<PublishReceipt, Fault>> {
  const received = await receive(platform, workflow, happeningOf(incoming), incoming.key, incoming.contentHash)
  if (received.status === 'conflict')
    return err({ code: 'key_reused', key: incoming.key, delivery: workflowAddress(workflow) })
  const fault = faultOf(workflow, received)
  if (fault !== undefined) return err(fault)
  const { status: reception } = received
  if (reception !== 'taken' && reception !== 'ignored' && reception !== 'deferred')
    return err({ code: 'unavailable', what: 'workflow', retryAfterSeconds: 1 })
  return ok({ id: incoming.message.id, deliveries: [], duplicate: 'repeated' in received, reception })
}

/** A reply or a message out of a journal. Undefined: it is tried again, because too many wait for the workflow to be resumed. */
export async function receiveFromJournal(
  platform: Platform,
  workflow: string,
  one: Unfinished,
  incoming: Incoming,
): Promise<EffectStatus | undefined> {
  const after = ownMessage(workflow, one.head)
  const happening = happeningOf(incoming, after)
  const asker = admitted(happening.by, after)
  const key = datedKey(incoming.key, one.since)
  const received = await receive(platform, workflow, happening, key, incoming.contentHash, asker)
  if (received.status === 'full' && platform.now() - one.openedAt < effectGiveUpMs) return undefined
  const fault = faultOf(ownName({ id: workflow, ...after }), received)
  if (fault === undefined) return { status: 'carried', deliveries: [] }
  return { status: 'refused', reason: fault.code, detail: problemOf(fault).body.detail }
}

/** The news that a delivery will not be answered comes as `agent_error`. Whoever no longer waits for it need not be told. */
export async function receiveNotice(
  platform: Platform,
  workflow: string,
  agent: string,
  one: Unfinished,
  { publish }: Effect,
): Promise<EffectStatus | undefined> {
  const { traceparent } = one.head
  const after = ownMessage(workflow, one.head)
  const happening: Happening = {
    ...{ type: 'agent_error', data: publish.data, by: agent, id: String(publish.id) },
    ...(traceparent === undefined ? {} : { traceparent }),
    ...aboutOf(after),
  }
  const key = datedKey(String(publish.id), one.since)
  const content = contentOf(publish.data ?? null)
  const received = await receive(platform, workflow, happening, key, content, admitted(agent, after))
  const waits = received.status === 'full' && platform.now() - one.openedAt < effectGiveUpMs
  return waits ? undefined : { status: 'carried', deliveries: [] }
}

/**
 * An effect of an agent's answer that was refused for good is told to the workflow that it belongs to. Throws when that has no room
 * for it: it is told again.
 */
export async function receiveRefusal(
  platform: Platform,
  workflow: string,
  agent: string,
  one: Unfinished,
  id: string,
  data: unknown,
): Promise<void> {
  const happening: Happening = { type: 'effect_refused', data, by: agent, id }
  const asker = admitted(agent, ownMessage(workflow, one.head))
  const key = datedKey(`${id}-refused`, one.since)
  const received = await receive(platform, workflow, happening, key, contentOf(data), asker)
  if (received.status === 'full') throw new Error(`${workflow} has no room for another event`)
}

/** An event that an agent's answer names, without a message. */
export async function receiveEvent(
  platform: Platform,
  workflow: string,
  one: Unfinished,
  event: { readonly type: string; readonly data?: unknown },
  asker: Asker,
  id: string,
): Promise<EffectStatus | undefined> {
  const { traceparent } = one.head
  const happening: Happening = {
    ...{ ...event, by: asker.source, id },
    ...(traceparent === undefined ? {} : { traceparent }),
    ...aboutOf(asker.after),
  }
  const key = datedKey(id, one.since)
  const received = await receive(platform, workflow, happening, key, contentOf(event), asker)
  if (received.status === 'full' && platform.now() - one.openedAt < effectGiveUpMs) return undefined
  const fault = faultOf(ownName({ id: workflow, ...asker.after }), received)
  if (fault === undefined) return { status: 'carried', deliveries: [] }
  return { status: 'refused', reason: fault.code, detail: problemOf(fault).body.detail }
}

/** The end of a scatter. One that came to nothing is an agent's error, so that its state's policy may try again. False: too many wait. */
export async function receiveScatter(
  platform: Platform,
  workflow: string,
  incoming: Incoming,
  owner: string,
  failed: boolean,
): Promise<boolean> {
  const { key, contentHash, message } = incoming
  const after = owner === workflowSource(workflow) ? outgoingName(workflow, message.causationid) : undefined
  const happening = happeningOf(incoming, after)
  const told = failed ? { ...happening, type: 'agent_error' } : happening
  const received = await receive(platform, workflow, told, key, contentHash, admitted(happening.by, after))
  return received.status !== 'full'
}

async function receive(
  platform: Platform,
  workflow: string,
  happening: Happening,
  key: string,
  content: string,
  asker = admitted(happening.by),
): Promise<Asked<Received>> {
  const operation = { id: operationId(happening.by, key), content }
  const received = await platform.workflow(workflow).receive(asker, { happening, operation })
  platform.log('receive', { workflow, by: happening.by, event: happening.type, status: received.status })
  if (received.status === 'taken') performSoon(platform, workflow)
  return received
}

// What a publisher says that it answers is no word of the broker's: whoever writes `agent_error` by hand has nothing sent again.
function happeningOf({ message }: Incoming, after?: OutgoingName): Happening {
  const { type, data, source: by, id, traceparent } = message
  return {
    ...{ type, by, id },
    ...(data === undefined ? {} : { data }),
    ...(traceparent === undefined ? {} : { traceparent }),
    ...aboutOf(after),
  }
}

// The broker's word, not the agent's.
const aboutOf = (after: OutgoingName | undefined) => (after === undefined ? {} : { about: after.n })

function faultOf(workflow: string, received: Asked<Received>): Fault | undefined {
  switch (received.status) {
    case 'taken':
    case 'ignored':
    case 'deferred':
      return undefined
    case 'unknown':
      return { code: 'not_found', what: 'workflow', id: workflow }
    case 'forbidden':
      return { code: 'forbidden', action: 'send to', subject: workflowAddress(workflow) }
    case 'conflict':
      return { code: 'operation_reused', workflow }
    case 'full':
      return { code: 'workflow_full', workflow, max: limits.deferredEvents, retryAfterSeconds: 5 }
    case 'reserved':
      return { code: 'invalid_request', issues: [{ path: 'type', message: '`xstate.` is for the statechart itself' }] }
    case 'no_chart':
      return { code: 'no_statechart', workflow }
    case 'over':
      return { code: 'workflow_over', workflow, ended: received.ended }
    case 'illegal':
      return { code: 'illegal_transition', workflow, from: received.from, event: '', allowed: received.allowed }
    default:
      return unreachable(received)
  }
}

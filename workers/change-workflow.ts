/**
 * Change a workflow: the effects of an agent's answer that are for the workflow its message belongs to. An event of its
 * statechart, a change of its state, and the news that an effect was refused. Never here: messages (workers/effects.ts).
 */

import type { AgentRecord } from '../shared/agent.ts'
import type { Unfinished } from '../shared/agent-port.ts'
import type { Asker } from '../shared/asker.ts'
import { type Effect, type EffectStatus, stateEffect } from '../shared/effects.ts'
import { problemOf } from '../shared/fault.ts'
import { datedKey, effectId } from '../shared/ids.ts'
import { ownMessage, ownName } from '../shared/outgoing.ts'
import { allows, type Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { unreachable } from '../shared/result.ts'
import type { StateChange } from '../shared/versioned.ts'
import { workflowId } from '../shared/workflow.ts'
import { contentOf, operationId } from '../shared/workflow-history.ts'
import { receiveEvent, receiveRefusal } from './receive.ts'
import { faultOf } from './workflow-access.ts'

/** Undefined: still to be done, because too many events wait there. */
export async function changeWorkflow(
  platform: Platform,
  agent: AgentRecord,
  one: Unfinished,
  effect: Effect,
): Promise<EffectStatus | undefined> {
  const workflow = workflowOf(one)
  if (workflow === undefined) return refused('no_workflow', '`workflowid` is not the id of a workflow')
  const speaker: Principal = { kind: 'agent', name: agent.name, permissions: agent.permissions }
  const after = ownMessage(workflow, one.head)
  const asker: Asker = {
    ...{ source: agent.name, permitted: allows(speaker, 'writeState', workflow) },
    ...(after === undefined ? {} : { after }),
  }
  if (effect.kind === 'state') return change(platform, workflow, asker, one, effect)
  const { type, data } = effect.publish
  const event = { type: String(type), ...(data === undefined ? {} : { data }) }
  return receiveEvent(platform, workflow, one, event, asker, effectId(one.id, effect.n))
}

async function change(
  platform: Platform,
  workflow: string,
  asker: Asker,
  one: Unfinished,
  { n, publish }: Effect,
): Promise<EffectStatus> {
  // Journaled by this Worker, and parsed as the network is all the same.
  const asked = stateEffect.parse(publish)
  const stateChange: StateChange =
    'patch' in asked ? { kind: 'merge', patch: asked.patch } : { kind: 'operations', operations: asked.operations }
  const version = 'patch' in asked && asked.ifVersion !== undefined ? asked.ifVersion : 'any'
  const key = datedKey(effectId(one.id, n), one.since)
  const operation = { id: operationId(asker.source, key), content: contentOf(publish) }
  const expectation = { version } as const
  const written = await platform
    .workflow(workflow)
    .write(asker, stateChange, { operation, by: asker.source, expectation })
  platform.log('change', { workflow, delivery: one.id, status: written.status })
  switch (written.status) {
    case 'written':
      return { status: 'carried', deliveries: [] }
    case 'stale':
      return refused('version_mismatch', `expected version ${written.expected}; it is ${written.actual}`)
    case 'refused': {
      const fault = faultOf(workflow, written.fault)
      return refused(fault.code, problemOf(fault).body.detail)
    }
    case 'over':
      return refused('workflow_over', `${workflow} ended as ${written.ended}`)
    case 'conflict':
      return refused('operation_reused', `${one.id}-${n} was another change`)
    case 'unknown':
      return refused('not_found', `there is no workflow ${ownName({ id: workflow, ...asker.after })}`)
    case 'forbidden':
      return refused('forbidden', `${asker.source} may not change ${workflow}`)
    default:
      return unreachable(written)
  }
}

/** Whoever coordinates the work must know what of it will not happen (E1). */
export async function tellRefusals(
  platform: Platform,
  agent: string,
  one: Unfinished,
  effects: readonly Effect[],
): Promise<void> {
  const workflow = workflowOf(one)
  if (workflow === undefined) return
  for (const { n, kind, publish, state } of effects) {
    if (state.status !== 'refused') continue
    const { to, topic, type } = publish
    const what = {
      ...(to === undefined ? {} : { to }),
      ...(topic === undefined ? {} : { topic }),
      ...(type === undefined ? {} : { type }),
    }
    const told = { delivery: one.id, agent, effect: n, kind, ...what, reason: state.reason, detail: state.detail }
    await receiveRefusal(platform, workflow, agent, one, effectId(one.id, n), told)
  }
}

function workflowOf({ head }: Unfinished): string | undefined {
  const parsed = workflowId.safeParse(head.workflowid)
  return parsed.success ? parsed.data : undefined
}

const refused = (reason: string, detail: string): EffectStatus => ({ status: 'refused', reason, detail })

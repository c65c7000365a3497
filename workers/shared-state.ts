/**
 * `ctx.state` of one run of a handler: the shared state of the workflow that its message belongs to. It acts at once, fenced by
 * the lease; the call's place among the handler's own is its operation id, so a re-run finds what the first run wrote.
 * Never here: what a change does (shared/versioned.ts).
 */

import type { AgentRecord } from '../shared/agent.ts'
import type { LeasedDelivery } from '../shared/agent-port.ts'
import type { Asker } from '../shared/asker.ts'
import { type Fault, problemOf } from '../shared/fault.ts'
import { datedKey } from '../shared/ids.ts'
import type { JsonObject } from '../shared/json-pointer.ts'
import { ownMessage } from '../shared/outgoing.ts'
import { allows, type Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { project } from '../shared/projection.ts'
import { unreachable } from '../shared/result.ts'
import { type StateOperation, stateOperations } from '../shared/state-operations.ts'
import type { Expectation, StateChange } from '../shared/versioned.ts'
import { workflowId } from '../shared/workflow.ts'
import { operationId } from '../shared/workflow-history.ts'
import { type SharedState, StateError, type StateSeen } from './define.ts'
import { faultOf } from './workflow-access.ts'

/** Eight tries, 50 ms doubling to 5 s, full jitter: sixteen writers of one record get through. */
const triesMax = 8
const firstPauseMs = 50
const longestPauseMs = 5_000

/** The state as seen by one run. Calls count from 1. */
export class HandlerState implements SharedState {
  readonly #platform: Platform
  readonly #agent: AgentRecord
  readonly #lease: LeasedDelivery
  readonly #signal: AbortSignal
  #ordinal = 0

  constructor(platform: Platform, agent: AgentRecord, lease: LeasedDelivery, signal: AbortSignal) {
    this.#platform = platform
    this.#agent = agent
    this.#lease = lease
    this.#signal = signal
  }

  async read(select?: readonly string[]): Promise<StateSeen> {
    const workflow = this.#workflow()
    const found = await this.#platform.workflow(workflow).state(this.#asker(workflow, 'readState'))
    if (found.status !== 'found') throw this.#absent(workflow, found.status)
    return { version: found.version, state: project(found.state, select).value as JsonObject }
  }

  async update(change: (state: JsonObject) => JsonObject): Promise<StateSeen> {
    const workflow = this.#workflow()
    const operation = this.#operation()
    for (let tries = 1; ; tries++) {
      const asker = this.#asker(workflow, 'writeState')
      const found = await this.#platform.workflow(workflow).state(asker, undefined, operation.id)
      if (found.status !== 'found') throw this.#absent(workflow, found.status)
      // An earlier run got as far as this: what it wrote stands.
      if (found.done !== undefined) return this.#asOf(workflow, asker, found.done.version)
      const next = change(JSON.parse(JSON.stringify(found.state)))
      const whole: StateChange = { kind: 'patch', operations: [{ op: 'replace', path: '', value: next }] }
      const written = await this.#write(workflow, whole, operation, { version: found.version })
      if (!('retryAfterMs' in written)) return written
      if (tries >= triesMax) throw new StateError('version_mismatch', `others were faster ${triesMax} times`)
      const spreadMs = Math.max(written.retryAfterMs, Math.min(longestPauseMs, firstPauseMs * 2 ** (tries - 1)))
      await this.#pause(this.#platform.random() * spreadMs)
    }
  }

  async apply(operations: readonly unknown[]): Promise<StateSeen> {
    const workflow = this.#workflow()
    const operation = this.#operation()
    const parsed = stateOperations.safeParse(operations)
    if (!parsed.success) throw new StateError('invalid_request', parsed.error.issues.map((i) => i.message).join('; '))
    const change = { kind: 'operations', operations: parsed.data as StateOperation[] } as const
    const written = await this.#write(workflow, change, operation, { version: 'any' })
    if ('retryAfterMs' in written) throw new StateError('version_mismatch', 'operations never conflict')
    return written
  }

  async #write(
    workflow: string,
    change: StateChange,
    operation: { readonly id: string; readonly content: string },
    expectation: Expectation,
  ): Promise<StateSeen | { readonly retryAfterMs: number }> {
    await this.#requireLease()
    const asker = this.#asker(workflow, 'writeState')
    const port = this.#platform.workflow(workflow)
    const written = await port.write(asker, change, { operation, by: asker.source, expectation })
    switch (written.status) {
      case 'written':
        return { version: written.version, state: written.state ?? {} }
      case 'stale':
        return { retryAfterMs: written.retryAfterMs ?? 0 }
      case 'refused':
        throw errorOf(faultOf(workflow, written.fault))
      case 'over':
        throw errorOf({ code: 'workflow_over', workflow, ended: written.ended })
      case 'conflict':
        throw errorOf({ code: 'operation_reused', workflow })
      case 'unknown':
      case 'forbidden':
        throw this.#absent(workflow, written.status)
      default:
        return unreachable(written)
    }
  }

  async #asOf(workflow: string, asker: Asker, version: number): Promise<StateSeen> {
    const found = await this.#platform.workflow(workflow).state(asker, version)
    return { version, state: found.status === 'found' ? found.state : {} }
  }

  // What an earlier run did in this place is done, whatever this one would do: a run that reads anew computes anew.
  #operation() {
    this.#ordinal += 1
    const { id, since } = this.#lease
    const key = datedKey(`${id}/state/${this.#ordinal}`, since)
    return { id: operationId(this.#agent.name, key), content: 'ctx.state' }
  }

  #workflow(): string {
    const parsed = workflowId.safeParse(this.#lease.head.workflowid)
    if (parsed.success) return parsed.data
    throw new StateError('no_workflow', 'the message names no `workflowid`, so there is no shared state')
  }

  #asker(workflow: string, action: 'readState' | 'writeState'): Asker {
    const { name, permissions } = this.#agent
    const speaker: Principal = { kind: 'agent', name, permissions }
    const after = ownMessage(workflow, this.#lease.head)
    return { source: name, permitted: allows(speaker, action, workflow), ...(after === undefined ? {} : { after }) }
  }

  #absent(workflow: string, status: string): StateError {
    if (status === 'forbidden') return errorOf({ code: 'forbidden', action: 'use the state of', subject: workflow })
    return errorOf({ code: 'not_found', what: 'workflow', id: workflow })
  }

  // One that lost its lease is not heard any more: another run may be writing already.
  async #requireLease(): Promise<void> {
    const { id, token } = this.#lease
    if (this.#signal.aborted || !(await this.#platform.agent(this.#agent.name).holds(id, token)))
      throw new StateError('stale_lease', 'this run has lost its lease')
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#platform.after(ms, resolve))
  }
}

function errorOf(fault: Fault): StateError {
  const { body } = problemOf(fault)
  return new StateError(fault.code, body.detail, body)
}

/**
 * Make a promise: may whoever makes it tell whom it names? Then it is stored; that write is the 201. Never here: HTTP
 * (workers/routes/promises.ts), telling its end (workers/tell-promise.ts).
 */
import type { PromiseInput } from '../shared/api-promises.ts'
import type { Fault } from '../shared/fault.ts'
import { digest } from '../shared/ids.ts'
import { canonical } from '../shared/json.ts'
import { replyDestination } from '../shared/message.ts'
import { isOfPredecessor, type Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { type PromiseRecord, promiseId } from '../shared/promise.ts'
import { err, ok, type Result } from '../shared/result.ts'
import { prepare } from './route.ts'
import { makerOf } from './speaker.ts'

export interface MadePromise {
  readonly promise: PromiseRecord
  readonly opened: boolean
}

/** Opens it, or finds the one of its name, or without a name of its `key`. An `ok` means that it is stored. */
export async function makePromise(
  platform: Platform,
  principal: Principal,
  input: PromiseInput,
  key?: string,
): Promise<Result<MadePromise, Fault>> {
  const maker = await makerOf(platform, principal)
  if (maker === undefined)
    return err({ code: 'agent_not_found', agent: principal.kind === 'agent' ? principal.name : '' })
  const { name, timeoutSeconds, resolvers, notify, correlationid } = input
  if (notify !== undefined) {
    const address = { ...replyDestination(notify), type: 'switchboard.promise' }
    const prepared = prepare(platform, principal, address, {})
    if (!prepared.ok) return prepared
  }
  const id = promiseId(maker.owner, { name, key }, platform.token())
  const { status, promise } = await platform.promise(id).open({
    ...maker,
    ...{ id, contentHash: digest(canonical(input)), resolvers, waitsMs: timeoutSeconds * 1_000 },
    ...(name === undefined ? {} : { name }),
    ...(notify === undefined ? {} : { notify }),
    ...(correlationid === undefined ? {} : { correlationid }),
  })
  const isTaken = isOfPredecessor(principal, { source: promise.owner, at: promise.openedAt })
  if (status === 'conflict' || isTaken) return err({ code: 'key_reused', key: name ?? key ?? id, delivery: id })
  platform.log('promise', { promise: id, by: maker.owner, status })
  return ok({ promise, opened: status === 'opened' })
}

/**
 * Askers: clients that want an answer and ask until they are told, and what must hold of every gather, after each step of its
 * object and when a story has come to rest (G1). Never here: who replies (story.ts).
 */
import { type Gather, wasRefused } from '../../shared/gather.ts'
import { canonical } from '../../shared/json.ts'
import { type Principal, resolvePermissions } from '../../shared/permissions.ts'
import type { Platform } from '../../shared/ports.ts'
import type { Receipt } from '../../shared/receipt.ts'
import { express } from '../../workers/express.ts'
import { type AskOptions, ask, awaitReply } from '../../workers/request.ts'
import { asker, must } from './invariants.ts'
import { gathersIn, type ReportOf } from './platform.ts'
import type { SimStorage } from './storage.ts'
import type { World } from './world.ts'

const second = 1_000

export class Askers {
  readonly #world: World
  /** Requests whose asker saw that they were accepted. */
  readonly promised = new Set<string>()
  readonly #outcomes = new Map<string, string>()

  constructor(world: World) {
    this.#world = world
  }

  /** Asks with one id until it is told that it was heard; then waits a while. */
  async ask(makePlatform: () => Platform, to: string): Promise<void> {
    const world = this.#world
    const principal: Principal = { kind: 'agent', name: asker, permissions: resolvePermissions(asker) }
    const waits = world.chance(0.6)
    const json = {
      to,
      id: world.unique('request-'),
      type: 'test',
      data: { depth: world.pick([0, 0, 1]) },
      timeoutSeconds: world.pick([2, 10, 25, 60]),
      whenOpen: world.pick(['wait', 'refuse']),
      onTimeout: world.pick([{ kind: 'error' }, { kind: 'retry', times: 2 }, { kind: 'default', data: { depth: 0 } }]),
    }
    for (let tries = 0; tries < 6; tries++) {
      const platform = makePlatform()
      const take = (...released: Parameters<NonNullable<AskOptions['express']>>) =>
        express(platform, new Map(), ...released)
      const options = { waits, ...(waits ? { express: take } : {}) }
      const answer = ask(platform, principal, json, options).then(
        (asked) => asked,
        () => undefined,
      )
      // The Worker may have died with the question: a client gives up waiting and asks again.
      const told = await Promise.race([answer, world.sleep(3 * second).then(() => undefined)])
      if (told?.ok) {
        const { gather } = told.value
        // One that nobody got is told so, and is not kept.
        if (wasRefused(gather)) return
        this.promised.add(gather.id)
        if (waits)
          await awaitReply(platform, told.value, { seconds: 5, signal: new AbortController().signal }).catch(
            () => undefined,
          )
        if (world.chance(0.1))
          await makePlatform()
            .gather(gather.id)
            .cancel()
            .catch(() => undefined)
        return
      }
      if (told !== undefined && told.error.code !== 'backpressure' && told.error.code !== 'unavailable') return
      await world.sleep(second * (1 + world.random()))
    }
  }

  /** After each step: an outcome stays as it is, and whatever is to be done has an alarm (M6). */
  watch(report: ReportOf, storage: SimStorage): void {
    const kept = gathersIn(storage)
    for (const { id } of kept) this.#watchOne(id, report)
    if (kept.length === 0) return
    const dueAt = Math.min(...kept.map((one) => one.dueAt))
    const at = storage.alarmAt
    const isArmed = at !== null && at <= Math.max(dueAt, this.#world.now)
    must(isArmed, 'M6', () => `of gathers that are kept one is due at ${dueAt}, and the alarm is armed for ${at}`)
  }

  #watchOne(id: string, report: ReportOf): void {
    const gather = report(id)?.gather
    if (gather === undefined) return
    const { outcome } = gather
    const known = this.#outcomes.get(`${id}/${gather.openedAt}`)
    const now = outcome === undefined ? undefined : canonical(outcome)
    must(known === undefined || known === now, 'G1', () => `${id} resolved as ${known}, and then as ${now}`)
    if (now !== undefined) this.#outcomes.set(`${id}/${gather.openedAt}`, now)
  }
}

/** When everything has come to rest. */
export function checkGathers(
  gathers: ReadonlyMap<string, Gather>,
  promised: ReadonlySet<string>,
  receipts: ReadonlyMap<string, Receipt>,
  letters: ReadonlySet<string>,
): void {
  for (const id of promised) must(gathers.has(id), 'M1', () => `request ${id} was accepted and is unknown`)
  for (const gather of gathers.values()) checkGather(gather, receipts)
  for (const receipt of receipts.values()) checkReplies(receipt, gathers, letters)
}

function checkGather(gather: Gather, receipts: ReadonlyMap<string, Receipt>): void {
  const { id, outcome, arrivals, told, legs } = gather
  must(outcome !== undefined, 'G1', () => `${id} never resolved: ${JSON.stringify(gather)}`)
  must(told, 'M1', () => `what follows from ${id} was never told: ${JSON.stringify(gather)}`)
  const counted = arrivals.filter((a) => a.standing === 'counted')
  const replied = outcome?.status === 'replied' && outcome.fallback !== true
  // Of a scatter each leg counts (venture-checks.ts).
  const suffice = gather.scatter !== undefined || counted.length === (replied ? 1 : 0)
  must(suffice, 'G1', () => `${id} ${outcome?.status} with ${counted.length} replies`)
  for (const { delivery } of arrivals) {
    const receipt = receipts.get(delivery ?? '')
    const own = legs.some((l) => l.sends.some((s) => s.delivery === delivery))
    must(own && receipt?.status === 'completed', 'G1', () => `${id} heard ${delivery}, which is ${receipt?.status}`)
  }
}

// G1: what became of a reply is on the replier's receipt as its gather has it, and is no dead letter.
function checkReplies(receipt: Receipt, gathers: ReadonlyMap<string, Gather>, letters: ReadonlySet<string>): void {
  for (const effect of receipt.effects ?? []) {
    const { to, id } = effect.publish
    if (effect.kind !== 'reply' || typeof to !== 'string' || !to.startsWith('gather:')) continue
    must(!letters.has(`${receipt.id}-e${effect.n}`), 'G1', () => `the reply of ${receipt.id} to ${to} is a dead letter`)
    const arrival = gathers.get(to.slice('gather:'.length))?.arrivals.find((a) => a.key === id)
    const standing = effect.state.status === 'carried' ? effect.state.standing : undefined
    must(
      arrival !== undefined && standing === arrival.standing,
      'G1',
      () => `${receipt.id} was told ${JSON.stringify(effect.state)}, and ${to} has ${JSON.stringify(arrival)}`,
    )
  }
}

/** What goes wrong in the stories of single patterns: a mixture of faults, and an invocation that dies at one of its calls. */
import { type Faults, type Invocation, noFaults } from './platform.ts'
import type { World } from './world.ts'

/** Some of everything, always. */
export const trouble: Faults = {
  ...noFaults,
  ...{ callFailsBefore: 0.05, callFailsAfter: 0.05, objectCrash: 0.05, invocationCrash: 0.005, commitFails: 0.03 },
  ...{ queueLoses: 0.2, queueDoubles: 0.2, queueSendFails: 0.1, queueSendHangs: 0.02, queueMaxDelayMs: 2_000 },
  ...{ alarmEarly: 0.2, alarmTwice: 0.2, alarmMaxLateMs: 3_000 },
}

/** Much of some, by chance: a fault that is always there hides what its absence would show. */
export function mixture(world: World): Faults {
  const some = (max: number) => (world.chance(0.5) ? world.random() * max : 0)
  return {
    ...noFaults,
    callFailsBefore: some(0.2),
    callFailsAfter: some(0.2),
    objectCrash: some(0.2),
    invocationCrash: some(0.05),
    queueLoses: some(0.5),
    queueDoubles: some(0.5),
    queueSendFails: some(0.3),
    queueSendHangs: some(0.1),
    alarmEarly: some(0.3),
    alarmTwice: some(0.5),
    commitFails: some(0.1),
  }
}

/** An invocation that dies with its n-th call: before that took effect, or after. */
export class Dying {
  readonly #invocation: Invocation
  readonly #at: number
  readonly #took: 'before' | 'after'
  calls = 0

  constructor(invocation: Invocation, at: number, took: 'before' | 'after') {
    this.#invocation = invocation
    this.#at = at
    this.#took = took
  }

  /** The port, as it has it. */
  port<P extends object>(port: P): P {
    return new Proxy(port, {
      get:
        (target, method) =>
        async (...args: unknown[]) => {
          this.calls += 1
          const last = this.calls === this.#at
          if (last && this.#took === 'before') this.#invocation.alive = false
          if (!this.#invocation.alive) return new Promise(() => undefined)
          // A port is nothing but asynchronous methods.
          const answer = await (target as Record<PropertyKey, (...a: unknown[]) => unknown>)[method]?.(...args)
          if (last) this.#invocation.alive = false
          return this.#invocation.alive ? answer : new Promise(() => undefined)
        },
    })
  }
}

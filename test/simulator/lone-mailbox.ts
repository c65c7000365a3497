/**
 * One agent's object over real SQL, with nothing around it: no queue, no receiver. Its process may die, and it is made anew over the
 * same rows. Never here: what is done to it.
 */
import { AgentObject } from '../../durable-objects/agent.ts'
import type { Registration } from '../../shared/agent.ts'
import { start } from '../shared/mailbox-fixtures.ts'
import { SimStorage } from './storage.ts'

export class LoneMailbox {
  now = start
  readonly storage = new SimStorage()
  /** The deliveries that it would have had sent, and its chores. */
  readonly sent: string[][] = []
  readonly chores: string[][] = []
  /** The requests that it would have had gone on with. */
  readonly asked: string[] = []
  object = this.#made()

  restart(): void {
    this.object = this.#made()
  }

  enrol(registration: Registration, incarnation = 'first'): void {
    this.object.enrol(registration, { name: 'ada', incarnation, secret: 'whsec_c2VjcmV0', trusted: true })
  }

  #made(): AgentObject {
    const context = {
      id: { name: 'ada' },
      storage: this.storage,
      blockConcurrencyWhile: (work: () => Promise<unknown>) => work(),
      abort: () => undefined,
    }
    const queue = (into: string[][]) => ({
      send: async (body: { deliveries?: string[]; gather?: string }) => {
        if (body.deliveries !== undefined) into.push(body.deliveries)
        if (body.gather !== undefined) this.asked.push(body.gather)
      },
    })
    const env = { DELIVERIES: queue(this.sent), WORK: queue(this.chores) }
    return new AgentObject(context as never, env as never, { now: () => this.now, random: () => 0.5 })
  }
}

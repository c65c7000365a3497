/**
 * Switchboard as a contender: agents that are webhooks at the sink, and the calls that its clients make. Never here: a measurement.
 */
import { type Bundle, Host, hostAdminKey } from '../test/system/host.ts'
import { Client } from './client.ts'
import { agentOf, type Contender, dataOf } from './contender.ts'
import { each } from './deployed.ts'
import type { Sink } from './sink.ts'

const depth = 100_000

export class Deployment implements Contender {
  readonly name = 'switchboard'
  readonly host: Host
  readonly client: Client
  readonly #sink: Sink
  /** The agents that are there, by prefix. */
  readonly #enrolled = new Set<string>()

  private constructor(bundle: Bundle, sink: Sink) {
    this.host = new Host(bundle, { quiet: true })
    this.#sink = sink
    this.client = new Client(() => this.host.url ?? '', { authorization: `Bearer ${hostAdminKey}` })
  }

  static async start(bundle: Bundle, sink: Sink): Promise<Deployment> {
    const deployment = new Deployment(bundle, sink)
    await deployment.host.start()
    return deployment
  }

  /** Registered with the policies of everybody, but for a mailbox as deep as a benchmark needs. */
  async enrol(name: string, agent: object = { kind: 'webhook', url: `${this.#sink.url}/${name}` }): Promise<void> {
    if (this.#enrolled.has(name)) return
    const { status, text } = await this.client.send('PUT', `/v1/agents/${name}`, { policy: { depth }, ...agent })
    if (status > 299) throw new Error(`${name}: ${status} ${text}`)
    this.#enrolled.add(name)
  }

  async enrolMany(prefix: string, count: number): Promise<void> {
    await each([...Array(count).keys()], 8, (i) => this.enrol(`${prefix}-${i}`))
  }

  publish(ids: readonly string[], agents: number, text?: string): Promise<void> {
    return this.send(ids, (id) => agentOf(id, agents), text)
  }

  /** One call; each to the agent that `to` says. */
  async send(ids: readonly string[], to: (id: string) => string, text?: string): Promise<void> {
    const [first] = ids
    if (ids.length === 1 && first !== undefined) {
      await this.client.post('/v1/messages', messageTo(to(first), first, text))
      return
    }
    const answer = await this.client.post(
      '/v1/messages/batch',
      ids.map((id) => messageTo(to(id), id, text)),
    )
    // A batch answers 200 whatever became of each.
    const { results } = JSON.parse(answer) as { results: readonly { status: number }[] }
    const refused = results.find(({ status }) => status !== 202)
    if (refused !== undefined) throw new Error(JSON.stringify(refused))
  }

  async topic(topic: string, id: string): Promise<void> {
    await this.client.post('/v1/messages', { topic, type: 'bench', data: dataOf(id) })
  }

  async ask(id: string): Promise<void> {
    const text = await this.client.post('/v1/requests', { to: 'oracle', type: 'bench', data: dataOf(id) })
    if (!text.includes('"pong":1')) throw new Error(`no reply: ${text}`)
  }

  async operate(agent: string, word: 'pause' | 'resume'): Promise<void> {
    await this.client.post(`/v1/agents/${agent}/${word}`, {})
  }

  residentBytes(name?: string): number {
    return this.host.residentBytes(name)
  }

  cpuMs(): number {
    return this.host.cpuMs()
  }

  async stop(): Promise<void> {
    this.client.stop()
    await this.host.stop()
  }
}

const messageTo = (to: string, id: string, text?: string) => ({ to, type: 'bench', data: dataOf(id, text) })

/**
 * Runs an agent as plain code, the way the broker calls it: data parsed by `accepts`, what it sends taken as JSON, and
 * nothing sent when it throws. Never here: a broker.
 */
import type { AnyAgent, HandlerContext, HandlerMessage, Outgoing } from '../../workers/define.ts'

export interface Told {
  readonly type: string
  readonly data: unknown
}

export interface Run {
  readonly result: unknown
  readonly sent: readonly Outgoing[]
  readonly reply: Told | null
  readonly published: readonly (Told & { readonly topic: string })[]
}

export interface Circumstances {
  readonly replyto?: string
  readonly env?: Readonly<Record<string, unknown>>
  readonly isLast?: boolean
  readonly signal?: AbortSignal
}

export async function runAgent(agent: AnyAgent, data: unknown, around: Circumstances = {}): Promise<Run> {
  const sent: Outgoing[] = []
  const published: Run['published'][number][] = []
  let reply: Told | null = null
  const isLast = around.isLast ?? false
  const ctx: HandlerContext = {
    agent: agent.name,
    delivery: `${agent.name}_aaaaaaaaaaaaaaaaaaaaaaaaaa`,
    attempt: isLast ? 4 : 1,
    maxAttempts: 4,
    isLast,
    deadline: new Date(Date.now() + 60_000),
    signal: around.signal ?? AbortSignal.timeout(60_000),
    env: around.env ?? {},
    reply: (told, type) => {
      reply = { type: type ?? 'test.reply', data: told }
    },
    usage: () => undefined,
    send: (message) => sent.push(message),
    pass: () => undefined,
    publish: (topic, type, told) => published.push({ topic, type, data: told }),
    request: () => Promise.reject(new Error('there is nobody to ask')),
    state: {
      read: () => Promise.reject(new Error('there is no workflow')),
      update: () => Promise.reject(new Error('there is no workflow')),
      apply: () => Promise.reject(new Error('there is no workflow')),
    },
    resource: () => undefined,
    log: () => undefined,
  }
  const message = {
    id: 'm1',
    type: 'test',
    source: 'test',
    time: new Date().toISOString(),
    correlationid: 'm1',
    ...(around.replyto === undefined ? {} : { replyto: around.replyto }),
    data: agent.accepts.parse(data),
  } as HandlerMessage<never>
  const result = await agent.handle?.(message, ctx)
  return JSON.parse(JSON.stringify({ result: result ?? null, sent, reply, published })) as Run
}

/** Has each agent work on what the one before it published, as the broker would, and gives what the last one published. */
export async function runChain(agents: readonly AnyAgent[], data: unknown, around: Circumstances = {}): Promise<Told> {
  let told: Told = { type: 'research.requested', data }
  for (const agent of agents) {
    const { published } = await runAgent(agent, told.data, around)
    told = published[0]!
  }
  return told
}

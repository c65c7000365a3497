/**
 * Runs an agent as plain code, the way the broker calls it: data parsed by `accepts`, what it sends taken as JSON, and
 * nothing sent when it throws. Never here: a broker.
 */
import type { AnyAgent, HandlerContext, HandlerMessage, Outgoing } from '../../workers/define.ts'

export interface Run {
  readonly result: unknown
  readonly sent: readonly Outgoing[]
}

export interface Circumstances {
  readonly replyto?: string
  readonly env?: Readonly<Record<string, unknown>>
  readonly isLast?: boolean
  readonly signal?: AbortSignal
}

export async function runAgent(agent: AnyAgent, data: unknown, around: Circumstances = {}): Promise<Run> {
  const sent: Outgoing[] = []
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
    reply: () => undefined,
    send: (message) => sent.push(message),
    publish: () => undefined,
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
  return JSON.parse(JSON.stringify({ result: result ?? null, sent })) as Run
}

/** Passes the work on from agent to agent, as the broker would, until a message is for none of them. */
export async function runChain(
  agents: readonly AnyAgent[],
  data: unknown,
  around: Circumstances = {},
): Promise<Outgoing> {
  let next: Outgoing = { to: agents[0]!.name, type: 'research.request', data, replyto: 'desk' }
  for (;;) {
    const agent = agents.find((a) => a.name === next.to)
    if (agent === undefined) return next
    const { sent } = await runAgent(agent, next.data, { ...around, ...(next.replyto ? { replyto: next.replyto } : {}) })
    next = sent[0]!
  }
}

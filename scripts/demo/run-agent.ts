/**
 * Runs one of the research agents outside of the Worker: the same handler, its data parsed by what it accepts, its answer taken
 * when it has returned. Never here: how the work came to it, and what becomes of the answer.
 */
import type * as z from 'zod'
import type { analyst } from '../../agents/analyst.ts'

type Context = Parameters<(typeof analyst)['handle']>[1]
type Message = Parameters<(typeof analyst)['handle']>[0]

/** An agent of any data: what it accepts is parsed before it is called. */
export interface Handler {
  readonly name: string
  readonly accepts: z.ZodType
  handle(message: never, ctx: Context): Promise<unknown>
}

export interface Answer {
  readonly type: string
  readonly data: unknown
}

export interface Around {
  readonly env: Readonly<Record<string, unknown>>
  readonly signal: AbortSignal
  readonly delivery?: string
}

/** What the agent answers. It rejects as the agent throws. */
export async function runAgent(
  agent: Handler,
  data: unknown,
  { env, signal, delivery = 'none' }: Around,
): Promise<Answer> {
  let answer: Answer | undefined
  // What needs a broker is left out: these agents answer, and look at their environment, the clock and their tries.
  const ctx = {
    ...{ agent: agent.name, delivery, attempt: 1, maxAttempts: 1, isLast: true, env, signal },
    reply: (told: unknown, type = 'reply') => {
      answer = { type, data: told }
    },
    log: () => {},
  } as Partial<Context> as Context
  const parsed: unknown = agent.accepts.parse(data)
  const message = {
    id: delivery,
    type: 'work',
    source: 'demo',
    time: new Date().toISOString(),
    correlationid: delivery,
  }
  // What it accepts was just parsed; the list of agents knows no more of their data.
  await agent.handle({ ...message, replyto: 'demo', data: parsed } as Message as never, ctx)
  if (answer === undefined) throw new Error(`${agent.name} answered nothing`)
  return answer
}

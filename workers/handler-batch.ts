/**
 * Runs an agent that lives in this Worker on a batch. A message that its schema refuses is its own trouble, and the handler is
 * called for the others only. Never here: one message by itself (workers/handler.ts).
 */
import type { LeasedDelivery } from '../shared/agent-port.ts'
import { type BatchOutcome, outcomeOfReturned, type Said, saidOfEach } from '../shared/batch-answer.ts'
import { attributed } from '../shared/blame.ts'
import { utf8Length } from '../shared/json.ts'
import { limits } from '../shared/limits.ts'
import { messageSchema } from '../shared/message.ts'
import type { Outcome } from '../shared/outcome.ts'
import type { Platform } from '../shared/ports.ts'
import { type ResourceReport, reportFrom } from '../shared/resource-report.ts'
import { noHandler } from './attempt.ts'
import type { AnyAgent, BatchContext, BatchMessage } from './define.ts'
import { invalidData, late, outcomeOfThrow, plain, reportIn, within } from './handler.ts'

/** Runs `handleBatch` until `deadlineAt`. Every way it can end is an outcome; it never throws. */
export async function runBatchHandler(
  platform: Platform,
  agent: AnyAgent,
  leases: readonly LeasedDelivery[],
  deadlineAt: number,
): Promise<readonly Said[]> {
  const { handleBatch } = agent
  if (handleBatch === undefined) return saidOfEach({ of: 'whole', outcome: noHandler(agent.name) }, leases.length)
  const startedAt = platform.now()
  const controller = new AbortController()
  const reports: ResourceReport[] = []
  const everybody = (read: readonly Read[], came: BatchOutcome) =>
    inPlace(read, came).map((said) => ({ ...said, outcome: attributed(said.outcome, reports, agent.resources) }))
  let read: readonly Read[] = leases.map(() => ({}))
  try {
    // Within: a schema is the user's code too, and may throw.
    read = leases.map((lease) => readOne(agent, lease))
    const messages = read.flatMap(({ message }) => message ?? [])
    // Nobody is called with nothing.
    if (messages.length === 0) return everybody(read, { of: 'each', outcomes: [] })
    const ctx = contextOf(platform, agent, leases, deadlineAt, controller.signal, reports)
    const work = Promise.resolve().then(() => handleBatch.call(agent, messages, ctx))
    const returned = await within(platform, deadlineAt, controller, work)
    return everybody(read, returned === late ? tooLate(deadlineAt - startedAt) : outcomeOf(returned, messages))
  } catch (error) {
    reports.push(...reportIn(error))
    return everybody(read, { of: 'whole', outcome: outcomeOfThrow(error) })
  } finally {
    controller.abort()
  }
}

/** As the handler takes it, or why it does not; neither before it was read. */
interface Read {
  readonly message?: BatchMessage<never>
  readonly refused?: Outcome
}

function readOne(agent: AnyAgent, { id, body, attempt, maxAttempts }: LeasedDelivery): Read {
  const message = messageSchema.parse(JSON.parse(body))
  const data = agent.accepts.safeParse(message.data)
  if (!data.success) return { refused: invalidData(data.error.issues) }
  // Parsed by its own schema just now: what the handler declares to take.
  const given = { ...message, data: data.data, delivery: id, attempt, maxAttempts } as unknown as BatchMessage<never>
  return { message: given }
}

function outcomeOf(returned: unknown, messages: readonly BatchMessage<never>[]): BatchOutcome {
  const { result } = plain(returned)
  const bytes = result === undefined ? 0 : utf8Length(JSON.stringify(result))
  if (bytes > limits.batchAnswerBytes)
    throw new Error(`the results have ${bytes} bytes; at most ${limits.batchAnswerBytes}`)
  return outcomeOfReturned(
    result,
    messages.map(({ delivery, id }) => ({ id: delivery, eventId: id })),
  )
}

function tooLate(afterMs: number): BatchOutcome {
  const message = `the handler did not finish within ${afterMs} ms`
  return { of: 'whole', outcome: { kind: 'retry', error: { code: 'timeout', message } } }
}

// What was refused before the call has its own outcome; the others have theirs in turn.
function inPlace(read: readonly Read[], came: BatchOutcome): Said[] {
  const others = saidOfEach(came, read.length)
  let place = 0
  return read.flatMap(({ refused }) => (refused === undefined ? (others[place++] ?? []) : { outcome: refused }))
}

function contextOf(
  platform: Platform,
  agent: AnyAgent,
  leases: readonly LeasedDelivery[],
  deadlineAt: number,
  signal: AbortSignal,
  reports: ResourceReport[],
): BatchContext {
  return {
    agent: agent.name,
    deadline: new Date(deadlineAt),
    signal,
    env: platform.bindings,
    resource: (name, status, retryAfterSeconds) => {
      const report = reportFrom(name, status, retryAfterSeconds)
      if (report === undefined) throw new Error(`not a resource and a status: ${name} ${status}`)
      reports.push(report)
    },
    log: (note, fields) =>
      platform.log('handler', { agent: agent.name, deliveries: leases.map(({ id }) => id), note, ...fields }),
  }
}

/**
 * What an agent answers to a batch: `{ results: [{ id, status, … }] }`, one for each. Whom it forgets is tried again; an answer
 * without `results` is everybody's. Never here: the wire (workers/deliver-batch.ts), what an outcome does (shared/settlement.ts).
 */
import * as z from 'zod'
import { effectsInput } from './effects.ts'
import { deeperThan } from './json.ts'
import { limits } from './limits.ts'
import { type Answer, type AttemptError, type Outcome, outcomeOfAnswer } from './outcome.ts'

const resultSchema = z.looseObject({
  id: z.union([z.string(), z.int()]).transform(String),
  status: z.enum(['ok', 'retry', 'drop']),
  result: z.unknown().optional(),
  error: z.union([z.string(), z.looseObject({ message: z.string() }).transform((e) => e.message)]).optional(),
})

/** Whatever one answer may ask for, each result may. */
const effectNames = Object.keys(effectsInput.shape)

/** One that was asked, and by which names an answer may mean it. */
export interface Asked {
  readonly id: string
  /** The event's own id: understood where no other of the batch has it. */
  readonly eventId: string
  readonly number?: number
}

/** Everybody's outcome, or each one's in the order in which they were asked. */
export type BatchOutcome =
  | { readonly of: 'whole'; readonly outcome: Outcome }
  | { readonly of: 'each'; readonly outcomes: readonly Outcome[] }

/** What is said of one of them. `whole`: it was said of the call, not of this one by itself. */
export interface Said {
  readonly outcome: Outcome
  readonly whole?: true
}

/** One for each of `count`, in their order. */
export function saidOfEach(came: BatchOutcome, count: number): Said[] {
  return came.of === 'whole'
    ? Array.from({ length: count }, () => ({ outcome: came.outcome, whole: true }))
    : came.outcomes.map((outcome) => ({ outcome }))
}

/** A webhook's answer. */
export function outcomeOfBatch(
  answer: Answer,
  asked: readonly Asked[],
  ack: 'response' | 'later',
  now: number,
): BatchOutcome {
  const outcome = outcomeOfAnswer(answer, ack, now)
  if (outcome.kind !== 'ok') return { of: 'whole', outcome }
  if (answer.truncated) return unreadable(`the answer has more than ${limits.batchAnswerBytes} bytes`)
  const parsed = parsedOrNothing(answer.body)
  if (!namesResults(parsed)) return { of: 'whole', outcome }
  // Deeper, it could bring down whoever prints it.
  if (deeperThan(parsed, limits.jsonDepth)) return unreadable(`the answer is nested deeper than ${limits.jsonDepth}`)
  return { of: 'each', outcomes: outcomesOf(parsed.results, asked, answer.status) }
}

/** A handler's return value. */
export function outcomeOfReturned(returned: unknown, asked: readonly Asked[]): BatchOutcome {
  if (namesResults(returned)) return { of: 'each', outcomes: outcomesOf(returned.results, asked) }
  return { of: 'whole', outcome: { kind: 'ok', ...(returned === undefined ? {} : { result: returned }) } }
}

// Who of them is done cannot be known, so each goes again, alone.
function unreadable(message: string): BatchOutcome {
  return { of: 'whole', outcome: { kind: 'retry', error: { code: 'bad_result', message } } }
}

function parsedOrNothing(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function namesResults(answer: unknown): answer is { readonly results: unknown } {
  return typeof answer === 'object' && answer !== null && !Array.isArray(answer) && 'results' in answer
}

// One bad result spoils none of the others.
function outcomesOf(results: unknown, asked: readonly Asked[], httpStatus?: number): Outcome[] {
  const said = new Map<string, unknown>()
  for (const result of Array.isArray(results) ? results : []) {
    const id = idOf(result)
    if (id !== undefined && !said.has(id)) said.set(id, result)
  }
  return asked.map((one) => {
    const name = namesOf(one, asked).find((n) => said.has(n))
    return name === undefined
      ? retry({ code: 'no_result', message: 'the answer has no result for it' }, httpStatus)
      : outcomeOfResult(said.get(name), httpStatus)
  })
}

function idOf(result: unknown): string | undefined {
  if (typeof result !== 'object' || result === null || !('id' in result)) return undefined
  return typeof result.id === 'string' || typeof result.id === 'number' ? String(result.id) : undefined
}

function namesOf({ id, eventId, number }: Asked, asked: readonly Asked[]): string[] {
  const unique = asked.filter((a) => a.eventId === eventId || a.id === eventId).length === 1
  return [id, ...(number === undefined ? [] : [String(number)]), ...(unique && number === undefined ? [eventId] : [])]
}

function outcomeOfResult(raw: unknown, httpStatus: number | undefined): Outcome {
  const parsed = resultSchema.safeParse(raw)
  if (!parsed.success) {
    const message = parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`).join('; ')
    return retry({ code: 'bad_result', message: message.slice(0, limits.errorMessageLength) }, httpStatus)
  }
  const { status, result, error } = parsed.data
  const why = error?.slice(0, limits.errorMessageLength)
  switch (status) {
    case 'ok': {
      const effects = Object.fromEntries(effectNames.filter((n) => n in parsed.data).map((n) => [n, parsed.data[n]]))
      return {
        kind: 'ok',
        ...(result === undefined ? {} : { result }),
        ...(Object.keys(effects).length === 0 ? {} : { effects }),
        ...(httpStatus === undefined ? {} : { httpStatus }),
      }
    }
    case 'retry':
      return retry({ code: 'item', message: why ?? 'the agent wants it again' }, httpStatus)
    case 'drop':
      return {
        kind: 'fail',
        error: {
          code: 'item',
          message: why ?? 'the agent dropped it',
          ...(httpStatus === undefined ? {} : { httpStatus }),
        },
      }
  }
}

function retry(error: AttemptError, httpStatus: number | undefined): Outcome {
  return { kind: 'retry', error: { ...error, ...(httpStatus === undefined ? {} : { httpStatus }) } }
}

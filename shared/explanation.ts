/**
 * An explanation: where is my message, why is it there, and what can be done? A receipt, or a workflow's record, in sentences
 * for people. Never here: markup (workers/message-page.ts, workers/workflow-page.ts), or anything that those do not tell.
 */

import { skippedOnCatchUp } from './catch-up-policy.ts'
import type { ChartValue } from './chart-snapshot.ts'
import { type DeadReason, deadReason } from './dead-reason.ts'
import { ownMessage, workflowSource } from './outgoing.ts'
import type { Receipt } from './receipt.ts'
import { unreachable } from './result.ts'
import type { WorkflowRecord } from './workflow.ts'

export interface Explanation {
  /** `wait` goes on by itself or by an agent; `bad` needs somebody. */
  readonly mood: 'good' | 'wait' | 'bad'
  readonly headline: string
  readonly why?: string
  /** What to do next; its markup is backticks. Absent when there is nothing to do. */
  readonly next?: string
}

export function explain(receipt: Receipt): Explanation {
  const { status, agent, because } = receipt
  const why = because === undefined ? {} : { why: because }
  switch (status) {
    case 'held':
      return { mood: 'wait', headline: `Waiting in the mailbox of ${agent}.`, ...why, ...retryOf(receipt) }
    case 'parked':
      return {
        mood: 'wait',
        headline: `Parked: ${agent} takes no mail now.`,
        ...why,
        next: `It costs no attempt and goes on by itself when the agent takes mail again. \`GET /v1/agents/${agent}\` and \`GET /v1/agents/${agent}/breaker\` tell how the agent is; \`POST /v1/agents/${agent}/resume\` lifts a pause or a hold.`,
      }
    case 'queued':
      return { mood: 'wait', headline: 'On the queue, about to be taken.' }
    case 'dispatched':
      return { mood: 'wait', headline: `${agent} is being called with it${attemptOf(receipt)}.` }
    case 'delivered':
      return {
        mood: 'wait',
        headline: `${agent} has it and has not said yet that it is done${attemptOf(receipt)}.`,
        next: 'Without an ack in time it is delivered again.',
      }
    case 'claimed':
      return {
        mood: 'wait',
        headline: `${agent} is working on it${attemptOf(receipt)}.`,
        next: 'When its lease ends without an ack, it is delivered again.',
      }
    case 'completed':
      return completed(receipt)
    case 'failed':
      return {
        mood: 'bad',
        headline: 'Failed, and gone: it was sent at most once.',
        ...errorOf(receipt),
        next: 'Send it again, or use `at_least_once` for what must not be lost.',
      }
    case 'cancelled':
      if (because === skippedOnCatchUp)
        return {
          mood: 'bad',
          headline: `Put aside: ${agent} was away, and when it came back it did not want it any more.`,
          ...lastDetail(receipt),
          next: 'Send it again under another key if it still matters. What an agent wants of its mail is its policy’s `catchUp`, or what `resume` was told.',
        }
      return receipt.reassignedTo === undefined
        ? { mood: 'bad', headline: 'Cancelled before it was done.', ...lastDetail(receipt) }
        : { mood: 'wait', headline: 'It went to another mailbox and goes on there.', ...lastDetail(receipt) }
    case 'dead_lettered':
    case 'expired':
      return dead(receipt, status)
    default:
      return unreachable(status)
  }
}

function completed({ agent, effects = [] }: Receipt): Explanation {
  const refused = effects.filter((effect) => effect.state.status === 'refused').length
  const pending = effects.filter((effect) => effect.state.status === 'pending').length
  if (refused > 0)
    return {
      mood: 'bad',
      headline: `${agent} has done it, but ${refused} of the ${effects.length} effects it asked for ${refused === 1 ? 'was' : 'were'} refused.`,
      next: 'Each refused effect says why, and is a dead letter of its own.',
    }
  if (pending > 0)
    return {
      mood: 'wait',
      headline: `${agent} has done it; ${pending} of the ${effects.length} effects it asked for ${pending === 1 ? 'is' : 'are'} still on the way.`,
    }
  return { mood: 'good', headline: `Done by ${agent}.` }
}

function dead(receipt: Receipt, status: 'dead_lettered' | 'expired'): Explanation {
  const told = deadReason.safeParse(receipt.deadLetter?.reason)
  const reason: DeadReason = told.success ? told.data : 'terminal'
  const { means, next } = deaths[reason]
  const again =
    receipt.deadLetter === undefined
      ? 'It was purged, so it cannot come back: send it again.'
      : `${next} To give it a new life: \`POST /v1/dead-letters/${receipt.deadLetter.id}/redrive\`.`
  const headline = status === 'expired' ? 'Expired before it was done.' : `Dead letter: ${means}.`
  return { mood: 'bad', headline, ...errorOf(receipt), next: again }
}

/** What each way to die means, and what to see to before a redrive. */
const deaths: Readonly<Record<DeadReason, { readonly means: string; readonly next: string }>> = {
  attempts_exhausted: {
    means: 'every attempt that its policy allows has failed',
    next: 'See below what the attempts failed of, and put that right first.',
  },
  terminal: {
    means: 'the agent said that it can never work',
    next: 'Correct what it refused, or the agent; the same message will be refused again.',
  },
  expired: { means: 'its time was over', next: 'A redrive takes its expiry away.' },
  parked_too_long: {
    means: 'it waited longer than its agent’s policy allows (`parkedSeconds`)',
    next: 'See that its agent takes mail again first.',
  },
  hop_limit: {
    means: 'the chain of messages that led to it is too long',
    next: 'Two agents probably answer each other for ever: follow its cause back and break the circle.',
  },
  loop_detected: {
    means: 'the messages that led to it go round in a circle',
    next: 'Its path shows the circle: have one of the agents on it stop answering. A workflow may allow more (`guards`).',
  },
  budget_spent: {
    means: 'its workflow ended with its budget spent',
    next: 'A redrive begins it only if the workflow’s budget is raised first.',
  },
  no_handler: {
    means: 'this Worker has no handler for its agent',
    next: 'List the agent in `agents` and deploy.',
  },
  agent_deleted: { means: 'its agent was deleted', next: 'Register the agent again.' },
  agent_left: {
    means: 'its agent left, and nobody was registered under its name while its mail was kept',
    next: 'Keep mail for longer (`keepSeconds`), or send it to another agent: a dead letter of an agent that is gone stays one.',
  },
  effect_refused: { means: 'an effect of it was refused', next: 'See below which, and why.' },
  unroutable: { means: 'it reached nobody', next: 'Subscribe somebody first.' },
  poison: {
    means: 'it crashed its agent at once, twice in the same way',
    next: 'Correct the agent first; until then it would crash it again.',
  },
  head_of_line: {
    means:
      'it kept failing while others of its `partitionkey` waited behind it, and its agent’s policy lets them go on',
    next: 'Put right what its attempts failed of; redriven it joins the end of its line.',
  },
  rest_of_key: {
    means: 'the one before it in its `partitionkey` died, and its agent’s policy has the rest die with it',
    next: 'See to that one first: its delivery is named in the error.',
  },
}

const attemptOf = ({ attempt, maxAttempts }: Receipt) => `, attempt ${attempt + 1} of ${maxAttempts}`

function retryOf({ attempt, maxAttempts, nextAttemptAt }: Receipt): Pick<Explanation, 'next'> {
  if (attempt === 0) return {}
  const when = nextAttemptAt === undefined ? '' : ` at ${nextAttemptAt}`
  return { next: `${attempt} of ${maxAttempts} attempts have failed; it is tried again${when}.` }
}

function errorOf({ attempts }: Receipt): Pick<Explanation, 'why'> {
  const error = attempts.findLast((attempt) => attempt.error !== undefined)?.error
  return error === undefined ? {} : { why: `${error.code}: ${error.message}` }
}

function lastDetail({ steps }: Receipt): Pick<Explanation, 'why'> {
  const detail = steps.findLast((step) => step.detail !== undefined)?.detail
  return detail === undefined ? {} : { why: detail }
}

// --- where it comes from ----------------------------------------------------------------------------------------------

export type Cause =
  | { readonly kind: 'delivery'; readonly id: string }
  | { readonly kind: 'workflow'; readonly id: string }

/**
 * What made this message, if the broker knows: a delivery whose work emitted it, or a workflow. Told by the message's own id,
 * which the broker made then; a publisher may choose a like one, so the source must be the one that the id names.
 */
export function causeOf({ id, source }: Pick<Receipt['message'], 'id' | 'source'>): Cause | undefined {
  const [, delivery, agent] = /^(([a-z0-9-]{1,64})_[a-z2-7]{26})(?:-r\d+)?-(?:\d+|ended)$/.exec(id) ?? []
  if (delivery !== undefined && source === agent) return { kind: 'delivery', id: delivery }
  const workflow = source.startsWith(workflowSource('')) ? source.slice(workflowSource('').length) : ''
  return ownMessage(workflow, { id, source }) === undefined ? undefined : { kind: 'workflow', id: workflow }
}

// --- a workflow -------------------------------------------------------------------------------------------------------

/** How a workflow stands, why, and what can be done. */
export function explainWorkflow(record: WorkflowRecord): Explanation {
  const { id, status, paused, error, timers, waiting, open } = record
  const where = record.value === undefined ? '' : ` in ${valueText(record.value)}`
  switch (status) {
    case 'running': {
      const due = Math.min(...timers.map((timer) => timer.dueAt))
      const waits = [
        ...(timers.length === 0 ? [] : [`Its next timer is due at ${new Date(due).toISOString()}.`]),
        ...(open === 0 ? [] : [`${open} of its messages are still to be carried.`]),
      ]
      return { mood: 'wait', headline: `Running${where}.`, ...(waits.length === 0 ? {} : { next: waits.join(' ') }) }
    }
    case 'paused': {
      const until = paused?.untilAt === undefined ? '' : ` by itself at ${new Date(paused.untilAt).toISOString()}, or`
      return {
        mood: 'bad',
        headline: `Paused${where}${waiting === 0 ? '' : `; ${waiting} events wait for it`}.`,
        ...(paused === undefined ? {} : { why: paused.reason }),
        next: `It goes on${until} with \`POST /v1/workflows/${id}/resume\`.`,
      }
    }
    case 'completed':
      return { mood: 'good', headline: `Completed${where}.` }
    case 'failed':
      return {
        mood: 'bad',
        headline: `Failed${where}.`,
        ...(error === undefined ? {} : { why: `${error.code}: ${error.detail}` }),
        next: 'It will not go on. See below what happened last, put that right and create another.',
      }
    case 'cancelled':
      return { mood: 'bad', headline: `Cancelled${where}.` }
    default:
      return unreachable(status)
  }
}

/** A statechart's state value as one text: `a`, `a.b`, or its parallel regions beside each other. */
export function valueText(value: ChartValue): string {
  if (typeof value === 'string') return value
  const parts = Object.entries(value).map(([state, child]) => {
    const inside = valueText(child)
    return inside === '' ? state : `${state}.${inside}`
  })
  return parts.join(' + ')
}

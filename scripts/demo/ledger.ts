/**
 * What was accepted, and how it ended. Counted from the outside: from what the demo asked for, the receipts, and the histories.
 * Never here: reading them.
 */
import type { Receipt } from './answers.ts'
import { failureOf, isEnded } from './follow.ts'
import type { Walked } from './queue.ts'

export interface Ledger {
  readonly workflows: number
  readonly accepted: number
  readonly completed: number
  /** Ended otherwise, with an effect that was refused, or of a workflow that did not end where it should. */
  readonly failed: number
  /** Accepted and never ended; or asked for by a workflow and nowhere to be found. */
  readonly lost: number
  /** Completed twice, counted twice by a workflow, or there twice under one message. */
  readonly doubled: number
}

/** The states that a workflow must have entered, each once and in this order. */
export const statesInOrder = [
  ...['research_pending', 'research_complete', 'analysis_pending', 'analysis_complete'],
  ...['synthesis_pending', 'synthesis_complete'],
] as const

/** One message to each of three agents: what a workflow that came to its end has sent, and no more. */
const messagesEach = 3

export const statesOf = ({ entries }: Pick<Walked, 'entries'>): readonly string[] =>
  entries.flatMap((entry) => entry.path.map((move) => String(move.to)))

/** `mailboxes`: every receipt of the agents that the workflows write to, whoever sent it. */
export function ledgerOf(walks: readonly Walked[], mailboxes: readonly Receipt[]): Ledger {
  const receipts = walks.flatMap((walked) => walked.receipts)
  const all = [...new Map([...receipts, ...mailboxes].map((receipt) => [receipt.id, receipt])).values()]
  const messages = new Set(all.map((receipt) => receipt.message.id)).size
  const completed = all.filter(({ status }) => status === 'completed')
  const astray = walks.filter((walked) => !statesInOrder.every((state, i) => statesOf(walked)[i] === state))
  const again = all.flatMap(({ steps }) => steps.filter(({ step }) => step === 'completed').slice(1))
  const returns = walks.flatMap((walked) => statesOf(walked).filter((state, i, states) => states.indexOf(state) !== i))
  return {
    workflows: walks.length,
    accepted: all.length,
    completed: completed.length,
    failed: all.filter((receipt) => failureOf(receipt) !== undefined).length + astray.length,
    lost: Math.max(0, walks.length * messagesEach - messages) + all.filter((receipt) => !isEnded(receipt)).length,
    doubled: all.length - messages + again.length + returns.length,
  }
}

export const ledgerLine = ({ workflows, accepted, completed, failed, lost, doubled }: Ledger): string =>
  `workflows ${workflows}, accepted ${accepted}, completed ${completed}, failed ${failed}, lost ${lost}, doubled ${doubled}`

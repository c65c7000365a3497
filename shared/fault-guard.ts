/**
 * The faults of what keeps agents from running away: messages that go round, and budgets that are spent. Never here: the other
 * faults (shared/fault.ts), what trips (shared/lineage.ts, shared/budget.ts).
 */

interface Stopped {
  readonly reason: string
  /** The deliveries that led to it, the root first. */
  readonly path: readonly string[]
  /** As which it is a dead letter. Absent where nothing is stored. */
  readonly delivery?: string
}

export type GuardFault =
  | ({ readonly code: 'loop_detected' } & Stopped)
  | ({ readonly code: 'hop_limit' } & Stopped)
  | { readonly code: 'budget_spent'; readonly workflow: string; readonly reason: string }

/** The status, and a sentence that tells the caller what to do next. */
export function wireOfGuard(f: GuardFault) {
  switch (f.code) {
    case 'loop_detected':
      return {
        status: 409,
        title: 'The messages go round',
        detail: `It was stopped: ${f.reason}. Do not answer for ever: end the conversation, or have a person look at \`path\`.`,
      }
    case 'hop_limit':
      return {
        status: 409,
        title: 'The causal chain is too long',
        detail: `It was stopped: ${f.reason}. End the conversation, or begin a new one that does not follow from it.`,
      }
    case 'budget_spent':
      return {
        status: 409,
        title: 'The budget is spent',
        detail: `\`${f.workflow}\` stays paused: ${f.reason}. Raise its budget with PATCH /v1/workflows/${f.workflow}.`,
      }
  }
}

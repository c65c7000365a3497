/**
 * The research as a workflow: a statechart that asks one agent after the other, keeps what they found as shared state, and gives
 * each of them what it needs and no more. The documents are never part of that state.
 *
 *   research_pending ─► research_complete ─► analysis_pending ─► analysis_complete ─► synthesis_pending ─► synthesis_complete
 *          └──────────────────────────────────────┴── agent_error, or too late ─────────────┴──────────► failed
 *
 *   input   { question, documents, analyst? }     output   { report?, error? }
 *
 * Never here: the agents' work (agents/*.ts).
 */

/** What the workflow writes into its state of an agent's answer: members of the event's data, by name. */
const taken = (...names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, { $from: `event.data.${name}` }]))

const keep = (patch: object) => ({ type: 'update', params: { patch } })

/** An agent that says nothing at all for so long is given up. Its own attempts, and mail that is parked, have had their time by then. */
const deadline = (state: string, minutes: number) => ({
  [minutes * 60_000]: {
    target: 'failed',
    actions: keep({ error: { reason: 'deadline', detail: `nobody answered ${state} within ${minutes} minutes` } }),
  },
})

/** A model that was down for longer than an agent's own attempts is asked once more; then somebody should look. */
const oneMoreTime = { switchboard: { retry: { times: 1, delaySeconds: 1 } } }

export const research = {
  id: 'research',
  description: 'A question is answered over documents by a researcher, an analyst and a synthesizer.',
  initial: 'research_pending',
  states: {
    research_pending: {
      entry: [
        keep({ question: { $from: 'input.question' } }),
        {
          type: 'send',
          params: {
            ...{ to: 'researcher', type: 'research.request' },
            data: { question: { $from: 'input.question' }, documents: { $from: 'input.documents' } },
          },
        },
      ],
      on: {
        'research.complete': { target: 'research_complete', actions: keep(taken('searched', 'terms', 'passages')) },
      },
      after: deadline('research_pending', 5),
    },
    research_complete: { always: 'analysis_pending' },
    analysis_pending: {
      entry: {
        type: 'send',
        params: {
          ...{ to: { $from: 'input.analyst', default: 'analyst' }, type: 'analysis.request' },
          select: ['question', 'searched', 'terms', 'passages'],
        },
      },
      on: {
        // The passages have served: whoever comes after gets the findings, not what they were found in.
        'analysis.complete': {
          target: 'analysis_complete',
          actions: keep({ ...taken('findings', 'model', 'dropped', 'notes'), passages: null }),
        },
      },
      after: deadline('analysis_pending', 15),
      meta: oneMoreTime,
    },
    analysis_complete: { always: 'synthesis_pending' },
    synthesis_pending: {
      entry: {
        type: 'send',
        params: {
          ...{ to: 'synthesizer', type: 'synthesis.request' },
          select: ['question', 'searched', 'terms', 'findings', 'model', 'dropped', 'notes'],
        },
      },
      on: {
        'synthesis.complete': { target: 'synthesis_complete', actions: keep({ report: { $from: 'event.data' } }) },
      },
      after: deadline('synthesis_pending', 15),
      meta: oneMoreTime,
    },
    synthesis_complete: { type: 'final' },
    failed: { type: 'final' },
  },
  // Whoever fails for good. What could not even be sent pauses the workflow instead: a person can mend that, and resume it.
  on: {
    agent_error: {
      target: '.failed',
      actions: keep({ error: taken('agent', 'delivery', 'reason', 'error') }),
    },
  },
  output: { report: { $from: 'state.report' }, error: { $from: 'state.error' } },
} as const

/**
 * The operations on observers, with what goes in and comes out. Never here: what an observer is made of (shared/observer.ts).
 */
import * as z from 'zod'
import { directoryVersion, type Operation, pageOf, pageQuery } from './api-operation.ts'
import { filterSchema } from './filter.ts'
import { limits } from './limits.ts'
import { observerInput } from './observer.ts'
import { viewShape } from './view.ts'

export const observerAnswer = z.strictObject({
  agent: z.string().describe('Who is observed.'),
  observer: z.string(),
  topic: z.string().describe('Where the agent tells its observers: `agents.<name>`.'),
  filter: filterSchema.optional(),
  ...viewShape,
  announcements: z.boolean(),
})

export const observersQuery = z.object(pageQuery)
export const observersAnswer = pageOf(observerAnswer)

const of = (method: Operation['method'], path: string, id: string, summary: string) =>
  ({ method, path: `/v1/agents/{agent}/observers${path}`, id, tag: 'Topics', who: 'watcher', summary }) as const

/** In the order of the reference page. */
export const observerOperations: readonly Operation[] = [
  {
    ...of('get', '', 'listObservers', 'List an agent’s observers'),
    who: 'agent',
    query: observersQuery,
    answers: [{ status: 200, description: 'Observers, by name.', schema: observersAnswer }],
    faults: ['forbidden'],
  },
  {
    ...of('put', '/{observer}', 'putObserver', 'Observe an agent, or change that'),
    description:
      'The observer gets, each by itself and with its data, what the agent publishes from then on to its own topic `agents.<name>`; nobody else may publish there. Put again, it is the same observer.',
    body: { types: { 'application/json': observerInput }, optional: true, limitBytes: limits.requestBytes },
    answers: [
      { status: 201, description: 'Attached.', schema: observerAnswer, headers: [directoryVersion] },
      { status: 200, description: 'Changed, or as it was.', schema: observerAnswer, headers: [directoryVersion] },
    ],
    faults: ['forbidden', 'agent_not_found', 'too_many_subscriptions'],
  },
  {
    ...of('delete', '/{observer}', 'deleteObserver', 'Observe an agent no more'),
    description:
      'What waits in the observer’s mailbox is cancelled; what it works on is finished. Detaching twice is detaching once.',
    answers: [{ status: 204, description: 'Gone.', headers: [directoryVersion] }],
    faults: ['forbidden', 'agent_not_found'],
  },
]

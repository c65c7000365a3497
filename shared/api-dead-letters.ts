/**
 * The operations on dead letters. Never here: their bodies (shared/api-letters.ts), what the gateway may answer to anything
 * (shared/api-operation.ts).
 */
import * as z from 'zod'
import {
  groupsAnswer,
  groupsQuery,
  letterAnswer,
  lettersAnswer,
  lettersQuery,
  ndjson,
  redriveAnswer,
  redriveManyAnswer,
  redriveManyRequest,
  redriveRequest,
} from './api-letters.ts'
import { wireBytes } from './api-messages.ts'
import type { Operation } from './api-operation.ts'
import { limits } from './limits.ts'

/** In the order of the reference page. */
export const deadLetterOperations: readonly Operation[] = [
  {
    method: 'get',
    path: '/v1/dead-letters',
    id: 'listDeadLetters',
    tag: 'Dead letters',
    who: 'agent',
    summary: 'List dead letters',
    description: `An admin sees all; an agent sees those of its own mailbox. Asked for as \`${ndjson}\`, all that match come as a stream of lines, one letter each, up to ${limits.lettersExported}; if there are more, the last line is \`{"cursor": …}\`, for the next call.`,
    query: lettersQuery,
    answers: [{ status: 200, description: 'Dead letters.', schema: lettersAnswer, other: { [ndjson]: z.string() } }],
    faults: ['forbidden'],
  },
  {
    method: 'get',
    path: '/v1/dead-letters/groups',
    id: 'groupDeadLetters',
    tag: 'Dead letters',
    who: 'agent',
    summary: 'List dead letters by what they died of',
    description:
      'One group for each fingerprint and reason, the one with the newest letter first. A fingerprint is made of the error’s code, HTTP status and message, less its numbers, ids, times, paths and quoted text. List a group, or redrive it, by its fingerprint.',
    query: groupsQuery,
    answers: [{ status: 200, description: 'Groups.', schema: groupsAnswer }],
    faults: ['forbidden'],
  },
  {
    method: 'get',
    path: '/v1/dead-letters/{id}',
    id: 'getDeadLetter',
    tag: 'Dead letters',
    who: 'agent',
    summary: 'Read a dead letter',
    answers: [{ status: 200, description: 'The dead letter.', schema: letterAnswer }],
    faults: ['forbidden', 'not_found'],
  },
  {
    method: 'post',
    path: '/v1/dead-letters/{id}/redrive',
    id: 'redrive',
    tag: 'Dead letters',
    who: 'agent',
    summary: 'Give a dead letter a new life',
    description:
      'The same message and delivery id, with its attempts afresh, at the tail of its line. Redriving one death twice is one redrive. With a body its data is changed first, or another agent gets it; the message then says who changed it, as `editedby`, and the receipt keeps what was sent.',
    body: { types: { 'application/json': redriveRequest }, optional: true, limitBytes: wireBytes },
    answers: [{ status: 200, description: 'It is back in its mailbox.', schema: redriveAnswer }],
    faults: ['forbidden', 'not_found', 'not_redrivable', 'backpressure', 'agent_not_found', 'schema_mismatch'],
  },
  {
    method: 'post',
    path: '/v1/dead-letters/redrive',
    id: 'redriveMany',
    tag: 'Dead letters',
    who: 'agent',
    summary: 'Redrive all that match',
    description: 'Each on its own, in the order in which they died; with an `edit`, each changed alike.',
    body: { types: { 'application/json': redriveManyRequest }, optional: true, limitBytes: limits.requestBytes },
    answers: [{ status: 200, description: 'What became of each.', schema: redriveManyAnswer }],
    faults: ['forbidden'],
  },
  {
    method: 'delete',
    path: '/v1/dead-letters/{id}',
    id: 'purgeDeadLetter',
    tag: 'Dead letters',
    who: 'agent',
    summary: 'Purge a dead letter',
    description: 'Its body is forgotten; its key is still remembered, so that a late duplicate is recognised.',
    answers: [{ status: 204, description: 'Gone.' }],
    faults: ['forbidden', 'not_found'],
  },
]

/**
 * The operations on workflows and their shared state. Never here: what goes in and comes out (shared/api-workflow-bodies.ts),
 * what a step does (shared/workflow.ts).
 */

import * as z from 'zod'
import { definitionOperations } from './api-definitions.ts'
import type { Operation, Parameter } from './api-operation.ts'
import {
  amendRequest,
  createRequest,
  historyAnswer,
  historyQuery,
  key,
  mergeRequest,
  messagesAnswer,
  messagesQuery,
  operationsQuery,
  operationsRequest,
  patchQuery,
  patchRequest,
  pauseWorkflowRequest,
  removeQuery,
  stateAnswer,
  stateQuery,
  watchQuery,
  workflowAnswer,
  workflowsAnswer,
  workflowsQuery,
  writtenAnswer,
} from './api-workflow-bodies.ts'
import { limits } from './limits.ts'

const etag: Parameter = { name: 'ETag', description: 'The version, in quotes.', schema: z.string() }
const path = '/v1/workflows/{workflow}'

const lifecycle: readonly Operation[] = [
  {
    method: 'post',
    path: '/v1/workflows',
    id: 'createWorkflow',
    tag: 'Workflows',
    who: 'writer',
    summary: 'Create a workflow',
    description:
      'It acts with the permissions of whoever makes it. Made again with the same key, or the same id and content, it is the same one.',
    headers: [key],
    body: { types: { 'application/json': createRequest }, limitBytes: limits.stateBytes * 2 },
    answers: [
      { status: 201, description: 'Created, at version 1.', schema: workflowAnswer, headers: [etag] },
      {
        status: 200,
        description: 'It was created before, and stands like this now.',
        schema: workflowAnswer,
        headers: [etag],
      },
    ],
    faults: ['forbidden', 'not_found', 'workflow_exists', 'invalid_definition'],
  },
  {
    method: 'get',
    path: '/v1/workflows',
    id: 'listWorkflows',
    tag: 'Workflows',
    who: 'reader',
    summary: 'List workflows',
    description:
      'Newest first. Those that the caller may not read are left out, so a page may be short. A workflow that was just made may be missing for a moment.',
    query: workflowsQuery,
    answers: [{ status: 200, description: 'Workflows.', schema: workflowsAnswer }],
    faults: [],
  },
  {
    method: 'get',
    path,
    id: 'getWorkflow',
    tag: 'Workflows',
    who: 'reader',
    summary: 'Read a workflow',
    answers: [{ status: 200, description: 'How it stands.', schema: workflowAnswer, headers: [etag] }],
    faults: ['forbidden', 'not_found'],
  },
  {
    method: 'patch',
    path,
    id: 'amendWorkflow',
    tag: 'Workflows',
    who: 'writer',
    summary: 'Give a workflow another budget, or other guards',
    description:
      'Noticed within 5 s. A workflow that was paused because its budget was spent goes on by itself when it is enough, and its mail with it.',
    body: { types: { 'application/json': amendRequest }, limitBytes: limits.requestBytes },
    answers: [{ status: 200, description: 'As it is now.', schema: workflowAnswer }],
    faults: ['forbidden', 'not_found', 'workflow_over'],
  },
  {
    method: 'delete',
    path,
    id: 'cancelWorkflow',
    tag: 'Workflows',
    who: 'writer',
    summary: 'Cancel a workflow, or forget one that has ended',
    description:
      'Cancelled, it can still be read until its time is over. With `purge=true` one that has ended is forgotten now.',
    query: removeQuery,
    answers: [
      { status: 200, description: 'Cancelled.', schema: workflowAnswer },
      { status: 204, description: 'Purged.' },
    ],
    faults: ['forbidden', 'not_found', 'workflow_over', 'workflow_live'],
  },
  {
    method: 'post',
    path: `${path}/pause`,
    id: 'pauseWorkflow',
    tag: 'Workflows',
    who: 'writer',
    summary: 'Pause a workflow',
    description: 'Events and timers wait until it is resumed. Its state may still be written.',
    body: { types: { 'application/json': pauseWorkflowRequest }, optional: true, limitBytes: limits.requestBytes },
    answers: [{ status: 200, description: 'Paused.', schema: workflowAnswer }],
    faults: ['forbidden', 'not_found', 'workflow_over'],
  },
  {
    method: 'post',
    path: `${path}/resume`,
    id: 'resumeWorkflow',
    tag: 'Workflows',
    who: 'writer',
    summary: 'Resume a workflow',
    description: 'What waited has its turn, in the order in which it came.',
    answers: [{ status: 200, description: 'Running, or what came of it.', schema: workflowAnswer }],
    faults: ['forbidden', 'not_found', 'workflow_over', 'budget_spent'],
  },
]

const state: readonly Operation[] = [
  {
    method: 'get',
    path: `${path}/state`,
    id: 'getWorkflowState',
    tag: 'Workflows',
    who: 'reader',
    summary: 'Read the shared state',
    query: stateQuery,
    headers: [
      { name: 'If-None-Match', description: 'Answered with 304 while it is still this version.', schema: z.string() },
    ],
    answers: [
      { status: 200, description: 'The state.', schema: stateAnswer, headers: [etag] },
      { status: 304, description: 'It is still the version that you have.', headers: [etag] },
    ],
    faults: ['forbidden', 'not_found'],
  },
  {
    method: 'patch',
    path: `${path}/state`,
    id: 'patchWorkflowState',
    tag: 'Workflows',
    who: 'writer',
    summary: 'Change the shared state',
    description:
      'A JSON Merge Patch (RFC 7396), or a JSON Patch (RFC 6902) of which every operation applies or none. A writer who is late changes nothing.',
    query: patchQuery,
    headers: [
      {
        name: 'If-Match',
        description:
          'The ETag of the state that you saw, or several of which any will do; `*` when it does not matter.',
        schema: z.string(),
      },
      key,
    ],
    body: {
      types: {
        'application/merge-patch+json': mergeRequest,
        'application/json': mergeRequest,
        'application/json-patch+json': patchRequest,
      },
      limitBytes: limits.stateBytes,
    },
    answers: [{ status: 200, description: 'The next version.', schema: writtenAnswer, headers: [etag] }],
    faults: [
      'forbidden',
      'not_found',
      'version_mismatch',
      'version_required',
      'patch_failed',
      'operation_reused',
      'workflow_over',
    ],
  },
  {
    method: 'post',
    path: `${path}/state`,
    id: 'operateOnWorkflowState',
    tag: 'Workflows',
    who: 'writer',
    summary: 'Change the shared state by operations that never conflict',
    description:
      '`increment`, `append`, `setIfAbsent` and `max` say what they add, whatever is there by then: no version is needed.',
    query: operationsQuery,
    headers: [key],
    body: { types: { 'application/json': operationsRequest }, limitBytes: limits.stateBytes },
    answers: [{ status: 200, description: 'The next version.', schema: writtenAnswer, headers: [etag] }],
    faults: ['forbidden', 'not_found', 'patch_failed', 'operation_reused', 'workflow_over'],
  },
]

const past: readonly Operation[] = [
  {
    method: 'get',
    path: `${path}/history`,
    id: 'getWorkflowHistory',
    tag: 'Workflows',
    who: 'reader',
    summary: 'Read what happened to a workflow',
    description: `Oldest first; the last ${limits.historyEntries} entries are kept.`,
    query: historyQuery,
    answers: [{ status: 200, description: 'Entries.', schema: historyAnswer }],
    faults: ['forbidden', 'not_found'],
  },
  {
    method: 'get',
    path: `${path}/messages`,
    id: 'getWorkflowMessages',
    tag: 'Workflows',
    who: 'reader',
    summary: 'Read what a workflow sent, and what became of it',
    description: 'In the order in which it was sent. A receipt of each delivery tells the rest.',
    query: messagesQuery,
    answers: [{ status: 200, description: 'Messages, without their data.', schema: messagesAnswer }],
    faults: ['forbidden', 'not_found'],
  },
  {
    method: 'get',
    path: `${path}/watch`,
    id: 'watchWorkflow',
    tag: 'Workflows',
    who: 'reader',
    summary: 'Watch what happens to a workflow',
    description:
      'Server-sent events: each entry of the history, its number as `id` and its kind as `event`. The stream ends when the workflow has ended, or when time is up; with `Last-Event-ID` it goes on where it ended.',
    query: watchQuery,
    headers: [
      { name: 'Last-Event-ID', description: 'The number of the last entry that you have.', schema: z.string() },
    ],
    answers: [{ status: 200, description: 'Entries as they come.', type: 'text/event-stream', schema: z.string() }],
    faults: ['forbidden', 'not_found'],
  },
]

/** In the order of the reference page. */
export const workflowOperations: readonly Operation[] = [...lifecycle, ...state, ...past, ...definitionOperations]

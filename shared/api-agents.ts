/**
 * The operations on agents and keys, and those that need no key: health and the documents about the interface itself.
 * Never here: their bodies (shared/api-agent-bodies.ts), what the gateway may answer to anything (shared/api-operation.ts).
 */
import * as z from 'zod'
import { registration } from './agent.ts'
import {
  agentAnswer,
  agentKeyRequest,
  agentsAnswer,
  agentsQuery,
  appKeyRequest,
  deleteAgentQuery,
  keysAnswer,
  keysQuery,
  mailboxAnswer,
  newKeyAnswer,
  pauseRequest,
  registeredAnswer,
  resumeRequest,
  secretAnswer,
  secretRequest,
  verifyAnswer,
} from './api-agent-bodies.ts'
import { directoryVersion, type Operation, type Parameter, type RequestBody } from './api-operation.ts'
import { limits } from './limits.ts'

const json = (schema: z.ZodType, optional?: true): RequestBody => ({
  types: { 'application/json': schema },
  limitBytes: limits.requestBytes,
  ...(optional === undefined ? {} : { optional }),
})

const repeated = (description: string): Parameter => ({
  name: 'Idempotency-Key',
  description,
  schema: z.string().min(1).max(limits.idempotencyKeyLength),
})

const agents: readonly Operation[] = [
  {
    method: 'get',
    path: '/v1/agents',
    id: 'listAgents',
    tag: 'Agents',
    who: 'key',
    summary: 'Discover agents',
    query: agentsQuery,
    answers: [{ status: 200, description: 'Agents.', schema: agentsAnswer }],
    faults: [],
  },
  {
    method: 'put',
    path: '/v1/agents/{agent}',
    id: 'putAgent',
    tag: 'Agents',
    who: 'admin',
    summary: 'Register an agent, or change it',
    description:
      'A webhook is verified by a challenge; until it has answered, its mail waits. The key and the secret are shown once. Of an agent that there is, what is left out of `permissions` stays as it was; everything else is as the call says, with the defaults for what it leaves out.',
    body: json(registration),
    answers: [
      { status: 201, description: 'Created.', schema: registeredAnswer, headers: [directoryVersion] },
      {
        status: 200,
        description: 'Changed; its mail, pauses and secrets stay.',
        schema: registeredAnswer,
        headers: [directoryVersion],
      },
    ],
    faults: ['forbidden', 'invalid_url'],
  },
  {
    method: 'get',
    path: '/v1/agents/{agent}',
    id: 'getAgent',
    tag: 'Agents',
    who: 'key',
    summary: 'Read an agent',
    answers: [{ status: 200, description: 'The agent.', schema: agentAnswer }],
    faults: ['agent_not_found'],
  },
  {
    method: 'delete',
    path: '/v1/agents/{agent}',
    id: 'deleteAgent',
    tag: 'Agents',
    who: 'admin',
    summary: 'Delete an agent and its keys',
    description:
      'Refused while it has mail, unless `mail` says what becomes of it. Kept mail waits for whoever is registered under the name in time; until then nobody finds the agent, what is in flight may finish, and afterwards the mail is dead letters, `agent_left`. Reassigned mail is accepted by the other mailbox first, in the order of its line, and then ends here as `cancelled` with a step `reassigned` that names the new delivery. What is in flight is fenced: a late ack is refused. When the other mailbox is full, what did not fit stays; the same call again goes on.',
    query: deleteAgentQuery,
    answers: [{ status: 204, description: 'Gone.', headers: [directoryVersion] }],
    faults: ['forbidden', 'agent_not_found', 'agent_has_mail', 'backpressure', 'unroutable'],
  },
]

const operating: readonly Operation[] = [
  {
    method: 'get',
    path: '/v1/agents/{agent}/mailbox',
    id: 'getMailbox',
    tag: 'Agents',
    who: 'agent',
    summary: 'Read a mailbox’s figures',
    answers: [{ status: 200, description: 'How much, how old, and what is going on.', schema: mailboxAnswer }],
    faults: ['forbidden', 'agent_not_found'],
  },
  {
    method: 'post',
    path: '/v1/agents/{agent}/pause',
    id: 'pauseAgent',
    tag: 'Agents',
    who: 'agent',
    summary: 'Pause: park all mail, at no attempt',
    body: json(pauseRequest, true),
    answers: [{ status: 200, description: 'Paused.', schema: agentAnswer }],
    faults: ['forbidden', 'agent_not_found'],
  },
  {
    method: 'post',
    path: '/v1/agents/{agent}/resume',
    id: 'resumeAgent',
    tag: 'Agents',
    who: 'agent',
    summary: 'Resume: lift a pause and a hold',
    description:
      'With `catchUp` what it does not want of the mail that is due is put aside first: each ends as `cancelled`, `because` `skipped_on_catch_up`. What is in flight or not yet due is left alone.',
    headers: [
      repeated(
        `With the same key and body it is done once: a repeat changes nothing, and shows the agent as it is by then. The last ${limits.resumesRemembered} calls are remembered.`,
      ),
    ],
    body: json(resumeRequest, true),
    answers: [{ status: 200, description: 'Its mail goes on.', schema: agentAnswer }],
    faults: ['forbidden', 'agent_not_found'],
  },
  {
    method: 'post',
    path: '/v1/agents/{agent}/verify',
    id: 'verifyAgent',
    tag: 'Agents',
    who: 'agent',
    summary: 'Ask a webhook its challenge now',
    answers: [{ status: 200, description: 'What came of it.', schema: verifyAnswer }],
    faults: ['forbidden', 'agent_not_found', 'wrong_kind'],
  },
  {
    method: 'post',
    path: '/v1/agents/{agent}/secret',
    id: 'rotateSecret',
    tag: 'Agents',
    who: 'agent',
    summary: 'Rotate the signing secret',
    headers: [repeated('A repeat is told the same secret, until a newer one is there.')],
    body: json(secretRequest, true),
    answers: [
      { status: 200, description: 'The new secret; the older ones sign beside it for a while.', schema: secretAnswer },
    ],
    faults: ['forbidden', 'agent_not_found', 'already_made'],
  },
]

const keys: readonly Operation[] = [
  {
    method: 'post',
    path: '/v1/agents/{agent}/keys',
    id: 'createAgentKey',
    tag: 'Keys',
    who: 'admin',
    summary: 'Make another key for an agent',
    headers: [repeated('A repeat makes no other key, and is told the id of the first.')],
    body: json(agentKeyRequest, true),
    answers: [{ status: 201, description: 'The key, shown once.', schema: newKeyAnswer }],
    faults: ['forbidden', 'agent_not_found', 'too_many_keys', 'already_made'],
  },
  {
    method: 'get',
    path: '/v1/agents/{agent}/keys',
    id: 'listAgentKeys',
    tag: 'Keys',
    who: 'admin',
    summary: 'List an agent’s keys',
    answers: [{ status: 200, description: 'Keys, without the keys themselves.', schema: keysAnswer }],
    faults: ['forbidden', 'agent_not_found'],
  },
  {
    method: 'delete',
    path: '/v1/agents/{agent}/keys/{key}',
    id: 'revokeAgentKey',
    tag: 'Keys',
    who: 'admin',
    summary: 'Revoke an agent’s key',
    answers: [{ status: 204, description: 'Revoked; it may still work for 5 seconds.' }],
    faults: ['forbidden', 'not_found'],
  },
  {
    method: 'post',
    path: '/v1/keys',
    id: 'createKey',
    tag: 'Keys',
    who: 'admin',
    summary: 'Make a key for an app',
    headers: [repeated('A repeat makes no other key, and is told the id of the first.')],
    body: json(appKeyRequest),
    answers: [{ status: 201, description: 'The key, shown once.', schema: newKeyAnswer }],
    faults: ['forbidden', 'too_many_keys', 'already_made'],
  },
  {
    method: 'get',
    path: '/v1/keys',
    id: 'listKeys',
    tag: 'Keys',
    who: 'admin',
    summary: 'List all keys',
    query: keysQuery,
    answers: [{ status: 200, description: 'Keys, without the keys themselves.', schema: keysAnswer }],
    faults: ['forbidden'],
  },
  {
    method: 'delete',
    path: '/v1/keys/{key}',
    id: 'revokeKey',
    tag: 'Keys',
    who: 'admin',
    summary: 'Revoke a key',
    answers: [{ status: 204, description: 'Revoked; it may still work for 5 seconds.' }],
    faults: ['forbidden', 'not_found'],
  },
]

const page = z.string()

export const notConfigured = z.strictObject({
  status: z.literal('not_configured'),
  missing: z.array(z.string()),
  next: z.string().describe('How to set it.'),
})

const open: readonly Operation[] = [
  {
    method: 'get',
    path: '/healthz',
    id: 'health',
    tag: 'Documents',
    who: 'anyone',
    summary: 'Is it up?',
    description: 'Tells only what its configuration tells: it asks no mailbox.',
    answers: [
      { status: 200, description: 'It is.', schema: z.strictObject({ status: z.literal('ok') }) },
      { status: 503, description: 'It lacks what it needs, and says what.', schema: notConfigured },
    ],
    faults: [],
  },
  {
    method: 'get',
    path: '/openapi.json',
    id: 'openApi',
    tag: 'Documents',
    who: 'anyone',
    summary: 'This document',
    answers: [{ status: 200, description: 'OpenAPI 3.1.', schema: z.looseObject({ openapi: z.string() }) }],
    faults: [],
  },
  {
    method: 'get',
    path: '/docs',
    id: 'docs',
    tag: 'Documents',
    who: 'anyone',
    summary: 'The reference page',
    answers: [{ status: 200, description: 'The same, for people.', schema: page, type: 'text/html' }],
    faults: [],
  },
  {
    method: 'get',
    path: '/problems',
    id: 'problems',
    tag: 'Documents',
    who: 'anyone',
    summary: 'Every problem code',
    description: 'A problem’s `type` points here.',
    answers: [{ status: 200, description: 'What each means and what to do.', schema: page, type: 'text/html' }],
    faults: [],
  },
]

/** In the order of the reference page. */
export const agentOperations: readonly Operation[] = [...agents, ...operating, ...keys]
export const openOperations: readonly Operation[] = open

/**
 * The whole HTTP interface as one table: what the OpenAPI document and the reference page are made of, and what a test
 * compares with the routes that are registered. Never here: handling a request (workers/routes/).
 */
import type * as z from 'zod'
import { registration } from './agent.ts'
import { agentAnswer } from './api-agent-bodies.ts'
import { agentOperations, notConfigured, openOperations } from './api-agents.ts'
import { approvalAnswer, approvalOperations } from './api-approvals.ts'
import {
  attemptAnswer,
  batchAnswer,
  batchRequest,
  eventsRequest,
  leaseAnswer,
  problemBody,
  publishAnswer,
  receiptAnswer,
  receiptsAnswer,
  settledAnswer,
} from './api-bodies.ts'
import { breakerAnswer, breakerOperations } from './api-breaker.ts'
import { chainAnswer, chainInput, chainOperations } from './api-chains.ts'
import { dataOperations } from './api-data.ts'
import { deadLetterOperations } from './api-dead-letters.ts'
import { documentAnswer, documentOperations } from './api-documents.ts'
import { graphOperations, mermaidAnswer } from './api-graph.ts'
import { handshakeAnswer, handshakeOperations } from './api-handshakes.ts'
import { groupsAnswer, letterAnswer, lettersAnswer, redriveAnswer } from './api-letters.ts'
import { binaryData, messageOperations } from './api-messages.ts'
import { observerOperations } from './api-observers.ts'
import type { Operation } from './api-operation.ts'
import { promiseAnswer, promiseOperations } from './api-promises.ts'
import { replayOperations, replaySent, replayShown } from './api-replays.ts'
import { requestAnswer, requestOperations } from './api-requests.ts'
import { resourceBreakerAnswer, resourceOperations } from './api-resources.ts'
import { scatterAnswer, scatterOperations } from './api-scatters.ts'
import { scheduleAnswer, scheduleOperations } from './api-schedules.ts'
import { schemaAnswer, schemaOperations } from './api-schemas.ts'
import { statsOperations } from './api-stats.ts'
import { switchOperations } from './api-switch.ts'
import { publicationAnswer, subscriptionAnswer, topicOperations } from './api-topics.ts'
import { mergeRequest, patchRequest, stateAnswer, workflowAnswer } from './api-workflow-bodies.ts'
import { workflowOperations } from './api-workflows.ts'
import { graphAnswer, graphNode, timelineAnswer, timelineEntry } from './causal-graph.ts'
import { filterNode } from './filter.ts'
import { messageSchema, publishInput } from './message.ts'
import { attemptError } from './outcome.ts'
import { permissionsSchema } from './permissions.ts'
import { policySchema } from './policy.ts'
import { requestInput } from './request.ts'
import { scatterInput } from './scatter.ts'

export const operations: readonly Operation[] = [
  ...messageOperations,
  ...deadLetterOperations,
  ...dataOperations,
  ...replayOperations,
  ...requestOperations,
  ...scatterOperations,
  ...chainOperations,
  ...topicOperations,
  ...observerOperations,
  ...agentOperations,
  ...breakerOperations,
  ...approvalOperations,
  ...promiseOperations,
  ...documentOperations,
  ...scheduleOperations,
  ...schemaOperations,
  ...handshakeOperations,
  ...resourceOperations,
  ...workflowOperations,
  ...graphOperations,
  ...statsOperations,
  ...switchOperations,
  ...openOperations,
]

export const title = 'Switchboard'
/** Of package.json: a test compares. */
export const version = '0.1.0'
export const about =
  'A message broker and workflow coordinator for AI agents. Accepted means never lost; done means done once; and you can always see why. Errors are RFC 9457 problem documents with a stable `code`. Ignore fields that you do not know: more may come.'

export const tags: Readonly<Record<string, string>> = {
  Messages: 'Publishing. A message is a CloudEvent.',
  Deliveries: 'One message on its way to one agent, and the receipt of what became of it.',
  Leases: 'The right to work on a delivery until a deadline, fenced by a token.',
  'Dead letters': 'Deliveries that ended badly, and effects that were refused.',
  Requests: 'A message with an answer that is waited for.',
  Chains: 'One message, and agents that are asked in turn until one takes it.',
  Scatters: 'One question to many agents, or the parts of one work, and what is made of the replies.',
  Topics: 'Publishing to many: who subscribes to what, and what became of each leg.',
  Agents: 'Named participants, each with a mailbox: webhooks, pull agents and handlers.',
  Resources: 'What several agents share and may be down for all of them, such as a model of a provider.',
  Workflows: 'Shared state with a version, the statechart that moves it, and the history of both.',
  Approvals: 'Questions to people, and who decided what.',
  'Large data': 'Documents: what is too large for a message, kept for a time and told of by reference.',
  Promises: 'Results that somebody will bring, and how they ended.',
  Conversations: 'Everything of one `correlationid`: what caused what, and when.',
  Figures: 'How every agent’s mailbox stands.',
  Schedules: 'Messages at given times: by cron in a time zone, once, or every so often.',
  Schemas: 'What the data of messages must be, by type or topic.',
  Keys: 'What callers prove themselves with.',
  Documents: 'About the interface itself. No key is needed.',
}

/** Requests and answers that are named as the nouns they are; the others are named after their operation. */
export const requestNames: Readonly<Record<string, z.ZodType>> = {
  MessageInput: publishInput,
  MessageInputs: batchRequest,
  EventInputs: eventsRequest,
  BinaryData: binaryData,
  Registration: registration,
  RequestInput: requestInput,
  ScatterInput: scatterInput,
  ChainInput: chainInput,
  FilterInput: filterNode,
  MergePatch: mergeRequest,
  JsonPatch: patchRequest,
}

export const answerNames: Readonly<Record<string, z.ZodType>> = {
  Problem: problemBody,
  NotConfigured: notConfigured,
  Message: messageSchema,
  Published: publishAnswer,
  PublishedEach: batchAnswer,
  Receipt: receiptAnswer,
  Receipts: receiptsAnswer,
  Attempt: attemptAnswer,
  AttemptError: attemptError,
  Leased: leaseAnswer,
  Settled: settledAnswer,
  DeadLetter: letterAnswer,
  ReplayShown: replayShown,
  ReplaySent: replaySent,
  DeadLetters: lettersAnswer,
  DeadLetterGroups: groupsAnswer,
  Redriven: redriveAnswer,
  Subscription: subscriptionAnswer,
  Filter: filterNode,
  Request: requestAnswer,
  Scatter: scatterAnswer,
  Chained: chainAnswer,
  Publication: publicationAnswer,
  Agent: agentAnswer,
  Breaker: breakerAnswer,
  Handshake: handshakeAnswer,
  ResourceBreaker: resourceBreakerAnswer,
  Workflow: workflowAnswer,
  WorkflowState: stateAnswer,
  Approval: approvalAnswer,
  Promise: promiseAnswer,
  Document: documentAnswer,
  Schedule: scheduleAnswer,
  Schema: schemaAnswer,
  Graph: graphAnswer,
  GraphNode: graphNode,
  Timeline: timelineAnswer,
  TimelineEntry: timelineEntry,
  Mermaid: mermaidAnswer,
  Permissions: permissionsSchema,
  Policy: policySchema,
}

/** What the attributes of a message mean, beyond their types. */
export const attributes: Readonly<Record<string, string>> = {
  id: 'The publisher’s own id; a UUIDv7 if left out. Without an Idempotency-Key it is what a duplicate is recognised by.',
  source: 'Who says it. Stamped from the key; another one must be among the key’s `sources`.',
  type: 'What it is, such as `research.requested`.',
  data: 'The content: any JSON.',
  data_base64: 'The content, when it is bytes.',
  to: 'An agent’s name; `*`, every agent but the sender; or `capability:<skill>`, one healthy agent that has it. Exactly one of `to` and `topic`; leaving both out never means everybody.',
  topic: 'A dotted topic: everybody who subscribes to it.',
  correlationid: 'The conversation. Inherited by what the message sets off.',
  causationid: 'The id of the message that caused this one.',
  replyto: 'Where replies go, as if the sender sent there: an agent, or `topic:<topic>`. Not under at_most_once.',
  receiptto:
    'Who is told how each delivery of it ended, as if the sender sent there: an agent, or `topic:<topic>`. Not under at_most_once.',
  workflowid: 'The workflow that this belongs to. Not under at_most_once.',
  deliverymode: '`at_least_once` unless said otherwise.',
  partitionkey: 'Strict order among messages with this key to one agent.',
  delivertime: 'Not before.',
  expirytime: 'Not after.',
  priority: '0 to 9, 4 unless said otherwise; higher first. One level is gained per minute waited.',
  onunroutable:
    'For a publish to many that reaches nobody: `dead` keeps it as a dead letter (the default), `drop` forgets it, `reject` refuses it.',
  chain: 'The agents still to be asked, in order, if those before them pass.',
  chainopen:
    '`skip`: an agent of the chain whose breaker is open is passed over. `park`, the default: the message waits for it.',
  traceparent: 'W3C trace context; continued on every hop.',
}

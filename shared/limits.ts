/**
 * Every limit of Switchboard, in one place, with the reason for its size. Never here: policy defaults (shared/policy.ts),
 * which an operator may change per agent; these are fixed.
 * The platform's own limits are on Cloudflare's pages "Queues limits" and "Durable Objects limits".
 */

export const limits = {
  /** A whole message, as stored. A Durable Object row holds 2 MB; half of it leaves room for the record beside the body. */
  messageBytes: 1_048_576,
  /** A message that travels in the queue itself (`at_most_once`). A queue message holds 128 kB, and 64 KB is one billed operation. */
  queueMessageBytes: 64_000,
  /** Any other JSON request body. */
  requestBytes: 262_144,
  /** A batch of messages. 100 bodies of the largest size would not fit a Worker's 128 MB twice over. */
  batchBytes: 8_388_608,
  batchMessages: 100,
  /** Deliveries in one call to an agent, and how much of its answer to them is read. */
  batchDeliveries: 100,
  batchAnswerBytes: 8_388_608,
  /** Nesting of arrays and objects. Deeper input is either an accident or an attack on recursive code. */
  jsonDepth: 64,
  /** Attributes of one message beyond those Switchboard knows. */
  extensionAttributes: 32,
  attributeNameLength: 20,
  attributeLength: 1_024,
  typeLength: 255,
  idLength: 255,
  idempotencyKeyLength: 255,
  agentNameLength: 64,
  topicLength: 255,
  urlLength: 2_048,
  /** What an attempt may leave behind. Both live in the delivery's row until its effects are carried. */
  resultBytes: 262_144,
  effectsBytes: 524_288,
  effectsPerAttempt: 100,
  /** How much of a receiver's answer is read at all: result and effects together, and a margin for the JSON around them. */
  answerBytes: 1_048_576,
  /** How much of a failed answer is kept as evidence. */
  errorBodyBytes: 4_096,
  errorMessageLength: 1_000,
  /** The causal chain: at the 33rd hop a message dies as `hop_limit`. */
  hops: 32,
  /** What a workflow may let one root set off. */
  descendants: 100_000,
  /** One attempt that the consumer waits for: an invocation may run for 15 minutes, and its end must still be reported. */
  timeoutSeconds: 840,
  /** What an agent says of how far its work is. Kept in the lease's row, beside those of the same take. */
  progressNoteLength: 1_000,
  /** Kept on one receipt; older entries give way to newer ones and the receipt says `truncated`. */
  stepsPerReceipt: 100,
  attemptsPerReceipt: 50,
  /** Overdue mail of one agent that the hourly sweep announces again, the latest, in case a queue lost it. */
  alertsRepeated: 100,
  /** One pull lease. Longer work extends. */
  leaseSeconds: 43_200,
  leaseMax: 100,
  /** Bodies handed out by one lease call. A call between Worker and object carries at most 32 MiB. */
  leaseBytes: 8_388_608,
  /** All extensions of one lease together. */
  claimSeconds: 86_400,
  /** Long polls. A proxy on the way commonly cuts at 60 s. */
  waitSeconds: 50,
  delaySeconds: 31_536_000,
  /** How long a debounced message is held back, and its series with it. */
  debounceSeconds: 604_800,
  /** One request, and each repeat of it by its `onTimeout`. People are asked too, and answer in days. */
  requestSeconds: 604_800,
  requestRetries: 10,
  /** What an asker keeps with its request. It shares a row with the request's record. */
  contextBytes: 65_536,
  /** Replies of one gather beyond one for each leg that are kept: duplicates and late ones. Later ones are counted. */
  lateReplies: 10,
  /** Legs of one scatter: each a row of its object, and a message. */
  scatterLegs: 1_000,
  /** Whom one scatter may be for: each is asked how it stands before the chunks are given out. */
  scatterAgents: 100,
  scatterItems: 10_000,
  /** All messages of one scatter together: what is said to everybody is in each. */
  scatterBytes: 33_554_432,
  /** Replies told in one answer about a scatter. A call between Worker and object carries at most 32 MiB. */
  scatterAnswerBytes: 8_388_608,
  /** What a reducer is told of replies. The rest of its message needs room in a row too. */
  summaryBytes: 524_288,
  /** Requests of one asker that its list of pending ones shows. */
  requestsListed: 10_000,
  redriveMany: 100,
  /** Letters of one export; the next goes on from where it ended. */
  lettersExported: 10_000,
  /** The publisher's data, kept beside that of an edited dead letter. */
  originalBytes: 65_536,
  editsKept: 10,
  pageSize: 100,
  /** How long the mail of an agent that left may be kept, and how long it is when nobody says. */
  keepMailSeconds: 2_592_000,
  keepMailDefaultSeconds: 86_400,
  /** How far back an agent that was away may want its mail, and how much is put aside in one step of its mailbox. */
  catchUpBackSeconds: 31_536_000,
  catchUpPerStep: 500,
  /** Calls that resumed an agent, so that a repeat of one is known. */
  resumesRemembered: 8,
  /** Names that are told of those nearly like one that nobody has; of how many such names at once, and of how many they are looked for. */
  suggestions: 3,
  suggestedFor: 10,
  namesCompared: 2_000,
  capabilitiesPerAgent: 64,
  protocolVersions: 16,
  skillsPerAgent: 64,
  skillTags: 32,
  skillModes: 16,
  skillDescriptionLength: 1_024,
  /** All skills of one agent, as JSON. They are part of its record, which travels with every lease. */
  cardBytes: 32_768,
  /** Handshakes that an agent's object keeps of one asker, and of all together; the oldest give way. */
  handshakesPerPair: 10,
  handshakesPerAgent: 1_000,
  handshakeSeconds: 2_592_000,
  /** How long an agent that negotiates itself is waited for when the caller does not say. */
  handshakeWaitSeconds: 5,
  /** Each is asked once for every batch of its agent's mail. */
  resourcesPerAgent: 8,
  /** With the prefix before it, a topic. */
  resourceNameLength: 128,
  /** A pause that a resource asks for holds everybody who declares it: daily quotas, and no longer. */
  resourceHoldSeconds: 86_400,
  /** Permits that one resource remembers. What it no longer remembers tells it nothing. */
  permitsPerResource: 1_024,
  permissionPatterns: 100,
  /** Rows of one mailbox, live and remembered. Beyond it the mailbox answers `backpressure`. */
  mailboxRows: 5_000_000,
  /** Receipts of one bucket that keep their details; later ones are stored without steps and attempts, `truncated: true`. */
  detailedReceiptsPerBucket: 100_000,
  secretsPerAgent: 3,
  webhookHeaders: 10,
  webhookHeaderName: 64,
  /** A JWT may be long. */
  webhookHeaderValue: 4_096,
  keysPerAgent: 20,
  /** What one key may publish, unless it says otherwise: far more than one isolate gets stored, so it stops loops, not load. */
  keyMessages: 30_000,
  keyMessagesPerSeconds: 10,
  /** Legs of one publication that are kept by name, and answered with the 202. More are expanded by pattern. */
  legsNamed: 100,
  legsPerPage: 100,
  /**
   * Legs that one invocation asks, of all its publications together. Each is two calls of the platform's own services, an object
   * and a queue, and the free plan allows a thousand of them to an invocation (docs/decisions/0016).
   */
  legsPerInvocation: 400,
  /** Legs of one publication that wait for room, by name, before its expansion waits with them. They share a row with the body. */
  legsPending: 5_000,
  subscriptionsPerAgent: 1_000,
  /** What one isolate remembers of whom publishes to many are for: so many audiences, each a page of at most so much. */
  audiencesRemembered: 256,
  audienceCharacters: 65_536,
  /** Parts of one subscription's filter: what every publish to its topic pays for it. */
  filterCost: 64,
  /** One object fires them all: at most so many, and so many of one owner. */
  schedules: 10_000,
  schedulesPerOwner: 1_000,
  /** Firings of one schedule that are due and not yet published; time waits for them. They share its row with the history. */
  firingsPending: 50,
  /** Firings of one schedule that can still be read. */
  firingsKept: 50,
  catchUpSeconds: 604_800,
  jitterSeconds: 3_600,
  scheduleReasonLength: 255,
  /**
   * One object has them all: so many with those that ended within a week, so many of one owner that are pending, and so many of one
   * owner with those that ended: else whoever asks and withdraws again and again leaves nobody else a place for a week.
   */
  approvals: 50_000,
  approvalsPerOwner: 1_000,
  approvalsKeptPerOwner: 10_000,
  /** How long a question to a person may wait in each of its stages, and one that is overdue in all. */
  approvalSeconds: 2_592_000,
  approvalStages: 5,
  /** Whom one stage asks. Each is a message. */
  approvalAsked: 10,
  approvalOptions: 10,
  approvalQuestionLength: 4_096,
  approvalContextBytes: 16_384,
  approvalNoteLength: 1_000,
  /** How long a promise may be pending, how long it is when nobody says, and whom it names as those who may end it. */
  promiseSeconds: 2_592_000,
  promiseDefaultSeconds: 86_400,
  promiseResolvers: 50,
  /** States of named definitions of which it is added up how long they last. */
  durationsKept: 2_000,
  /** Spans that one invocation keeps until a collector gets them, and links of one span. */
  spansKept: 512,
  spanLinks: 128,
  /** Schemas that messages are held to. Each isolate that publishes keeps all of them in memory. */
  schemas: 200,
  schemaBytes: 32_768,
  schemasBytes: 1_048_576,
  schemaDepth: 32,
  /** Mismatches told of one message. */
  mismatches: 20,
  /** Data up to this size is told all that is wrong with it; larger data only the first: a million errors would fill the isolate. */
  thoroughBytes: 65_536,
  /** A workflow's shared state. Every commit of it writes it whole, and a refused write carries it to whoever was late. */
  stateBytes: 262_144,
  patchOperations: 100,
  /** Paths of one projection. */
  selectedPaths: 32,
  /** All paths of one subscription: they travel with each of its deliveries, and stay on the receipts. */
  selectionLength: 2_048,
  /** What a workflow remembers of its past: entries, and with them the ids of operations and events. */
  historyEntries: 10_000,
  /** Of that, how much of what changes replaced: what earlier versions of the state are made of. */
  historyBytes: 8_388_608,
  /** Events that wait while a workflow is paused. More are refused until it is resumed. */
  deferredEvents: 1_000,
  /** Messages that one workflow sends in its life. A loop that nobody bounded pauses it here. */
  workflowEffects: 10_000,
  /** One causal graph: its nodes, and the calls to objects that reading them may take. The free plan allows a thousand to an invocation. */
  graphNodes: 250,
  graphCalls: 400,
  graphMessages: 500,
  timelineEntries: 2_000,
  /** What one look for a correlation reads: calls to mailboxes, and rows of each table in a call. */
  correlationCalls: 40,
  correlationRows: 2_000,
  /** One document, and what of it goes in one row and one call: 25 of them fit an object's call thrice over. */
  documentBytes: 26_214_400,
  documentChunkBytes: 1_048_576,
  documentSecondsMin: 60,
  documentSeconds: 2_678_400,
  documentSecondsDefault: 604_800,
  /** An upload that is not complete by then is forgotten. */
  uploadSeconds: 3_600,
  /** Mailboxes in one page of figures: each is a call. */
  statsAgents: 250,
  /** Rows of one mailbox that an audit counts: about half a second in which it does nothing else. A larger one is not counted. */
  auditRows: 1_000_000,
  auditAgents: 100,
  auditMismatchesNamed: 100,
  /** Dead letters counted for the figures, newest first: each is a row read. */
  lettersCounted: 100_000,
  /** Of those, how many are remembered once they ended, so that an agent's error can have one sent again. */
  effectsKept: 1_000,
  /** What a budget may be, and what one attempt may say that it used. */
  budgetMessages: 10_000_000,
  budgetTokens: 1_000_000_000_000,
  budgetUsd: 10_000_000,
  budgetSeconds: 31_536_000,
  /** Agents that a workflow remembers as holding its mail. Others' mail asks again by itself. */
  agentsHolding: 1_000,
  /** One stream of a workflow's history. It ends after so long, and is taken up again with `Last-Event-ID`. */
  watchSeconds: 300,
  workflowKeptSeconds: 2_592_000,
  workflowDefinitions: 1_000,
  versionsPerDefinition: 100,
  /** A statechart: what is read again whenever its workflow's object wakes, and walked in each microstep. */
  chartBytes: 131_072,
  chartStates: 500,
  chartDepth: 16,
  chartTransitions: 1_000,
  /** States without substates that may be active at once: what a microstep costs grows with their square. */
  chartRegions: 16,
  /** Microsteps of one step: an `always` or a `raise` that feeds itself ends here. */
  chartMicrosteps: 128,
  /** The actions of one step, and what they may make of values, in characters of JSON. An `update` weighs the whole state. */
  chartStepActions: 256,
  chartStepBytes: 1_048_576,
  chartRetries: 100,
  /** How long a browser that logged in stays so, and how much a form may hold. */
  sessionSeconds: 43_200,
  formBytes: 8_192,
  /** Signed webhooks: how far a timestamp may be from now (Standard Webhooks advises a few minutes). */
  signatureToleranceSeconds: 300,
} as const

export type Limits = typeof limits

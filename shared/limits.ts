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
  /** One attempt that the consumer waits for: an invocation may run for 15 minutes, and its end must still be reported. */
  timeoutSeconds: 840,
  /** What an agent says of how far its work is. Kept in the lease's row, beside those of the same take. */
  progressNoteLength: 1_000,
  /** Kept on one receipt; older entries give way to newer ones and the receipt says `truncated`. */
  stepsPerReceipt: 100,
  attemptsPerReceipt: 50,
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
  redriveMany: 100,
  pageSize: 100,
  capabilitiesPerAgent: 64,
  permissionPatterns: 100,
  /** Rows of one mailbox, live and remembered. Beyond it the mailbox answers `backpressure`. */
  mailboxRows: 5_000_000,
  /** Receipts of one bucket that keep their details; later ones are stored without steps and attempts, `truncated: true`. */
  detailedReceiptsPerBucket: 100_000,
  secretsPerAgent: 3,
  keysPerAgent: 20,
  /** Legs of one publication that are kept by name, and answered with the 202. More are expanded by pattern. */
  legsNamed: 100,
  legsPerPage: 100,
  /** Legs of one publication that wait for room, by name, before its expansion waits with them. They share a row with the body. */
  legsPending: 5_000,
  subscriptionsPerAgent: 1_000,
  /** Parts of one subscription's filter: what every publish to its topic pays for it. */
  filterCost: 64,
  /** Signed webhooks: how far a timestamp may be from now (Standard Webhooks advises a few minutes). */
  signatureToleranceSeconds: 300,
} as const

export type Limits = typeof limits

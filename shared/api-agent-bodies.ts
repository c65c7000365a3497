/**
 * What goes in and comes out over HTTP for agents and keys: the schemas that the routes parse with and that the OpenAPI
 * document shows. The body of PUT /v1/agents/{agent} is a noun of its own (shared/agent.ts). Never here: paths and callers.
 */
import * as z from 'zod'
import { pageOf, pageQuery } from './api-operation.ts'
import { negotiator, skillSchema } from './card.ts'
import { catchUpPolicy } from './catch-up-policy.ts'
import { agentName } from './ids.ts'
import { limits } from './limits.ts'
import { permissionsInput, permissionsSchema } from './permissions.ts'
import { agentKind, policySchema } from './policy.ts'
import { publishRate } from './publish-rate.ts'

const time = z.iso.datetime()
const day = 86_400

// --- agents -----------------------------------------------------------------------------------------------------------

export const agentAnswer = z.strictObject({
  agent: z.string(),
  kind: agentKind,
  url: z.string().optional().describe('A webhook’s. Only the agent itself and an admin are told it.'),
  headers: z
    .array(z.string())
    .optional()
    .describe('A webhook’s own: their names, to the agent itself and an admin. Nobody is told their values.'),
  capabilities: z.array(z.string()),
  accepts: z.array(z.string()),
  protocolVersions: z.array(z.string()).describe('What it speaks.'),
  skills: z.array(skillSchema),
  handshake: negotiator.describe('Who answers a handshake with it: the broker from this registration, or the agent.'),
  etag: z
    .string()
    .describe('Changes when its versions, capabilities, skills or negotiator do: handshakes are then stale.'),
  resources: z.array(z.string()).describe('What it shares with others: its mail waits while one of them is down.'),
  policy: policySchema.describe('The policy in force, defaults filled in.'),
  permissions: permissionsSchema,
  verified: z.boolean().describe('False until a webhook has answered its challenge; until then its mail waits.'),
  paused: z.strictObject({ since: time, reason: z.string(), until: time.optional() }).optional(),
  catchingUp: z
    .strictObject({ how: catchUpPolicy, from: time })
    .optional()
    .describe('It came back, and what it does not want of its mail is being put aside.'),
  heldUntil: time.optional().describe('The agent, or a resource that it needs, asked for quiet until then.'),
  createdAt: time,
  updatedAt: time,
})

export const registeredAnswer = agentAnswer.extend({
  key: z.string().optional().describe('Shown once: by the call that stored it as the agent’s first.'),
  secret: z.string().optional().describe('Shown once: what this agent’s webhooks are signed with.'),
})

export const agentsQuery = z.object({
  capability: z.string().min(1).max(limits.typeLength).optional().describe('Only agents that have it.'),
  ...pageQuery,
})

/** A line of the index: the whole agent is at GET /v1/agents/{agent}. */
export const agentsAnswer = pageOf(
  z.strictObject({
    agent: z.string(),
    kind: agentKind,
    capabilities: z.array(z.string()),
    verified: z.boolean(),
    updatedAt: time,
  }),
)

/** `reassign:<agent>`, or `reassign:capability:<skill>`. */
const reassignTo = z.templateLiteral(['reassign:', agentName])
const reassignToSkill = z.templateLiteral(['reassign:capability:', z.string().min(1).max(limits.typeLength)])

export const deleteAgentQuery = z.object({
  mail: z
    .union([z.literal('dead'), z.literal('keep'), reassignToSkill, reassignTo])
    .optional()
    .describe(
      'What becomes of mail that has not ended: it ends as dead letters; it is kept for whoever is registered under this name within `keepSeconds`; or it goes to the mailbox of another agent, by name or the least loaded that has a capability.',
    ),
  keepSeconds: z.coerce
    .number()
    .min(0.05)
    .max(limits.keepMailSeconds)
    .optional()
    .describe(`With \`mail=keep\`: for how long. ${limits.keepMailDefaultSeconds} if left out.`),
})

export const mailboxAnswer = z.strictObject({
  agent: z.string(),
  depth: z.int().describe('Deliveries that have not ended.'),
  states: z
    .strictObject({
      held: z.int(),
      parked: z.int(),
      queued: z.int(),
      dispatched: z.int(),
      delivered: z.int(),
      claimed: z.int(),
    })
    .describe('Of those, how many have which status.'),
  inFlight: z.int().describe('Leased now.'),
  released: z.int().describe('On the queue, not yet taken.'),
  redelivered: z.int().describe('Of `depth`, those with more than one attempt, counting the one that is under way.'),
  breaker: z.enum(['closed', 'open', 'half_open']),
  parked: z.string().optional().describe('Why all mail waits, when it does.'),
  quiet: z.string().optional().describe('That a pull agent asks for no mail, when it does not.'),
  oldestAt: time.optional().describe('When the oldest that has not ended was accepted.'),
  nextDueAt: time.optional().describe('When the mailbox looks again at the latest.'),
})

// --- operating --------------------------------------------------------------------------------------------------------

export const pauseRequest = z
  .strictObject({
    reason: z.string().min(1).max(limits.errorMessageLength).default('paused by an operator'),
    seconds: z
      .number()
      .min(0.05)
      .max(limits.delaySeconds)
      .optional()
      .describe('Resumes by itself after that. Absent: only when somebody resumes it.'),
  })
  .prefault({})

export const resumeRequest = z
  .strictObject({
    catchUp: catchUpPolicy
      .optional()
      .describe('What it wants of the mail that came meanwhile. Absent: what its policy says, if it was paused.'),
  })
  .prefault({})

export const verifyAnswer = agentAnswer.extend({
  error: z
    .strictObject({ code: z.string(), message: z.string() })
    .optional()
    .describe('Why the challenge was not answered, when it was not.'),
})

export const secretRequest = z
  .strictObject({
    overlapSeconds: z
      .number()
      .min(0)
      .max(30 * day)
      .default(day)
      .describe('For so long the older secrets sign beside the new one.'),
  })
  .prefault({})

export const secretAnswer = z.strictObject({
  agent: z.string(),
  secret: z.string().describe('Shown once.'),
})

// --- keys -------------------------------------------------------------------------------------------------------------

const expiresInSeconds = z
  .number()
  .min(1)
  .max(10 * 365 * day)
  .optional()
  .describe('Absent: until it is revoked.')

const rate = publishRate
  .optional()
  .describe(
    `How much may be published with it; ${limits.keyMessages} messages in ${limits.keyMessagesPerSeconds} s if left out.`,
  )

export const agentKeyRequest = z.strictObject({ expiresInSeconds, rate }).prefault({})

export const appKeyRequest = z.strictObject({
  name: agentName.describe('The app. What it publishes has the source `app/<name>`.'),
  permissions: permissionsInput.optional(),
  expiresInSeconds,
  rate,
})

export const newKeyAnswer = z.strictObject({
  id: z.string().describe('Names the key in lists, and to revoke it.'),
  key: z.string().describe('Shown once.'),
  expiresAt: time.optional(),
})

export const keysQuery = z.object(pageQuery)

export const keysAnswer = pageOf(
  z.strictObject({
    id: z.string(),
    owner: z.string().describe('`agent/<name>` or `app/<name>`.'),
    permissions: permissionsSchema.optional().describe('An app’s. An agent’s key may do what its agent may.'),
    rate: publishRate.optional().describe('What may be published with it, where that is not the usual.'),
    createdAt: time,
    expiresAt: time.optional(),
  }),
)

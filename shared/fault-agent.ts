/**
 * What Switchboard refuses because of how an agent is, and what a caller is told of it. Part of the one union in shared/fault.ts.
 * Never here: what the calling key may do (shared/fault-access.ts).
 */
import { unreachable } from './result.ts'
import { didYouMean } from './suggestion.ts'

export type AgentFault =
  /** `suggestions`: names nearly like it that the caller may send to, the nearest first. */
  | { readonly code: 'agent_not_found'; readonly agent: string; readonly suggestions?: readonly string[] }
  | { readonly code: 'agent_has_mail'; readonly agent: string; readonly depth: number }
  | { readonly code: 'wrong_kind'; readonly agent: string; readonly kind: string; readonly needed: string }
  | {
      readonly code: 'backpressure'
      readonly agent: string
      readonly depth: number
      readonly max: number
      readonly retryAfterSeconds: number
    }

/** The status, and a sentence that tells the caller what to do next. */
export function wireOfAgent(f: AgentFault) {
  switch (f.code) {
    case 'agent_not_found':
      return {
        status: 404,
        title: 'No such agent',
        detail: `No agent is registered as \`${f.agent}\`.${didYouMean(f.suggestions)} Register it with PUT /v1/agents/${f.agent}. Nothing was sent.`,
      }
    case 'agent_has_mail':
      return {
        status: 409,
        title: 'Agent has mail',
        detail: `\`${f.agent}\` still holds ${f.depth} deliveries. Let them end first, or say what becomes of them: ?mail=dead ends them as dead letters, ?mail=keep keeps them for a time, ?mail=reassign:<agent> moves them.`,
      }
    case 'wrong_kind':
      return {
        status: 409,
        title: 'Wrong kind of agent',
        detail: `\`${f.agent}\` is a ${f.kind} agent; this needs a ${f.needed} agent.`,
      }
    case 'backpressure':
      return {
        status: 429,
        title: 'Mailbox full',
        detail: `\`${f.agent}\` holds ${f.depth} deliveries that have not ended; ${f.max} is the most it takes from publishers. Nothing was stored: send again later.`,
        retryable: true,
        headers: { 'Retry-After': String(Math.ceil(f.retryAfterSeconds)) },
      }
    default:
      return unreachable(f)
  }
}

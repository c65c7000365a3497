/**
 * The faults of a request: nobody replied in time, nobody will, or nobody may be asked (T18: each is told apart). Never here:
 * the other faults (shared/fault.ts).
 */
import { unreachable } from './result.ts'

/** Whom the asker hears of, and what became of the delivery. */
interface Failed {
  readonly why: string
  readonly agent: string
  readonly delivery?: string
  readonly status?: string
  readonly reason?: string
  readonly error?: { readonly code: string; readonly message: string; readonly httpStatus?: number | undefined }
}

export type RequestFault =
  | {
      readonly code: 'request_timeout'
      readonly request: string
      readonly timeoutSeconds: number
      readonly asked: number
    }
  | ({ readonly code: 'request_failed'; readonly request: string } & Failed)
  | { readonly code: 'request_over'; readonly request: string; readonly ended: string }
  | {
      readonly code: 'breaker_open'
      readonly agent: string
      /** Absent: it was a message, and nothing was stored. */
      readonly request?: string
      readonly retryAfterSeconds: number
      readonly openedAt?: string
      readonly lastError?: string
    }

/** The status, and a sentence that tells the caller what to do next. */
export function wireOfRequest(f: RequestFault) {
  switch (f.code) {
    case 'request_timeout':
      return {
        status: 504,
        title: 'No reply in time',
        detail: `Nobody replied within ${f.timeoutSeconds} s. A reply that still comes is kept: GET /v1/requests/${f.request} tells it as late. Ask again, with more time or with \`onTimeout\`.`,
        retryable: true,
      }
    case 'request_failed':
      return {
        status: 502,
        title: 'Nobody will reply',
        detail: `\`${f.agent}\` will not reply: ${reasonOf(f)}.${f.delivery === undefined ? '' : ` GET /v1/deliveries/${f.delivery} tells the story.`}`,
      }
    case 'request_over':
      return {
        status: 409,
        title: 'The request is over',
        detail: `This request ended as ${f.ended}. GET /v1/requests/${f.request} tells what came of it.`,
      }
    case 'breaker_open':
      return {
        status: 503,
        title: 'The agent is down',
        detail: `\`${f.agent}\` failed too often and is given nothing now. ${f.request === undefined ? 'Nothing was stored: send again later.' : 'Nobody was asked: ask again later, or with `whenOpen: "wait"` to have the request wait for it.'}`,
        retryable: true,
        headers: { 'Retry-After': String(Math.ceil(f.retryAfterSeconds)) },
      }
    default:
      return unreachable(f)
  }
}

// Asked more than once, it may be refused though somebody has the message.
const refusals: Readonly<Record<string, string>> = {
  agent_not_found: 'it was not registered any more when it was asked again',
  backpressure: 'its mailbox was full when it was asked again',
  key_reused: 'its mailbox has other content under the id of this message',
}

function reasonOf({ why, status, reason, error }: Failed): string {
  const refusal = refusals[why]
  if (refusal !== undefined) return refusal
  if (reason === 'no_handler' && error !== undefined) return error.message
  const ended = why === 'no_reply' ? 'its answer cannot be kept' : `its delivery ended as ${status}`
  const because = reason === undefined || reason === 'no_reply' ? '' : ` (${reason})`
  return `${ended}${because}${error === undefined ? '' : `, because ${error.message}`}`
}

/**
 * Callback: the mailbox that a callback URL has, and what is put into it. Never here: delivering it, which is what a mailbox is
 * for. No challenge: it gets one message for each request of an asker that proved itself (docs/decisions/0017).
 */
import { callbackAgent, callbackKeptMs, callbackOf } from '../shared/callback.ts'
import { indexEntry } from '../shared/directory.ts'
import type { Fault } from '../shared/fault.ts'
import type { Gather } from '../shared/gather.ts'
import type { GatherReport } from '../shared/gather-port.ts'
import { keyBytes, secretText } from '../shared/keys.ts'
import { composeMessage, contentHash, publishInput } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'
import { requestStatusOf, requestView } from '../shared/request.ts'
import { ok, type Result } from '../shared/result.ts'
import { continueTrace } from '../shared/trace.ts'
import { checkWebhookUrl } from '../shared/webhook-url.ts'
import { accept } from './accept.ts'
import { enqueue } from './enqueue.ts'

type Callback = NonNullable<Gather['callback']>

export interface Prepared {
  readonly callback: Callback
  /** Made by this call, for a URL that had none: told once. */
  readonly secret?: string
}

// A need is written for so much longer: whoever asks again and again costs a row a day, and not one for each request.
const slackMs = 86_400_000

/** Sees to it that the URL has its mailbox, and has it until what `waitMs` is waited for was told. The rules of webhook URLs hold. */
export async function prepareCallback(
  platform: Platform,
  owner: string,
  asked: Callback,
  waitMs: number,
): Promise<Result<Prepared, Fault>> {
  const url = checkWebhookUrl(asked.url, { development: platform.settings.development })
  if (!url.ok) return url
  const callback = { ...asked, url: url.value }
  const name = callbackAgent(owner, callback)
  const mailbox = platform.agent(name)
  const known = (await mailbox.describe())?.agent
  const neededMs = waitMs + callbackKeptMs
  if ((known?.neededUntil ?? 0) >= platform.now() + neededMs) return ok({ callback })
  // One that there is keeps its own.
  const fresh = { incarnation: platform.token(), secret: asked.secret ?? secretText(platform.hex(keyBytes)) }
  const enrol = (forMs: number) =>
    mailbox.enrol({ kind: 'webhook', url: callback.url }, { name, ...fresh, trusted: true, neededMs: forMs })
  // Needed by nobody yet: whoever finds it so, because this call dies, goes on where it stopped.
  const made = known ?? (await enrol(0)).agent
  await platform.directory().putAgent(indexEntry(made))
  await enrol(neededMs + slackMs)
  const isTold = asked.secret !== undefined || made.neededUntil !== made.createdAt
  const [secret] = isTold ? [] : made.secrets
  return ok({ callback, ...(secret === undefined ? {} : { secret: secret.secret }) })
}

/** Puts the outcome into its mailbox. False: there was no room, and it is to be tried again. */
export async function callBack(platform: Platform, report: GatherReport): Promise<boolean> {
  const { gather } = report
  const target = callbackOf(gather)
  if (target === undefined) return true
  const { agent, key } = target
  const { owner, head, hops } = gather
  const input = publishInput.parse({
    to: agent,
    type: `switchboard.request.${requestStatusOf(gather)}`,
    correlationid: head.correlationid,
    causationid: head.id,
    data: requestView(report),
  })
  const trace = { traceparent: head.traceparent, tracestate: head.tracestate }
  const { traceparent, tracestate } = continueTrace(trace, (n) => platform.hex(n))
  const stamp = { source: owner, freshId: `${gather.id}-callback`, now: platform.now(), traceparent, tracestate }
  const message = composeMessage(input, stamp)
  const body = JSON.stringify(message)
  const incoming = {
    message,
    body,
    key,
    contentHash: contentHash(input),
    hops,
    brokerMade: true,
    reserved: true,
  } as const
  const answer = await accept(platform, agent, [incoming], `callback.${key}`)
  enqueue(platform, agent, answer.references)
  const status = answer.admissions[0]?.status
  platform.log('callback', { gather: gather.id, agent, status })
  // A mailbox that an operator deleted takes no mail any more.
  return status !== 'full'
}

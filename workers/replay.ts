/**
 * Replay: find the message → show it, or give it to one agent under a key that marks it. Never here: withholding what it asks for
 * (shared/journal.ts), answers that others gave before (workers/recorded.ts), HTTP (workers/routes/replays.ts).
 */
import type { Incoming } from '../shared/admission.ts'
import type { Fault } from '../shared/fault.ts'
import { parseDeliveryId } from '../shared/ids.ts'
import { type Message, messageSchema } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'
import type { Receipt } from '../shared/receipt.ts'
import { type ReplayInput, replayed, replayKey } from '../shared/replay.ts'
import { err, ok, type Result, unreachable } from '../shared/result.ts'
import { accept } from './accept.ts'
import { conform } from './conform.ts'
import { enqueue } from './enqueue.ts'
import { prepare } from './route.ts'

export interface Replayed {
  readonly original: Receipt
  readonly to: string
  readonly message: Message
  /** Absent for a dry run. */
  readonly delivery?: string
}

/** `by` is who asks; `key` names the call: repeated, it is the same replay. */
export async function replay(
  platform: Platform,
  id: string,
  input: ReplayInput,
  { by, key }: { readonly by: string; readonly key: string },
): Promise<Result<Replayed, Fault>> {
  const agent = parseDeliveryId(id)?.agent
  const original = agent === undefined ? undefined : await platform.agent(agent).receipt(id)
  if (agent === undefined || original === undefined) return err({ code: 'not_found', what: 'delivery', id })
  const body = await platform.agent(agent).body(id)
  const message = body === undefined ? messageSchema.parse(original.message) : messageSchema.parse(JSON.parse(body))
  const name = `${id}-replay-${key}`
  const asked = replayed({ id, message, whole: body !== undefined }, input, { to: agent, by, id: name })
  if (asked === undefined) return err({ code: 'data_forgotten', delivery: id })
  const prepared = prepare(platform, { kind: 'admin' }, asked, {})
  if (!prepared.ok) return prepared
  for (const judged of await conform(platform, [prepared])) if (!judged.ok) return judged
  const { to, incoming } = prepared.value
  if (to.kind !== 'agent') return err({ code: 'unroutable', destination: String(asked['to']) })
  const told = { original, to: to.agent, message: incoming.message }
  if (input.dryRun) return ok(told)
  const marked: Incoming = { ...incoming, key: replayKey(id, key), brokerMade: true }
  return sent(platform, told, marked)
}

async function sent(platform: Platform, told: Replayed, incoming: Incoming): Promise<Result<Replayed, Fault>> {
  const { to } = told
  const { admissions, references } = await accept(platform, to, [incoming], `replay.${incoming.key}`)
  enqueue(platform, to, references)
  const [admission] = admissions
  if (admission === undefined) return err({ code: 'unavailable', what: `the mailbox of ${to}`, retryAfterSeconds: 1 })
  switch (admission.status) {
    case 'accepted':
    case 'duplicate':
    case 'stopped':
      platform.log('replay', { delivery: told.original.id, as: admission.id })
      return ok({ ...told, delivery: admission.id })
    case 'conflict':
      return err({ code: 'key_reused', key: incoming.message.id, delivery: admission.id })
    case 'unknown':
      return err({ code: 'agent_not_found', agent: to })
    case 'refused':
      return err({ code: 'unavailable', what: `the mailbox of ${to}`, retryAfterSeconds: 1 })
    case 'full': {
      const { depth, max, retryAfterSeconds } = admission
      return err({ code: 'backpressure', agent: to, depth, max, retryAfterSeconds })
    }
    default:
      return unreachable(admission)
  }
}

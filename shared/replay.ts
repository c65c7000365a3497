/**
 * A replay: a message that was delivered before is given to an agent once more, to see what that would do, and nothing follows from it.
 * What it asks for is withheld; whom it asks has answered before. Never here: who may replay, or the asking (workers/replay.ts).
 */
import * as z from 'zod'
import { edited } from './edit.ts'
import type { Effect } from './effects.ts'
import { agentName } from './ids.ts'
import type { Message } from './message.ts'

export const replayInput = z.strictObject({
  substituteAgent: agentName.optional().describe('Who is given it. If left out, the agent that had it.'),
  data: z
    .unknown()
    .optional()
    .describe('Its data, where that is not kept any more, or other data. The message then says so, as `editedby`.'),
  dryRun: z.boolean().default(false).describe('Nothing is sent: the answer shows what would be.'),
})
export type ReplayInput = z.infer<typeof replayInput>

// No publisher can have used such a key: a publisher's holds no control characters. So nobody else can have a replay's rights.
const mark = '\nreplay '

/** What its mailbox takes a replay by. `name` is the call's own: repeated, it is the same replay. */
export const replayKey = (delivery: string, name: string): string => `${delivery}${mark}${name}`

/** The delivery that one with this key replays; undefined for any other. */
export function replayOf(key: string): string | undefined {
  const place = key.indexOf(mark)
  return place < 0 ? undefined : key.slice(0, place)
}

// What sets off something else, or lets it wait: a line, a collapse, a workflow, somebody who waits for an answer or a receipt.
const dropped: readonly string[] = [
  ...['to', 'topic', 'chain', 'chainopen', 'replyto', 'receiptto', 'workflowid', 'partitionkey', 'collapsekey'],
  ...['debounceseconds', 'debouncemaxseconds', 'delivertime', 'expirytime', 'onunroutable', 'onopen', 'deliverymode'],
  ...['ackmode', 'specversion', 'time', 'traceparent', 'tracestate'],
]

/** The message as it is replayed: in a conversation of its own, caused by the original. Undefined: nobody has its data any more. */
export function replayed(
  original: { readonly id: string; readonly message: Message; readonly whole: boolean },
  { substituteAgent, ...asked }: ReplayInput,
  { to, by, id }: { readonly to: string; readonly by: string; readonly id: string },
): Readonly<Record<string, unknown>> | undefined {
  const given = 'data' in asked && asked.data !== undefined
  if (!original.whole && !given) return undefined
  const message = given ? edited(original.message, { data: asked.data }, by) : original.message
  const kept = Object.entries(message ?? original.message).filter(([name]) => !dropped.includes(name))
  return {
    ...Object.fromEntries(kept),
    ...{ to: substituteAgent ?? to, id, correlationid: id, causationid: original.message.id, replayof: original.id },
  }
}

/** What a replay asks for stays what it asked for. */
export const withheld = (effects: readonly Effect[]): Effect[] =>
  effects
    .filter(({ kind }) => kind !== 'notice' && kind !== 'usage')
    .map((effect) => ({ ...effect, state: { status: 'withheld', detail: 'a replay sets nothing off' } }))

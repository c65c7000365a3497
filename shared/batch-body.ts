/**
 * What a webhook gets of a batch: an array of events, or one event whose data is a numbered text. Never here: sending it
 * (workers/deliver-batch.ts), reading the answer (shared/batch-answer.ts).
 */
import { eventOf } from './cloudevents.ts'
import { digest } from './ids.ts'
import type { Message } from './message.ts'
import { brokerSource } from './permissions.ts'

/** One of a batch. */
export interface BatchItem {
  readonly id: string
  readonly message: Message
}

/**
 * Names the call: the same deliveries in the same order have the same id, so that it is stable while they are tried together. One
 * by itself keeps its delivery's id. Never a delivery's id otherwise: those have no `-` behind the agent's name.
 */
export function batchId(agent: string, ids: readonly string[]): string {
  const [only] = ids
  return only !== undefined && ids.length === 1 ? only : `${agent}_batch-${digest(...ids)}`
}

/**
 * CloudEvents JSON batch format. Beside its own attributes each event has its delivery's id, and nothing that another attempt would
 * change (T15).
 */
export function batchEvents(items: readonly BatchItem[]): string {
  return JSON.stringify(items.map(({ id, message }) => ({ ...eventOf(message), deliveryid: id })))
}

/** One event, whose data is the text of all. */
export function numberedEvent(id: string, items: readonly BatchItem[], now: number): string {
  return JSON.stringify({
    specversion: '1.0',
    id,
    source: brokerSource,
    type: 'switchboard.batch',
    time: new Date(now).toISOString(),
    datacontenttype: 'text/plain',
    data: numberedText(items.map(({ message }) => message.data)),
  })
}

/** `Process these requests:`, and one numbered paragraph for each, whose further lines are indented: only the broker begins one. */
export function numberedText(data: readonly unknown[]): string {
  const paragraphs = data.map((one, i) => `[${i + 1}] ${textOf(one).replaceAll(/\r\n|[\n\r\u2028\u2029]/g, '\n    ')}`)
  return ['Process these requests:', ...paragraphs].join('\n')
}

// A text, or the text in it; anything else as JSON.
function textOf(data: unknown): string {
  if (typeof data === 'string') return data
  if (typeof data === 'object' && data !== null && 'content' in data && typeof data.content === 'string')
    return data.content
  return JSON.stringify(data) ?? ''
}

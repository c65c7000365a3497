/**
 * The operation that reads a live delivery's data, whole or in parts, with what goes in and comes out. Never here: what an agent
 * is handed with its lease (shared/view.ts).
 */
import * as z from 'zod'
import type { Operation } from './api-operation.ts'
import { limits } from './limits.ts'
import { selection } from './projection.ts'

export const dataQuery = z.object({
  fields: z
    .string()
    .max(limits.urlLength)
    .transform((text) => text.split(','))
    .pipe(selection)
    .optional()
    .describe('Only these parts: dotted paths or JSON Pointers, with commas between.'),
  maxBytes: z.coerce
    .number()
    .int()
    .min(1)
    .max(limits.messageBytes)
    .optional()
    .describe('A part that would exceed so many bytes in all is `{ "$truncated": { "bytes": n } }`.'),
})

export const dataAnswer = z.strictObject({
  id: z.string(),
  data: z.unknown().describe('As it was published; with `fields`, only those parts.'),
  truncated: z.boolean().describe('Something did not fit into `maxBytes`, and is marked.'),
})

export const dataOperations: readonly Operation[] = [
  {
    method: 'get',
    path: '/v1/deliveries/{id}/data',
    id: 'getDeliveryData',
    tag: 'Deliveries',
    who: 'agent',
    summary: 'Read the data of a live delivery, or parts of it',
    description:
      'For an agent that is handed a view of it (`select`, `maxBytes` of a subscription) and needs more after all. Data is kept until its delivery has ended; of a dead letter as long as that can be redriven.',
    query: dataQuery,
    answers: [{ status: 200, description: 'The data.', schema: dataAnswer }],
    faults: ['forbidden', 'not_found'],
  },
]

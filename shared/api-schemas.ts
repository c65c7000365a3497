/**
 * The operations on schemas, with what goes in and comes out. Never here: what a schema says (shared/json-schema.ts), what the
 * gateway may answer to anything (shared/api-operation.ts).
 */
import * as z from 'zod'
import { type Operation, pageOf, pageQuery } from './api-operation.ts'
import { limits } from './limits.ts'
import { schemaInput } from './schema.ts'

const { match, schema, enforce } = schemaInput.shape

export const schemaAnswer = z.strictObject({
  name: z.string(),
  match,
  schema,
  enforce,
  version: z.int().describe('Grows with every change of any schema.'),
  updatedAt: z.iso.datetime(),
})

export const schemasQuery = z.object(pageQuery)
export const schemasAnswer = pageOf(schemaAnswer)

const of = (method: Operation['method'], path: string, id: string, summary: string) =>
  ({ method, path: `/v1/schemas${path}`, id, tag: 'Schemas', summary }) as const

/** In the order of the reference page. */
export const schemaOperations: readonly Operation[] = [
  {
    ...of('get', '', 'listSchemas', 'List schemas'),
    who: 'key',
    query: schemasQuery,
    answers: [{ status: 200, description: 'Schemas.', schema: schemasAnswer }],
    faults: [],
  },
  {
    ...of('put', '/{schema}', 'putSchema', 'Hold the data of messages to a schema, or change that'),
    who: 'admin',
    description:
      'From then on a message of a matching type or topic whose data does not fit is refused as `schema_mismatch`, with where and why, and nothing is stored; an agent’s effect that does not fit is refused in the same way. In force everywhere within five seconds. Messages that were accepted before are delivered as they are.',
    body: { types: { 'application/json': schemaInput }, limitBytes: limits.requestBytes },
    answers: [
      { status: 201, description: 'Created.', schema: schemaAnswer },
      { status: 200, description: 'Changed, or as it was.', schema: schemaAnswer },
    ],
    faults: ['forbidden', 'too_many_schemas'],
  },
  {
    ...of('get', '/{schema}', 'getSchema', 'Read a schema'),
    who: 'key',
    answers: [{ status: 200, description: 'The schema.', schema: schemaAnswer }],
    faults: ['not_found'],
  },
  {
    ...of('delete', '/{schema}', 'deleteSchema', 'Delete a schema'),
    who: 'admin',
    description: 'Deleting twice is deleting once.',
    answers: [{ status: 204, description: 'Gone.' }],
    faults: ['forbidden'],
  },
]

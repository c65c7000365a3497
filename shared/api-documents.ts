/**
 * The operations on documents, with what goes in and comes out. Never here: the bytes themselves (workers/store-document.ts), links
 * (shared/document-link.ts).
 */
import * as z from 'zod'
import type { Operation } from './api-operation.ts'
import type { KeptDocument } from './document.ts'
import { documentLink } from './document-link.ts'
import { limits } from './limits.ts'

export const documentAnswer = z.strictObject({
  id: z.string(),
  madeBy: z.string().describe('The source of whoever stored it.'),
  contentType: z.string(),
  bytes: z.int(),
  sha256: z.string().describe('Of the bytes, in hex: whoever fetches them can tell that they are these.'),
  url: z
    .url()
    .describe(
      'Where anybody who has it reads the bytes, without a key, until `expiresAt`. The `dataref` of a message.',
    ),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().describe('It is deleted then, whoever still refers to it.'),
})

const expiresSeconds = z.coerce.number().min(limits.documentSecondsMin).max(limits.documentSeconds)

export const documentQuery = z.object({
  expiresSeconds: expiresSeconds
    .default(limits.documentSecondsDefault)
    .describe('How long it is kept. Longer than the messages that refer to it may wait.'),
})

export const keepRequest = z.strictObject({ expiresSeconds: expiresSeconds.describe('From now.') })

/** What is shown of one. `origin`: where this deployment is reached. */
export function publicDocument(document: KeptDocument, origin: string): z.infer<typeof documentAnswer> {
  const { id, owner, contentType, bytes, sha256, createdAt, expiresAt } = document
  return {
    ...{ id, madeBy: owner, contentType, bytes, sha256, url: documentLink(origin, document) },
    createdAt: new Date(createdAt).toISOString(),
    expiresAt: new Date(expiresAt).toISOString(),
  }
}

// --- operations -------------------------------------------------------------------------------------------------------

const of = (method: Operation['method'], path: string, id: string, summary: string) =>
  ({ method, path: `/v1/documents${path}`, id, tag: 'Large data', who: 'maker', summary }) as const

const theDocument = { status: 200, description: 'The document.', schema: documentAnswer }

/** In the order of the reference page. */
export const documentOperations: readonly Operation[] = [
  {
    ...of('post', '', 'storeDocument', 'Store data that is too large for a message'),
    who: 'sender',
    description:
      'The body is the bytes, of whatever `Content-Type`. The answer has the `url` for a message’s `dataref` or for a result. With an `Idempotency-Key` the same bytes again are the same document. Each mebibyte counts as a message of the key’s rate; a body of unknown length as the largest.',
    headers: [
      {
        name: 'Idempotency-Key',
        description: 'Names the document: under one key a caller has one document.',
        schema: z.string().min(1).max(limits.idempotencyKeyLength),
      },
    ],
    query: documentQuery,
    body: { types: { '*/*': z.string().describe('The bytes.') }, limitBytes: limits.documentBytes, optional: true },
    answers: [
      {
        status: 201,
        description: 'Kept.',
        schema: documentAnswer,
        headers: [{ name: 'Location', description: 'Where it is.', schema: z.string() }],
      },
      { status: 200, description: 'Kept before, under this key.', schema: documentAnswer },
    ],
    faults: ['forbidden', 'key_reused'],
  },
  {
    ...of('get', '/{document}', 'getDocument', 'Read what is known of a document'),
    description: 'The bytes are behind its `url`.',
    answers: [theDocument],
    faults: ['forbidden', 'not_found'],
  },
  {
    ...of('patch', '/{document}', 'keepDocument', 'Keep a document longer, or less long'),
    description: 'Links that were told before end when they said.',
    body: { types: { 'application/json': keepRequest }, limitBytes: limits.requestBytes },
    answers: [theDocument],
    faults: ['forbidden', 'not_found'],
  },
  {
    ...of('delete', '/{document}', 'deleteDocument', 'Delete a document'),
    description: 'Its links lead nowhere from then on.',
    answers: [{ status: 204, description: 'Gone.' }],
    faults: ['forbidden', 'not_found'],
  },
]

/**
 * Documents over HTTP: store data that is too large for a message, and have whoever gets a link fetch it without a key. Never here:
 * what a link is (shared/document-link.ts), the way of the bytes (workers/store-document.ts).
 */
import { type Context, Hono } from 'hono'
import { documentQuery, keepRequest, publicDocument } from '../../shared/api-documents.ts'
import type { DocumentPort } from '../../shared/document.ts'
import { documentId, isDocumentId, type KeptDocument, mayHandle, mayStore } from '../../shared/document.ts'
import { opensDocument } from '../../shared/document-link.ts'
import { limits } from '../../shared/limits.ts'
import { ownSource } from '../../shared/permissions.ts'
import type { App } from '../context.ts'
import { readJson, refuse, unwrap, validate } from '../problem.ts'
import { publishOptions } from '../publish-options.ts'
import { storeDocument } from '../store-document.ts'

export const documents = new Hono<App>()

documents.post('/documents', async (c) => {
  const principal = c.get('principal')
  if (!mayStore(principal)) return refuse({ code: 'forbidden', action: 'store', subject: 'documents' })
  const { expiresSeconds } = validate(documentQuery, c.req.query())
  const announced = Number(c.req.header('content-length') ?? limits.documentBytes)
  if (announced > limits.documentBytes)
    refuse({ code: 'too_large', what: 'document', limitBytes: limits.documentBytes, gotBytes: announced })
  const { idempotencyKey } = publishOptions(c, Math.max(1, Math.ceil(announced / limits.messageBytes)))
  const [platform, owner] = [c.get('platform'), ownSource(principal)]
  const key = idempotencyKey ?? platform.uuidv7()
  const contentType = typeOf(c)
  const storing = { id: documentId(owner, key), key, owner, contentType, keptMs: expiresSeconds * 1_000 }
  const { document, created } = unwrap(await storeDocument(platform, storing, c.req.raw.body))
  // Of another agent that had this name: the key is taken, and what it stored is not told.
  if (!mayHandle(principal, document)) refuse({ code: 'key_reused', key, delivery: document.id })
  if (created) c.header('Location', `/v1/documents/${document.id}`)
  return c.json(publicDocument(document, originOf(c)), created ? 201 : 200)
})

documents.get('/documents/:document', async (c) => c.json(publicDocument(await own(c), originOf(c)), 200))

documents.patch('/documents/:document', async (c) => {
  const { id } = await own(c)
  const { expiresSeconds } = await readJson(c, keepRequest)
  const document = await c
    .get('platform')
    .document(id)
    .keep(expiresSeconds * 1_000)
  return document === undefined ? notFound(id) : c.json(publicDocument(document, originOf(c)), 200)
})

documents.delete('/documents/:document', async (c) => {
  const { id } = await own(c)
  await c.get('platform').document(id).remove()
  return c.body(null, 204)
})

/** Open to whoever has a link. */
export const documentLinks = new Hono<App>()

documentLinks.get('/d/:document', async (c) => {
  const [platform, id] = [c.get('platform'), c.req.param('document')]
  const document = isDocumentId(id) ? await platform.document(id).find() : undefined
  // Whether there is such a document is nobody's business who has no link to it.
  if (document === undefined || !opensDocument(document, c.req.query(), platform.now())) return notFound(id)
  return c.body(bytesOf(platform.document(id), document), 200, {
    'Content-Type': document.contentType,
    ETag: `"${document.sha256}"`,
    'Cache-Control': 'private, max-age=0, must-revalidate',
    // Somebody's bytes on this origin: no browser may take them for a page of ours.
    'Content-Disposition': 'attachment',
    'Content-Security-Policy': "sandbox; default-src 'none'",
    'X-Content-Type-Options': 'nosniff',
  })
})

// Chunk by chunk, as fast as they are read.
function bytesOf(port: DocumentPort, { chunks, upload }: KeptDocument): ReadableStream<Uint8Array> {
  let n = 0
  return new ReadableStream({
    async pull(controller) {
      if (n === chunks) return controller.close()
      const chunk = await port.chunk(n, upload)
      n += 1
      // It was deleted meanwhile: a body that breaks off is seen, one that ends early is not.
      if (chunk === undefined) controller.error(new Error('the document is gone'))
      else controller.enqueue(chunk)
    },
  })
}

async function own(c: Context<App>): Promise<KeptDocument> {
  const id = c.req.param('document') ?? ''
  const found = isDocumentId(id) ? await c.get('platform').document(id).find() : undefined
  if (found === undefined) return notFound(id)
  return mayHandle(c.get('principal'), found) ? found : refuse({ code: 'forbidden', action: 'read', subject: id })
}

function typeOf(c: Context<App>): string {
  const type = c.req.header('content-type') ?? 'application/octet-stream'
  if (type.length <= limits.typeLength) return type
  const message = `at most ${limits.typeLength} characters`
  return refuse({ code: 'invalid_request', issues: [{ path: 'Content-Type', message }] })
}

const originOf = (c: Context<App>) => new URL(c.req.url).origin

const notFound = (id: string): never => refuse({ code: 'not_found', what: 'document', id })

/**
 * Store a document: its bytes go to its object chunk by chunk as they come, so that a large body is never in memory whole, and it is
 * kept once all of it is there. Never here: HTTP (workers/routes/documents.ts).
 */
import type { KeptDocument } from '../shared/document.ts'
import type { Fault } from '../shared/fault.ts'
import { limits } from '../shared/limits.ts'
import type { Platform } from '../shared/ports.ts'
import { err, ok, type Result } from '../shared/result.ts'

export interface Storing {
  readonly id: string
  readonly key: string
  readonly owner: string
  readonly contentType: string
  readonly keptMs: number
}

export interface StoredDocument {
  readonly document: KeptDocument
  readonly created: boolean
}

/** Stores it, or finds it stored. Other bytes under the same key are refused, and so are too many; nothing of them is kept. */
export async function storeDocument(
  platform: Platform,
  { id, key, ...asked }: Storing,
  body: ReadableStream<Uint8Array> | null,
): Promise<Result<StoredDocument, Fault>> {
  const port = platform.document(id)
  const upload = platform.token()
  const before = await port.begin(upload)
  const read = await readThrough(body, async (n, chunk) => {
    if (before === undefined) await port.write(upload, n, chunk)
  })
  if (!read.ok) {
    await port.remove(upload)
    return read
  }
  if (before !== undefined)
    return before.sha256 === read.value.sha256 && before.contentType === asked.contentType
      ? ok({ document: before, created: false })
      : err({ code: 'key_reused', key, delivery: id })
  const document = await port.seal({ upload, ...asked, ...read.value, secret: platform.hex(32) })
  platform.log('document', { document: id, bytes: read.value.bytes, kept: document !== undefined })
  // Another call with this key took its place: which of the two is kept is not known here.
  return document === undefined
    ? err({ code: 'unavailable', what: 'document', retryAfterSeconds: 1 })
    : ok({ document, created: true })
}

interface ReadBody {
  readonly bytes: number
  readonly sha256: string
  readonly chunks: number
}

async function readThrough(
  body: ReadableStream<Uint8Array> | null,
  take: (n: number, chunk: Uint8Array) => Promise<void>,
): Promise<Result<ReadBody, Fault>> {
  const hash = new crypto.DigestStream('SHA-256')
  const writer = hash.getWriter()
  let [bytes, chunks, filled] = [0, 0, 0]
  let buffer = new Uint8Array(limits.documentChunkBytes)
  const flush = async () => {
    await take(chunks, buffer.subarray(0, filled))
    chunks += 1
    filled = 0
    buffer = new Uint8Array(limits.documentChunkBytes)
  }
  for await (const piece of body ?? []) {
    bytes += piece.byteLength
    if (bytes > limits.documentBytes) {
      await writer.close()
      return err({ code: 'too_large', what: 'document', limitBytes: limits.documentBytes, gotBytes: bytes })
    }
    await writer.write(piece)
    for (let from = 0; from < piece.byteLength; ) {
      const part = piece.subarray(from, from + buffer.byteLength - filled)
      buffer.set(part, filled)
      filled += part.byteLength
      from += part.byteLength
      if (filled === buffer.byteLength) await flush()
    }
  }
  if (filled > 0) await flush()
  await writer.close()
  return ok({ bytes, chunks, sha256: hexOf(await hash.digest) })
}

const hexOf = (bytes: ArrayBuffer) =>
  [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, '0')).join('')

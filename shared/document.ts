/**
 * A document: data that is too large for a message or a result, kept as bytes for a time and told of by reference.
 *
 *   begun ──chunks──► kept ──► gone at its end, whoever refers to it
 *
 * Its id is made of whose it is and its key, so that a repeat finds the first one; an upload has a token, so that of two under one
 * id only the one begun last is kept. M6 an upload that stopped half-way goes too, at its `endsAt`. Never here: HTTP
 * (workers/routes/documents.ts), links to it (shared/document-link.ts).
 */
import * as z from 'zod'
import { digest } from './ids.ts'
import { limits } from './limits.ts'
import { isMaker, type Principal } from './permissions.ts'

export const documentRecord = z.strictObject({
  v: z.literal(1),
  id: z.string(),
  /** The upload that brings it, or brought it. */
  upload: z.string(),
  /** All of it is deleted then. */
  endsAt: z.number(),
  /** Once all of it is there. */
  kept: z
    .strictObject({
      /** The source of whoever stored it. */
      owner: z.string(),
      contentType: z.string(),
      bytes: z.int(),
      /** Of the bytes, in lower-case hex. */
      sha256: z.string(),
      chunks: z.int(),
      /** Signs the links to it, and nothing else. */
      secret: z.string(),
      createdAt: z.number(),
    })
    .exactOptional(),
})
export type DocumentRecord = z.infer<typeof documentRecord>

/** One that is whole. */
export type KeptDocument = NonNullable<DocumentRecord['kept']> &
  Pick<DocumentRecord, 'id' | 'upload'> & { readonly expiresAt: number }

/** A stored record, parsed as the network is. */
export const readDocument = (stored: unknown): DocumentRecord => documentRecord.parse(JSON.parse(String(stored)))

/** Without a key of the caller's own, `key` is by chance. */
export const documentId = (owner: string, key: string): string => `doc-${digest('document', owner, key)}`

export const isDocumentId = (id: string): boolean => /^doc-[a-z2-7]{26}$/.test(id)

/** What is told of an upload once all of it is there. */
export interface Sealing {
  readonly upload: string
  readonly owner: string
  readonly contentType: string
  readonly bytes: number
  readonly sha256: string
  readonly chunks: number
  readonly secret: string
  readonly keptMs: number
}

/** An upload begins, in place of any other that is not complete. What is kept under this id stays. */
export function beginUpload(
  before: DocumentRecord | undefined,
  { id, upload }: Pick<DocumentRecord, 'id' | 'upload'>,
  now: number,
): DocumentRecord {
  const stays = before !== undefined && (keptOf(before, now) !== undefined || isUnderWay(before, upload))
  return stays ? before : { v: 1, id, upload, endsAt: now + limits.uploadSeconds * 1_000 }
}

/** Is this the upload under way? Its chunks are taken, another's are not. */
export function isUnderWay(record: DocumentRecord | undefined, upload: string): boolean {
  return record !== undefined && record.kept === undefined && record.upload === upload
}

/** All of it is there, in so many chunks. Undefined: another upload took its place, or a chunk is missing. */
export function sealUpload(
  before: DocumentRecord | undefined,
  { keptMs, upload, ...told }: Sealing,
  chunksThere: number,
  now: number,
): DocumentRecord | undefined {
  if (before === undefined || before.upload !== upload) return undefined
  if (before.kept !== undefined) return before
  return chunksThere === told.chunks
    ? { ...before, endsAt: now + keptMs, kept: { ...told, createdAt: now } }
    : undefined
}

/** The document, unless it is not complete or its time is over. */
export function keptOf(record: DocumentRecord | undefined, now: number): KeptDocument | undefined {
  if (record?.kept === undefined || record.endsAt <= now) return undefined
  return { id: record.id, upload: record.upload, ...record.kept, expiresAt: record.endsAt }
}

/** Whoever stored it and an admin; anybody else has a link to it, or nothing. */
export function mayHandle(principal: Principal, { owner, createdAt }: KeptDocument): boolean {
  return principal.kind === 'admin' || isMaker(principal, { source: owner, at: createdAt })
}

/** It fills the deployment's storage for others to read: whoever may tell nobody anything may not. */
export function mayStore(principal: Principal): boolean {
  return principal.kind === 'admin' || principal.permissions.send.length + principal.permissions.publish.length > 0
}

/** One document, by its id. */
export interface DocumentPort {
  /** The document if it is kept already; nothing of this upload is taken then. */
  begin(upload: string): Promise<KeptDocument | undefined>
  /** The nth chunk, from 0. False: another upload took its place. */
  write(upload: string, n: number, bytes: Uint8Array): Promise<boolean>
  seal(sealing: Sealing): Promise<KeptDocument | undefined>
  find(): Promise<KeptDocument | undefined>
  /** Of the document that this upload brought: another one may be kept under its id since. */
  chunk(n: number, upload: string): Promise<Uint8Array | undefined>
  /** It ends so long from now, sooner or later than before. */
  keep(forMs: number): Promise<KeptDocument | undefined>
  /** It, or this upload of it, goes now. */
  remove(upload?: string): Promise<void>
}

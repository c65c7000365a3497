/**
 * What the index of workflows holds: one entry for each workflow, and the definitions by name and version. A workflow's truth
 * is in its own object; the entry is told later and may be late. Never here: a workflow's state.
 */
import * as z from 'zod'
import type { StateDuration, Stays } from './stays.ts'
import type { WorkflowRecord } from './workflow.ts'
import { workflowStatus } from './workflow-status.ts'

export const listedWorkflow = z.strictObject({
  v: z.literal(1),
  id: z.string(),
  /** The last entry of its history when this was told: what was told later has a higher one. */
  n: z.int(),
  status: workflowStatus,
  definition: z.strictObject({ name: z.string().exactOptional(), version: z.int().exactOptional() }).exactOptional(),
  createdBy: z.string(),
  createdAt: z.number(),
  endedAt: z.number().exactOptional(),
})
export type ListedWorkflow = z.infer<typeof listedWorkflow>

export const readListed = (stored: unknown): ListedWorkflow => listedWorkflow.parse(JSON.parse(String(stored)))

/** Was it told later? One that has its id from one that was purged is later than all that was told of that. */
export const isNewer = (entry: ListedWorkflow, known: ListedWorkflow): boolean =>
  entry.createdAt === known.createdAt ? entry.n > known.n : entry.createdAt > known.createdAt

export function listingOf(record: WorkflowRecord): ListedWorkflow {
  const { id, last, status, definition, createdBy, createdAt, endedAt } = record
  return {
    ...{ v: 1, id, n: last.entry, status },
    ...(definition === undefined ? {} : { definition }),
    ...{ createdBy, createdAt },
    ...(endedAt === undefined ? {} : { endedAt }),
  }
}

/** An entry as it is shown. */
export function publicListing({ id, status, definition, createdBy, createdAt, endedAt }: ListedWorkflow) {
  return {
    ...{ id, status, createdBy, createdAt: new Date(createdAt).toISOString() },
    ...(definition === undefined ? {} : { definition }),
    ...(endedAt === undefined ? {} : { endedAt: new Date(endedAt).toISOString() }),
  }
}

export const definitionRecord = z.strictObject({
  v: z.literal(1),
  name: z.string(),
  version: z.int(),
  /** Of its canonical JSON: the same one put again is the same version. */
  hash: z.string(),
  by: z.string(),
  at: z.number(),
})
export type DefinitionRecord = z.infer<typeof definitionRecord>

export const readDefinitionRecord = (stored: unknown): DefinitionRecord =>
  definitionRecord.parse(JSON.parse(String(stored)))

/** A stored definition as it is listed. */
export function publicDefinition({ name, version, by, at }: DefinitionRecord) {
  return { name, version, by, at: new Date(at).toISOString() }
}

export const definitionNamePattern = /^[A-Za-z0-9_-]{1,64}$/

export interface NewDefinition {
  readonly name: string
  readonly hash: string
  readonly by: string
  readonly definition: unknown
}

export interface StoredDefinition {
  readonly record: DefinitionRecord
  readonly definition: unknown
}

export interface WorkflowIndexPort {
  /** What is older than what is there changes nothing. `stays`: of one that has ended, how long its states lasted. */
  put(entry: ListedWorkflow, stays?: Stays): Promise<void>
  /** How long states last, of at most `limits.durationsKept`. */
  durations(): Promise<readonly StateDuration[]>
  /** Unless it is of one that was made later: an id that was purged may be used again. */
  remove(id: string, createdAt: number): Promise<void>
  /** Newest first. */
  list(
    filter: { readonly status?: string; readonly definition?: string },
    cursor: string | undefined,
    limit: number,
  ): Promise<{ readonly items: readonly ListedWorkflow[]; readonly cursor?: string }>
  /** The next version of its name, or the latest when that has the same content. */
  putDefinition(
    definition: NewDefinition,
    max: { readonly names: number; readonly versions: number },
  ): Promise<
    | { readonly status: 'put'; readonly record: DefinitionRecord; readonly created: boolean }
    | { readonly status: 'too_many' }
  >
  /** The latest when no version is named. */
  definition(name: string, version?: number): Promise<StoredDefinition | undefined>
  /** The latest of each name. */
  definitions(
    cursor: string | undefined,
    limit: number,
  ): Promise<{ readonly items: readonly DefinitionRecord[]; readonly cursor?: string }>
}

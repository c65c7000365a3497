/**
 * What the verbs may ask of one gather, and of the list of what one asker waits for. Never here: an implementation
 * (durable-objects/gather.ts, durable-objects/requests.ts).
 */
import type { Arrival, Arrived } from './arrival.ts'
import type { Gather, GatherNews, GatherOpened, GatherOpening } from './gather.ts'

/** A gather with the texts of the replies that it has kept, by arrival. */
export interface GatherReport {
  readonly gather: Gather
  readonly replies: readonly { readonly n: number; readonly body: string }[]
}

/** What an arrival is, and how its gather stands where that was asked. */
export interface Told {
  readonly standing: Arrived
  readonly report?: GatherReport
}

export interface ResultsReport extends GatherReport {
  /** The legs up to here are told. */
  readonly upTo: number
  readonly next?: number
  /** The reducer's reply. */
  readonly result?: string
}

/** One gather. */
export interface GatherPort {
  /** `bodies`: what its legs are sent, in their order; of a scatter the common message first, and then the chunks. */
  open(opening: GatherOpening, bodies: readonly string[]): Promise<GatherOpened>
  /** What is left to do, with what its legs are to be sent; undefined when there is nothing. */
  unfinished(): Promise<{ readonly gather: Gather; readonly bodies: readonly string[] } | undefined>
  /** `result`: with a reduction, the reducer's reply. */
  progress(news: GatherNews, result?: string): Promise<Gather | undefined>
  /** `tell`: with the gather as it is then, for somebody who waits for it where the reply was carried. */
  arrive(arrival: Arrival, body?: string, tell?: boolean): Promise<Told>
  cancel(): Promise<Gather | undefined>
  /** With every reply that it has kept; of a scatter with none (`results`). */
  report(): Promise<GatherReport | undefined>
  /** A scatter with the replies that counted, from one leg on, as many as one answer may carry; `next` is where to go on. */
  results(fromLeg: number): Promise<ResultsReport | undefined>
}

/** The same of each of an object's gathers, by its id. */
export type GatherObjectPort = {
  [K in keyof GatherPort]: (id: string, ...args: Parameters<GatherPort[K]>) => ReturnType<GatherPort[K]>
}

/** An entry of the list: until when it may be pending. */
export interface PendingRequest {
  readonly id: string
  readonly openedAt: number
  readonly deadlineAt: number
}

/** What one asker waits for, by its source: a list to find gathers by, whose truth is in the gathers. */
export interface RequestsPort {
  /** Puts it, or moves its deadline. Of more than `limits.requestsListed` the one that is over first gives way. */
  put(entry: PendingRequest): Promise<void>
  remove(id: string): Promise<void>
  /** The oldest first, after `cursor`. */
  list(
    cursor: string | undefined,
    limit: number,
  ): Promise<{ readonly items: readonly PendingRequest[]; readonly cursor?: string }>
}

/**
 * What is measured against each other: whatever brings messages to the sink. Switchboard is one, the floors are others, and so may be
 * any other broker. Never here: a measurement.
 */
import type { Sink } from './sink.ts'

/** A message for all of them: its id is also its mark, by which the sink knows it. */
export const dataOf = (id: string, text = usualText) => ({ bench: id, text })
const usualText = 'What agents tell each other is seldom shorter than this and often longer. '.repeat(3)

/** Which of so many agents it is for: ids end with their number in their run. */
export const agentOf = (id: string, agents: number): string => `agent-${Number(id.split('-').at(-1)) % agents}`

export interface Contender {
  readonly name: string
  /**
   * Resolves once these are accepted, in one call. They are for as many agents as `agents` says, in turn; with 0 for nobody. With `text`
   * they say that instead of the usual.
   */
  publish?(ids: readonly string[], agents: number, text?: string): Promise<void>
  /** Resolves with the reply. */
  ask?(id: string): Promise<void>
  /** What its processes hold in memory, or those of one name. */
  residentBytes?(name?: string): number
  /** Processor time that its processes have used. */
  cpuMs?(): number
  stop(): Promise<void>
}

/** Starts one; it brings its messages to this sink. */
export type Start = (sink: Sink) => Promise<Contender>

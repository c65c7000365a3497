/**
 * Perform: what a workflow owes the world. Its messages are sent with its creator's permissions under ids of its own, so that a
 * repeat is a duplicate downstream; and the index learns how it stands. The workflow's alarm is the net. Never here: deciding
 * what is sent (shared/workflow-step.ts).
 */
import type { Platform } from '../shared/ports.ts'
import { listingOf } from '../shared/workflow-index.ts'
import type { PerformedNews, Unfinished } from '../shared/workflow-port.ts'

// Rounds in one invocation: what an effect's refusal makes the workflow do is done at once, within reason.
const roundsPerRun = 10

/** Does what a workflow owes until nothing is left that can be done now. What fails is left to its alarm. */
export async function perform(platform: Platform, id: string): Promise<void> {
  for (let round = 0; round < roundsPerRun; round++) {
    const owed = await platform.workflow(id).unfinished()
    if (owed === undefined) return
    if (owed.forgettable) {
      await platform.workflowIndex().remove(id)
      await platform.workflow(id).forget()
      return
    }
    const news = await done(platform, owed)
    const answer = await platform.workflow(id).performed(news)
    // It was purged meanwhile: what the index was just told is not so any more.
    if (answer === undefined) await platform.workflowIndex().remove(id)
    if (answer?.more !== true || isIdle(news)) return
  }
}

/** Does it after the answer: its alarm would, seconds later. */
export function performSoon(platform: Platform, id: string): void {
  const safe = perform(platform, id).catch((error: unknown) =>
    platform.log('perform.failed', { workflow: id, error: String(error) }),
  )
  platform.waitUntil(safe)
}

async function done(platform: Platform, { record, unlisted }: Unfinished): Promise<PerformedNews> {
  if (!unlisted) return { effects: [] }
  await platform.workflowIndex().put(listingOf(record))
  return { effects: [], listed: record.status }
}

const isIdle = ({ effects, listed }: PerformedNews): boolean => effects.length === 0 && listed === undefined

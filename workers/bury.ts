/** Bury: a delivery that ended badly goes into the index of dead letters, then its mailbox may rest. Never here: redriving (workers/exhume.ts). */
import type { DeadLetter } from '../shared/dead-letter.ts'
import type { Platform } from '../shared/ports.ts'
import { announceDeath } from './announce.ts'
import { enqueue } from './enqueue.ts'

/** Index first, mailbox second: a crash in between buries, and announces, again, which changes nothing. */
export async function bury(platform: Platform, agent: string, letter: DeadLetter): Promise<void> {
  await announceDeath(platform, agent, letter)
  await platform.deadLetters().bury([letter])
  const answer = await platform.agent(agent).buried([letter.delivery])
  platform.log('bury', { agent, delivery: letter.delivery, deadLetter: letter.id, reason: letter.reason })
  enqueue(platform, agent, answer.references)
}

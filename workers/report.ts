/**
 * Report: what became of a publication's legs, read where the truth is: in their mailboxes. Never here: changing anything.
 */
import type { LegFate } from '../shared/ack-mode.ts'
import type { Platform } from '../shared/ports.ts'
import type { Leg } from '../shared/publication.ts'

// Mailboxes asked at once.
const askedAtOnce = 20

/** How each leg stands, in their order. One whose mailbox does not answer counts as still under way. */
export async function fatesOf(platform: Platform, legs: readonly Leg[]): Promise<LegFate[]> {
  const fates: LegFate[] = []
  for (let i = 0; i < legs.length; i += askedAtOnce)
    fates.push(...(await Promise.all(legs.slice(i, i + askedAtOnce).map((leg) => fateOf(platform, leg)))))
  return fates
}

async function fateOf(platform: Platform, leg: Leg): Promise<LegFate> {
  const { agent, state } = leg
  if (state.status !== 'accepted') return { leg }
  try {
    const receipt = await platform.agent(agent).receipt(state.delivery)
    return { leg, receipt: receipt?.status ?? 'forgotten' }
  } catch (error) {
    platform.log('report.failed', { agent, delivery: state.delivery, error: String(error) })
    return { leg }
  }
}

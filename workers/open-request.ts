/**
 * Open a request: that write is the 202. Of one agent it lies in that agent's mailbox, which takes its message with it; of a skill it
 * lies with others, and its message is offered afterwards (workers/offer.ts). Never here: waiting for the reply (workers/request.ts).
 */
import type { Incoming } from '../shared/admission.ts'
import type { AskAnswer } from '../shared/agent-port.ts'
import type { Gather, GatherOpened, GatherOpening } from '../shared/gather.ts'
import { askingOf, newsOf } from '../shared/gather-leg.ts'
import { gatherPlace } from '../shared/gather-place.ts'
import { unsent } from '../shared/gather-work.ts'
import type { Platform } from '../shared/ports.ts'
import { noteAccepted, once } from './accept.ts'
import { type Offered, offer } from './offer.ts'
import { takeToken } from './take.ts'

export interface OpenedRequest {
  readonly opened: GatherOpened
  /** What its mailbox said to its message, if that was asked. */
  readonly offered?: Offered
}

/** Opens it, or finds it. `takes`: whoever calls delivers at once what may go at once. */
export async function openRequest(
  platform: Platform,
  opening: GatherOpening,
  incoming: Incoming,
  takes: boolean,
): Promise<OpenedRequest> {
  if (gatherPlace(opening.id).kind === 'mailbox') return askMailbox(platform, opening, incoming, takes)
  const opened = await platform.gather(opening.id).open(opening, [incoming.body])
  const [send] = unsent(opened.gather)
  if (opened.status !== 'opened' || send === undefined) return { opened }
  return { opened, offered: await offer(platform, opened.gather, send, incoming, takes) }
}

/** Writes down that its message was refused. One in a mailbox is told so by the mailbox itself. */
export async function noteRefused(platform: Platform, gather: Gather, { news }: Offered): Promise<Gather> {
  if (gatherPlace(gather.id).kind === 'mailbox') return gather
  return (await platform.gather(gather.id).progress(news)) ?? gather
}

async function askMailbox(
  platform: Platform,
  opening: GatherOpening,
  { message, whenOpen }: Incoming,
  takes: boolean,
): Promise<OpenedRequest> {
  const [agent = ''] = opening.agents
  const asking = askingOf(opening, { id: message.id, agent }, message, whenOpen)
  const token = takes ? await takeToken(platform) : undefined
  const ask = () => platform.agent(agent).ask(opening, once(asking), token)
  const first = await ask()
  const unknown = first.accepted?.admissions.some((a) => a.status === 'unknown')
  const { opened, accepted } = unknown === true && (await platform.enrolHandler(agent)) ? await ask() : first
  if (accepted === undefined) return { opened }
  noteAccepted(platform, agent, [asking], accepted)
  return { opened, offered: offeredBy(opened, accepted) }
}

function offeredBy(
  { gather }: GatherOpened,
  { admissions, references, taken }: NonNullable<AskAnswer['accepted']>,
): Offered {
  const [send] = gather.legs.flatMap(({ n, agent, sends }) => sends.slice(-1).map((one) => ({ ...one, n, agent })))
  return {
    news: send === undefined ? {} : newsOf(gather, send, admissions[0]),
    references,
    ...(taken === undefined ? {} : { taken }),
  }
}

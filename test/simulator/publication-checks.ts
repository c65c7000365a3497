/** What must hold of every publish to many, after each step of its object and when a story has come to rest. */
import { type Publication, pendingLegs } from '../../shared/publication.ts'
import type { Receipt } from '../../shared/receipt.ts'
import type { Audience } from './audience.ts'
import { must } from './invariants.ts'

/** M6: while one is open, an alarm is armed. */
export function checkArmed(publication: Publication | undefined, alarmAt: number | null): void {
  must(
    publication === undefined || publication.closedAt !== undefined || alarmAt !== null,
    'M6',
    () => `publication ${publication?.id} is open, and no alarm is armed`,
  )
}

export interface Published {
  readonly publications: ReadonlyMap<string, Publication>
  /** Those whose publisher saw a success. */
  readonly promised: ReadonlySet<string>
  readonly receipts: ReadonlyMap<string, Receipt>
  readonly letters: ReadonlySet<string>
  readonly audience: Audience
}

export function checkPublications(published: Published): void {
  for (const id of published.promised)
    must(published.publications.has(id), 'M1', () => `publication ${id} was accepted and is unknown`)
  for (const publication of published.publications.values()) checkPublication(publication, published)
}

function checkPublication(publication: Publication, { receipts, letters, audience }: Published): void {
  const { id, head, accepted, refused, fanout, closedAt } = publication
  must(closedAt !== undefined, 'M1', () => `publication ${id} never closed: ${JSON.stringify(publication)}`)
  must(pendingLegs(publication).length === 0, 'M1', () => `publication ${id} is closed with legs pending`)
  must(fanout === accepted + refused, 'M1', () => `publication ${id} is for ${fanout}, and ${accepted + refused} ended`)

  const reached = [...receipts.values()].filter((r) => r.message.id === head.id && r.message.source === head.source)
  const names = reached.map((r) => r.agent).sort()
  must(new Set(names).size === names.length, 'M2', () => `publication ${id} reached somebody twice: ${names.join(' ')}`)
  must(accepted === names.length, 'M2', () => `publication ${id} counts ${accepted} legs, and ${names.length} exist`)
  for (const { agent, state } of publication.legs)
    if (state.status === 'accepted')
      must(
        receipts.get(state.delivery)?.agent === agent,
        'M1',
        () => `leg ${agent} of ${id} was accepted and has no receipt`,
      )

  const { agents, anyOne } = audience.meantBy(head)
  const expected = anyOne ? agents.filter((name) => names.includes(name)) : agents
  must(refused === 0, 'M1', () => `${refused} legs of ${id} were refused, and no agent ever left`)
  must(
    expected.join(' ') === names.join(' ') && (!anyOne || agents.length === 0 || names.length === 1),
    'S2',
    () => `publication ${id} to ${head.to ?? head.topic} reached [${names.join(' ')}], meant are [${agents.join(' ')}]`,
  )
  const told = agents.length > 0 || head.onunroutable === 'drop' || letters.has(id)
  must(told, 'M1', () => `publication ${id} reached nobody, and nobody was told`)
}

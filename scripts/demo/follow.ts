/**
 * Follows a message through all that it caused, by receipts alone: the receipt of a delivery names the deliveries that its
 * effects became. Tells each step once, in the order of time. Never here: printing.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Client, Receipt } from './client.ts'

export interface Change {
  readonly at: string
  readonly type: string
  readonly agent: string
  readonly status: string
  readonly detail?: string
}

export interface Followed {
  readonly receipts: readonly Receipt[]
  /** The delivery that reached `desk`. */
  readonly arrived: string
}

const pollMs = 150
const badEnds: ReadonlySet<string> = new Set(['failed', 'dead_lettered', 'expired', 'cancelled'])

/** Until a delivery for `desk` exists; throws with the reason when the chain ends before. */
export async function follow(
  client: Client,
  first: string,
  desk: string,
  tell: (change: Change) => void,
): Promise<Followed> {
  const chain = new Map<string, Receipt | undefined>([[first, undefined]])
  const told = new Set<string>()
  for (;;) {
    // What a receipt names is looked up in the same round, so that the steps of both are told in the order of time.
    for (const [id, known] of chain) {
      const receipt = isOver(known) ? known : await client.receipt(id)
      chain.set(id, receipt)
      for (const next of becameOf(receipt)) if (!chain.has(next)) chain.set(next, undefined)
    }
    const receipts = [...chain.values()].filter((r) => r !== undefined)
    for (const { key, change } of receipts
      .flatMap(changesOf)
      .toSorted((a, b) => a.change.at.localeCompare(b.change.at)))
      if (!told.has(key)) {
        told.add(key)
        tell(change)
      }
    for (const receipt of receipts) throwIfFailed(receipt)
    const arrived = receipts.find((r) => r.agent === desk)
    if (arrived !== undefined) return { receipts, arrived: arrived.id }
    if (receipts.every(isOver))
      throw new Error(`the work ended without a message for ${desk}: the last one was for ${receipts.at(-1)?.agent}`)
    await pause(pollMs)
  }
}

/** Ended, with every effect carried or refused: it will not change any more. */
function isOver(receipt: Receipt | undefined): boolean {
  return receipt?.status === 'completed' && receipt.effects.every((e) => e.state.status !== 'pending')
}

function becameOf(receipt: Receipt | undefined): string[] {
  return (receipt?.effects ?? []).flatMap((e) => (e.state.status === 'carried' ? e.state.deliveries : []))
}

function throwIfFailed(receipt: Receipt): void {
  const where = `${receipt.message.type} at ${receipt.agent}`
  if (badEnds.has(receipt.status)) {
    const why = receipt.attempts.at(-1)?.error?.message ?? receipt.deadLetter?.reason ?? 'no reason given'
    throw new Error(`${where} ended as ${receipt.status} (${receipt.id}): ${why}`)
  }
  for (const { state } of receipt.effects)
    if (state.status === 'refused')
      throw new Error(`${where}: what it sent was refused, ${state.reason}: ${state.detail}`)
}

function changesOf(receipt: Receipt): { key: string; change: Change }[] {
  const about = { type: receipt.message.type, agent: receipt.agent }
  const steps = receipt.steps.map(({ step, at, attempt, detail }) => {
    const note = [...(attempt === undefined || attempt < 2 ? [] : [`attempt ${attempt}`]), ...(detail ? [detail] : [])]
    const change = { ...about, at, status: step, ...(note.length === 0 ? {} : { detail: note.join(', ') }) }
    return { key: `${receipt.id} ${step} ${at}`, change }
  })
  // What is waited for is no step, but a person who watches wants to know.
  const { status, because } = receipt
  if ((status !== 'held' && status !== 'parked') || because === undefined) return steps
  const at = receipt.steps.at(-1)?.at ?? ''
  return [...steps, { key: `${receipt.id} ${status} ${because}`, change: { ...about, at, status, detail: because } }]
}

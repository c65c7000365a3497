/**
 * Follows deliveries through all that they caused, by receipts alone: the receipt of a delivery names the deliveries that its
 * effects became. Tells each step once, in the order of time. Never here: printing, deciding what an end means.
 */
import type { Receipt } from './answers.ts'
import type { Client } from './client.ts'

export interface Change {
  readonly at: string
  readonly type: string
  readonly agent: string
  readonly status: string
  readonly detail?: string
}

export type Tell = (change: Change) => void

export const pollMs = 150

export interface Follower {
  follow(deliveries: readonly string[]): void
  /**
   * Asks for what may have changed, and tells what is new; `beside` has its place among it by its times. What was found last is
   * told by the next look: by then nothing that came before it is still to be found.
   */
  look(beside?: readonly Change[]): Promise<readonly Receipt[]>
  /** Tells what is left. */
  end(): void
}

export function newFollower(client: Client, tell: Tell): Follower {
  const known = new Map<string, Receipt | undefined>()
  const seen = new Set<string>()
  let untold: Change[] = []
  const tellUntil = (at: string) => {
    const ripe = untold.filter((change) => change.at <= at).toSorted((a, b) => a.at.localeCompare(b.at))
    untold = untold.filter((change) => change.at > at)
    for (const change of ripe) tell(change)
  }
  const follow = (deliveries: readonly string[]) => {
    for (const id of deliveries) if (!known.has(id)) known.set(id, undefined)
  }
  return {
    follow,
    look: async (beside = []) => {
      // What a receipt names is looked up in the same round, so that the steps of both are told in the order of time.
      for (const [id, before] of known) {
        if (before !== undefined && isOver(before)) continue
        const receipt = await client.receipt(id)
        known.set(id, receipt)
        follow(becameOf(receipt))
      }
      const receipts = [...known.values()].filter((r) => r !== undefined)
      const changes = [
        ...receipts.flatMap(changesOf),
        ...beside.map((change) => ({ key: `${change.at} ${change.status}`, change })),
      ]
      const horizon = untold.reduce((latest, { at }) => (at > latest ? at : latest), '')
      for (const { key, change } of changes) {
        if (!seen.has(key)) untold.push(change)
        seen.add(key)
      }
      tellUntil(horizon)
      return receipts
    },
    end: () => tellUntil('9999'),
  }
}

const ends: ReadonlySet<string> = new Set(['completed', 'failed', 'dead_lettered', 'expired', 'cancelled'])
export const isEnded = ({ status }: Receipt): boolean => ends.has(status)

/** Ended, with every effect carried or refused: it will not change any more. */
export function isOver(receipt: Receipt): boolean {
  return isEnded(receipt) && receipt.effects.every((e) => e.state.status !== 'pending')
}

function becameOf(receipt: Receipt): string[] {
  return receipt.effects.flatMap((e) => (e.state.status === 'carried' ? e.state.deliveries : []))
}

/** Why a delivery, or what it set off, came to nothing; undefined when it did not. */
export function failureOf(receipt: Receipt): string | undefined {
  const where = `${receipt.message.type} at ${receipt.agent}`
  if (isEnded(receipt) && receipt.status !== 'completed') {
    const why = receipt.attempts.at(-1)?.error?.message ?? receipt.deadLetter?.reason ?? 'no reason given'
    return `${where} ended as ${receipt.status} (${receipt.id}): ${why}`
  }
  for (const { state } of receipt.effects)
    if (state.status === 'refused') return `${where}: what it sent was refused, ${state.reason}: ${state.detail}`
  return undefined
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

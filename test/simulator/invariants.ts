/** The promises of docs/invariants.md, checked against a finished story by name. */
import type { MailboxAudit } from '../../shared/audit.ts'
import type { Receipt } from '../../shared/receipt.ts'

/** A delivery that reached somebody, and with which call. */
export interface Seen {
  readonly at: number
  readonly agent: string
  readonly delivery: string
  readonly messageId: string
  readonly source: string
  readonly call: string
}

/** What a story leaves behind for its invariants. */
export interface Story {
  readonly world: { readonly now: number }
  readonly accepted: ReadonlySet<string>
  readonly spoken: ReadonlyMap<string, string>
  readonly starts: ReadonlyMap<string, number>
  readonly nonces: ReadonlyMap<string, ReadonlySet<string>>
  readonly seen: readonly Seen[]
  /** Whose a scatter is. */
  scatteredBy(id: string): string | undefined
  policyOf(agent: string): { readonly maxAttempts: number }
  receipts(): Promise<ReadonlyMap<string, Receipt>>
  deadLetters(): Promise<ReadonlySet<string>>
  audits(): Promise<ReadonlyMap<string, MailboxAudit>>
}

/** Everybody who asks, by source (askers.ts). */
export const asker = 'eve'

export class InvariantBroken extends Error {
  override readonly name = 'InvariantBroken'
  readonly invariant: string

  constructor(invariant: string, evidence: string) {
    super(`${invariant}: ${evidence}`)
    this.invariant = invariant
  }
}

export function must(holds: boolean, invariant: string, evidence: () => string): void {
  if (!holds) throw new InvariantBroken(invariant, evidence())
}

const endings: ReadonlySet<string> = new Set(['completed', 'dead_lettered', 'expired', 'cancelled'])

/** After every object call: the bounds hold, and whatever is live has an alarm. */
export function checkMailbox(
  story: Story,
  agent: string,
  described:
    | { figures: { depth: number; inFlight: number; nextDueAt?: number }; depthMax: number; concurrency: number }
    | undefined,
  alarmAt: number | null,
): void {
  if (described === undefined) return
  const { figures, depthMax, concurrency } = described
  must(figures.depth <= depthMax, 'M5', () => `${agent} holds ${figures.depth} of ${depthMax}`)
  must(figures.inFlight <= concurrency, 'M5', () => `${agent} has ${figures.inFlight} in flight of ${concurrency}`)
  const due = figures.nextDueAt
  must(
    due === undefined || (alarmAt !== null && alarmAt <= Math.max(due, story.world.now)),
    'M6',
    () => `${agent}: due at ${due}, alarm at ${alarmAt}, now ${story.world.now}`,
  )
}

/** When everything has come to rest. */
export async function checkStory(story: Story): Promise<void> {
  const receipts = await story.receipts()
  const letters = await story.deadLetters()
  for (const [agent, audit] of await story.audits())
    must(audit.verdict === 'sound', 'M1', () => `the mailbox of ${agent} does not add up: ${JSON.stringify(audit)}`)
  for (const id of story.accepted) {
    const receipt = receipts.get(id)
    must(receipt !== undefined, 'M1', () => `${id} was accepted and is unknown`)
    must(
      receipt !== undefined && endings.has(receipt.status),
      'M1',
      () => `${id} was accepted and rests as ${receipt?.status}: ${JSON.stringify(receipt)}`,
    )
  }
  for (const receipt of receipts.values()) {
    checkDoneOnce(story, receipt, receipts)
    checkEffectsEnd(receipt, letters)
    checkAttempts(story, receipt)
    if (receipt.deadLetter !== undefined)
      must(
        letters.has(receipt.deadLetter.id),
        'M1',
        () => `${receipt.id} died as ${receipt.deadLetter?.reason} and is not in the index`,
      )
  }
  checkOrder(story, receipts)
  checkSources(story)
}

function checkDoneOnce(story: Story, receipt: Receipt, receipts: ReadonlyMap<string, Receipt>): void {
  const done = receipt.attempts.filter((a) => a.outcome === 'ok').length
  must(done <= 1, 'M2', () => `${receipt.id} was completed ${done} times`)
  if (receipt.status === 'completed' && done === 1 && receipt.attempts.some((a) => a.httpStatus === 200)) {
    const nonce = (receipt.result as { nonce?: string } | undefined)?.nonce
    must(
      nonce === undefined || story.nonces.get(receipt.id)?.has(nonce) === true,
      'M2',
      () => `${receipt.id} holds a result nobody gave`,
    )
  }
  for (const effect of receipt.effects ?? []) {
    if (effect.state.status !== 'carried') continue
    const messageId = `${receipt.id}-${effect.n}`
    // A notice is no message, nor is a change of a workflow; what is passed on keeps its id (venture-checks.ts).
    if (effect.kind !== 'reply' && effect.kind !== 'message') continue
    // One to many is a publication of its own (publication-checks.ts).
    if (effect.publish.topic !== undefined || isMany(effect.publish.to)) continue
    // A reply to a gather is an arrival there (askers.ts), one to a workflow an event of it.
    if (/^(?:gather|workflow):/.test(String(effect.publish.to))) continue
    const copies = [...receipts.values()].filter((r) => r.message.id === messageId)
    must(copies.length === 1, 'M2', () => `effect ${messageId} exists ${copies.length} times downstream`)
  }
}

const isMany = (to: unknown) => to === '*' || (typeof to === 'string' && to.startsWith('capability:'))

function checkEffectsEnd(receipt: Receipt, letters: ReadonlySet<string>): void {
  for (const effect of receipt.effects ?? []) {
    must(effect.state.status !== 'pending', 'E1', () => `effect ${effect.n} of ${receipt.id} never ended`)
    if (effect.state.status === 'refused')
      must(
        letters.has(`${receipt.id}-e${effect.n}`),
        'E1',
        () => `the refusal of effect ${effect.n} of ${receipt.id} was not told`,
      )
  }
}

function checkAttempts(story: Story, receipt: Receipt): void {
  const { maxAttempts } = story.policyOf(receipt.agent)
  must(receipt.attempt <= maxAttempts, 'M4', () => `${receipt.id} counts ${receipt.attempt} of ${maxAttempts} attempts`)
  const starts = story.starts.get(receipt.id) ?? 0
  const allowed = (maxAttempts + 1) * (receipt.redrives + 1)
  must(
    starts <= allowed,
    'M4',
    () =>
      `${receipt.id} was started ${starts} times; ${allowed} are allowed: ${JSON.stringify(receipt.attempts)} ${JSON.stringify(receipt.steps)}`,
  )
}

/** Places of one line, in order: by when each became due, then by sequence. */
export function linesOf(receipts: ReadonlyMap<string, Receipt>): Receipt[][] {
  const lines = new Map<string, Receipt[]>()
  for (const receipt of receipts.values()) {
    const { partitionkey } = receipt.message
    if (partitionkey === undefined) continue
    const name = `${receipt.agent}/${partitionkey}`
    lines.set(name, [...(lines.get(name) ?? []), receipt])
  }
  const acceptedAt = ({ steps }: Receipt) => Date.parse(steps[0]?.at ?? '')
  const begunAt = (receipt: Receipt): number =>
    Math.min(
      acceptedAt(receipt),
      ...[...receipts.values()].filter(({ collapsedInto }) => collapsedInto === receipt.id).map(begunAt),
    )
  // A series that has lasted for its longest, or for ten times its quiet, waits no longer (seed 184).
  const quietUntil = (receipt: Receipt) => {
    const { debounceseconds: quiet = 0, debouncemaxseconds: longest = 10 * quiet } = receipt.message
    const [now, begun] = [acceptedAt(receipt), begunAt(receipt)]
    return Math.max(now, Math.min(now + quiet * 1_000, begun + longest * 1_000))
  }
  const dueAt = (receipt: Receipt) =>
    Math.max(
      quietUntil(receipt),
      receipt.message.delivertime === undefined ? 0 : Date.parse(receipt.message.delivertime),
    )
  return [...lines.values()].map((line) => line.toSorted((a, b) => dueAt(a) - dueAt(b) || a.sequence - b.sequence))
}

/** Were they in one batch when the later one was first started, in order? Then they began together (docs/decisions/0024). */
function beganTogether(story: Story, earlier: string, later: string): boolean {
  const first = story.seen.findIndex((one) => one.delivery === later)
  const call = story.seen[first]?.call
  return story.seen.slice(0, Math.max(0, first)).some((one) => one.delivery === earlier && one.call === call)
}

/** When it had ended. */
function endedAt(receipt: Receipt): number {
  const last = receipt.steps.findLast((s) => endings.has(s.step))
  return last === undefined ? Number.POSITIVE_INFINITY : Date.parse(last.at)
}

/** When it had ended, and its effects had been carried. */
function overAt(receipt: Receipt): number {
  const last = receipt.steps.findLast((s) => endings.has(s.step) || s.step === 'effects')
  return last === undefined ? Number.POSITIVE_INFINITY : Date.parse(last.at)
}

// M3: nobody starts, wherever it is received, before all that stand before it in line are over.
function checkOrder(story: Story, receipts: ReadonlyMap<string, Receipt>): void {
  for (const line of linesOf(receipts)) {
    for (const [place, receipt] of line.entries()) {
      const startedAt = story.seen.find((one) => one.delivery === receipt.id)?.at ?? Number.POSITIVE_INFINITY
      for (const earlier of line.slice(0, place))
        must(
          overAt(earlier) <= startedAt || beganTogether(story, earlier.id, receipt.id),
          'M3',
          () => `${receipt.id} was started at ${startedAt}, before ${earlier.id} was over at ${overAt(earlier)}`,
        )
    }
    // Who runs out of time while it is held ends where it stands, and does no work out of turn.
    const ends = line.filter((one) => story.starts.has(one.id) && one.status !== 'expired').map(endedAt)
    must(
      ends.every((at, i) => i === 0 || (ends[i - 1] ?? 0) <= at),
      'M3',
      () => `${line.map((one) => one.id).join(', ')} ended at ${ends.join(', ')}`,
    )
  }
}

// A breaker's move, a pause, a time-out, a death, what is overdue; how a workflow stands, and what it has spent.
const announcement =
  /^(?:[a-z0-9-]+-(?:breaker-\d+|paused)|[gr]-[a-z2-7]{26}(?:_[a-z0-9-]+)?-timeout|[a-z0-9-]+_[a-z2-7]{26}(?:-[re]\d+)?-(?:dead|overdue)|workflow-wf\d+-[0-9a-z]+-[a-z]+)-\d+$/

/** As whom each kind of the broker's own ids speaks: what a workflow sends, a schedule, a question to a person, an asker. */
const speakers: readonly (readonly [RegExp, string])[] = [
  [announcement, 'switchboard'],
  [/^(wf\d+)-[0-9a-z]+-\d+$/, 'workflow/$1'],
  [/^(?:tick\d+-2026-.*|rush\d+)$/, 'admin'],
  [/^ap-[a-z2-7]{26}-\d+$/, 'admin'],
  [/^[gr]-[a-z2-7]{26}(?:_[a-z0-9-]+)?-\d+$/, asker],
  [/^s-[a-z2-7]{26}\.ended$/, 'switchboard'],
]

const speakerOf = (id: string): string | undefined =>
  speakers.flatMap(([made, as]) => (made.test(id) ? [id.replace(made, as)] : []))[0]

function checkSources(story: Story): void {
  for (const seen of story.seen) {
    must(seen.delivery.startsWith(`${seen.agent}_`), 'S2', () => `${seen.delivery} reached ${seen.agent}`)
    // Of a scatter: its legs, and the question to its reducer.
    const scatter = /^(s-[a-z2-7]{26})\.(?:map\.\d+|reduce)$/.exec(seen.messageId)?.[1]
    const spoken =
      story.spoken.get(seen.messageId) ??
      speakerOf(seen.messageId) ??
      (scatter === undefined ? undefined : story.scatteredBy(scatter)) ??
      (seen.messageId.includes('_') ? seen.messageId.slice(0, seen.messageId.lastIndexOf('_')) : undefined)
    must(
      spoken === seen.source,
      'S1',
      () => `${seen.messageId} was delivered as ${seen.source}, and came from ${spoken}`,
    )
  }
}

/**
 * What must hold when a run has come to rest: M1 accepted is never lost, M2 done once, M4 attempts stay within the policy, E1
 * every effect ends, M6 all of it by itself. Read over HTTP and compared with the run's ledger. Never here: causing anything.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { sinks } from './crash-points.ts'
import { mailboxes, type Published, patienceMs, type Run } from './crash-run.ts'
import type { Call } from './receiver.ts'

interface Receipt {
  readonly id: string
  readonly agent: string
  readonly status: string
  readonly message: { readonly id: string }
  readonly attempt: number
  readonly maxAttempts: number
  readonly redrives: number
  readonly steps: readonly { readonly step: string }[]
  readonly result?: { readonly nonce?: string }
  readonly effects?: readonly { readonly n: number; readonly state: { readonly status: string } }[]
  readonly deadLetter?: { readonly id: string }
}

interface Letter {
  readonly id: string
  readonly delivery: string
}

interface State {
  readonly receipts: readonly Receipt[]
  readonly letters: readonly Letter[]
  /** Mailboxes in which something is still to come. */
  readonly restless: readonly string[]
}

const ends: ReadonlySet<string> = new Set(['completed', 'failed', 'dead_lettered', 'expired', 'cancelled'])

// --- waiting ----------------------------------------------------------------------------------------------------------

/**
 * Waits for everything that must arrive. Looks only at the receiver and at the index of dead letters: to read a receipt would
 * wake its mailbox, and mailboxes must wake by themselves (M6).
 */
export async function arrived(run: Run): Promise<void> {
  let missing = await missingOf(run)
  let came = true
  // Behind a breaker that opens again with each probe they come one by one: patience is for each, not for all.
  while (came && missing.length > 0) {
    const before = missing.length
    came = await within(patienceMs, async () => {
      missing = await missingOf(run)
      return missing.length < before
    })
  }
  if (!came)
    throw new Error(`never came: ${missing.map(({ what }) => what).join(', ')}\n${await evidence(run, missing)}`)
}

interface Missing {
  readonly what: string
  readonly of: Published
}

async function missingOf(run: Run): Promise<Missing[]> {
  const told = [...run.ledger.values()]
  const unanswered = told.filter((one) => one.delivery === undefined)
  if (unanswered.length > 0) return unanswered.map((one) => ({ what: `an answer for ${one.id}`, of: one }))
  const seen = new Set(run.receiver.calls.map((call) => `${call.agent} ${call.message.id}`))
  const effects = told.filter((one) => !dies(run, one)).flatMap((one) => effectsOf(one).map((e) => ({ ...e, of: one })))
  const unseen = effects
    .map(({ sink, id, of }) => ({ what: `${sink} ${id}`, of }))
    .filter(({ what }) => !seen.has(what))
  if (unseen.length > 0) return unseen
  const buried = new Set((await letters(run)).map((letter) => letter.delivery))
  return told
    .filter((one) => dies(run, one) && !buried.has(one.delivery ?? ''))
    .map((one) => ({ what: `the dead letter of ${one.id}`, of: one }))
}

/** Waits until nothing is left live, and tells what is wrong with how it ended. An empty list is a pass. */
export async function faultsOf(run: Run): Promise<string[]> {
  let state: State | undefined
  await within(patienceMs, async () => {
    state = await read(run)
    return state.restless.length === 0
  })
  if (state === undefined) return ['nothing could be read']
  return [
    ...run.complaints,
    ...run.receiver.complaints,
    ...state.restless.map((what) => `not at rest: ${what}`),
    ...receiptFaults(run, state),
    ...effectFaults(run, state),
    ...ackFaults(run, state),
    ...letterFaults(run, state),
    ...startFaults(run, state),
  ]
}

async function within(ms: number, done: () => Promise<boolean>): Promise<boolean> {
  const deadlineAt = Date.now() + ms
  while (!(await done())) {
    if (Date.now() > deadlineAt) return false
    await pause(50)
  }
  return true
}

// --- what must hold ---------------------------------------------------------------------------------------------------

// M1: each message that was accepted is one delivery, which ended once in each of its lives.
function receiptFaults(run: Run, { receipts }: State): string[] {
  const faults: string[] = []
  for (const one of run.ledger.values()) {
    const mine = receipts.filter((receipt) => receipt.message.id === one.id)
    const [receipt] = mine
    if (mine.length !== 1 || receipt?.id !== one.delivery || receipt?.agent !== one.to)
      faults.push(`M1: ${one.id} was accepted as ${one.delivery} and is ${JSON.stringify(mine)}`)
    else if (receipt.status !== (dies(run, one) ? 'dead_lettered' : 'completed'))
      faults.push(`M1: ${one.id} should not have ended like this: ${JSON.stringify(receipt)}`)
  }
  for (const receipt of receipts) {
    const ended = receipt.steps.filter(({ step }) => ends.has(step)).length
    if (ended !== receipt.redrives + 1) faults.push(`M1: ended ${ended} times: ${JSON.stringify(receipt)}`)
  }
  return faults
}

// M2 and E1: each effect exists once downstream, and all of them are of the attempt whose result was kept.
function effectFaults(run: Run, { receipts }: State): string[] {
  const faults: string[] = []
  const completed = [...run.ledger.values()].filter((one) => !dies(run, one))
  for (const one of completed) {
    const maker = receipts.find((receipt) => receipt.id === one.delivery)
    const nonce = maker?.result?.nonce ?? ''
    const carried = maker?.effects?.filter((effect) => effect.state.status === 'carried').length
    if (carried !== sinks.length) faults.push(`E1: not every effect was carried: ${JSON.stringify(maker)}`)
    if (one.to !== 'crafter' && run.nonces.get(one.delivery ?? '')?.has(nonce) !== true)
      faults.push(`M2: a result that nobody gave: ${JSON.stringify(maker)}`)
    for (const { sink, id } of effectsOf(one)) {
      const copies = receipts.filter((receipt) => receipt.message.id === id)
      if (copies.length !== 1 || copies[0]?.agent !== sink || copies[0]?.status !== 'completed')
        faults.push(`M2: ${id} should be once at ${sink}, and is ${JSON.stringify(copies)}`)
      const calls = run.receiver.calls.filter((call) => call.message.id === id)
      const strange = calls.find((call) => nonceOf(call) !== nonce || call.delivery !== copies[0]?.id)
      if (strange !== undefined) faults.push(`M2: not what was journaled (${nonce}): ${JSON.stringify(strange)}`)
    }
  }
  const known = run.ledger.size + completed.length * sinks.length
  if (receipts.length !== known) faults.push(`M2: ${receipts.length} deliveries exist, and ${known} should`)
  return faults
}

// M2: whose ack was taken is told so, however often it has to ask, and nobody else is.
function ackFaults(run: Run, { receipts }: State): string[] {
  return run.acks.flatMap((ack) => {
    const receipt = receipts.find(({ id }) => id === ack.delivery)
    const taken = receipt?.result?.nonce === ack.nonce
    return taken === (ack.status === 200) ? [] : [`M2: ${JSON.stringify(ack)}, and ${JSON.stringify(receipt)}`]
  })
}

// What died is in the index, once, and nothing else is.
function letterFaults(run: Run, { letters, receipts }: State): string[] {
  const dead = [...run.ledger.values()].filter((one) => dies(run, one))
  const should = dead.map(
    (one) => receipts.find((receipt) => receipt.id === one.delivery)?.deadLetter?.id ?? `of ${one.id}`,
  )
  const are = letters.map((letter) => letter.id)
  return same(should, are) ? [] : [`M1: the index should have ${should.join(' ')}, and has ${JSON.stringify(letters)}`]
}

// M4: what is counted stays within the policy, and what was begun exceeds it by one at most, in each life.
function startFaults(run: Run, { receipts }: State): string[] {
  return receipts.flatMap((receipt) => {
    const starts = run.receiver.starts(receipt.id)
    const allowed = (receipt.maxAttempts + 1) * (receipt.redrives + 1)
    const within = receipt.attempt <= receipt.maxAttempts && starts >= 1 && starts <= allowed
    return within ? [] : [`M4: begun ${starts} times: ${JSON.stringify(receipt)}`]
  })
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return JSON.stringify([...a].sort()) === JSON.stringify([...b].sort())
}

// --- reading ----------------------------------------------------------------------------------------------------------

const dies = (run: Run, one: Published) => one.fate === 'die' && !run.forgiven
const nonceOf = (call: Call) => (call.message.data as { nonce?: string } | undefined)?.nonce

function effectsOf(one: Published): { sink: string; id: string }[] {
  return sinks.map((sink, i) => ({ sink, id: `${one.delivery}-${i + 1}` }))
}

async function read(run: Run): Promise<State> {
  const receipts: Receipt[] = []
  const restless: string[] = []
  for (const agent of mailboxes) {
    receipts.push(...(await pages<Receipt>(run, `/v1/agents/${agent}/deliveries`)))
    const { body } = await run.ask('GET', `/v1/agents/${agent}/mailbox`)
    const { depth = 1, inFlight = 1, released = 1, nextDueAt } = body
    if (depth + inFlight + released > 0 || nextDueAt !== undefined) restless.push(`${agent} ${JSON.stringify(body)}`)
  }
  return { receipts, letters: await letters(run), restless }
}

/** The index of dead letters. */
export const letters = (run: Run) => pages<Letter>(run, '/v1/dead-letters')

async function pages<Item>(run: Run, path: string): Promise<Item[]> {
  const items: Item[] = []
  let cursor: string | undefined
  do {
    const { status, body } = await run.ask(
      'GET',
      cursor === undefined ? path : `${path}?cursor=${encodeURIComponent(cursor)}`,
    )
    if (status !== 200) throw new Error(`GET ${path} was answered ${status} ${JSON.stringify(body)}`)
    // The caller says what the path lists.
    items.push(...((body.items ?? []) as Item[]))
    cursor = body.cursor
  } while (cursor !== undefined)
  return items
}

/** For a failure: the receipts of what something is missing of, every one that is open, and the last of the log. */
async function evidence(run: Run, missing: readonly Missing[]): Promise<string> {
  const { receipts, restless } = await read(run)
  const suspects = new Set(missing.map(({ of }) => of.id))
  const telling = receipts.filter((receipt) => suspects.has(receipt.message.id) || isOpen(receipt))
  return [...telling.map((receipt) => `${JSON.stringify(receipt)}\n`), ...restless, run.story()].join('\n')
}

function isOpen(receipt: Receipt): boolean {
  return !ends.has(receipt.status) || receipt.effects?.some((effect) => effect.state.status === 'pending') === true
}

/**
 * Expand: have the legs of a publication accepted by their mailboxes, and write down how far it got. Whoever comes next goes
 * on where the last one stopped; a leg asked twice is a duplicate to its mailbox. Never here: choosing the legs.
 */
import type { Admission, Incoming } from '../shared/admission.ts'
import { limits } from '../shared/limits.ts'
import { messageSchema } from '../shared/message.ts'
import type { Platform } from '../shared/ports.ts'
import {
  deadLetterOfPublication,
  isUnheard,
  type Leg,
  type LegState,
  legGiveUpMs,
  type Plan,
  type Publication,
  pendingLegs,
  whyOf,
} from '../shared/publication.ts'
import type { ReceiptStatus } from '../shared/receipt.ts'
import { unreachable } from '../shared/result.ts'
import { type Candidates, catchingOf, isCatching, reached } from '../shared/subscription.ts'
import { accept } from './accept.ts'
import { enqueue, sendBounded } from './enqueue.ts'
import { Views } from './views.ts'

// Mailboxes asked at once: each is a subrequest, and a page of a hundred should not wait for its slowest one by one.
const askedAtOnce = 20

/** A publication that has something left to do, and its message. `page`: whom it may be for, as far as that is at hand; with a plan, its first page. */
export interface Begun {
  readonly publication: Publication
  readonly body: string
  readonly page?: Candidates
}

export interface Expanded {
  readonly publication: Publication
  /** Where the deliveries of this run stand, by agent. */
  readonly standing: ReadonlyMap<string, ReceiptStatus>
}

/**
 * Goes on with a publication until it is closed, or the invocation's allowance is used up; then the rest is asked for on the queue.
 * `after`: the agent whose leg the run before this one asked last, so that no leg is asked twice in a row of runs.
 */
export async function expand(
  platform: Platform,
  id: string,
  begun?: Begun,
  after?: string,
): Promise<Expanded | undefined> {
  const port = platform.publication(id)
  const left = begun ?? (await port.unfinished())
  if (left === undefined || left.publication.closedAt !== undefined) {
    const publication = left?.publication ?? (await port.report())
    return publication === undefined ? undefined : { publication, standing: new Map() }
  }
  const run = new Run(platform, left, after)
  if (await run.repeat()) {
    await run.turnPages(begun?.page)
    const catching = await run.turnToCatching()
    if (catching !== undefined) await run.turnPages(catching)
  }
  await run.tell()
  const { publication, standing, rest } = run
  if (rest !== undefined)
    platform.waitUntil(sendBounded(platform, platform.work, { v: 1, publication: id, ...rest }, id))
  platform.log('expand', {
    publication: id,
    accepted: publication.accepted,
    refused: publication.refused,
    open: publication.closedAt === undefined,
  })
  return { publication, standing }
}

/** One invocation's share of an expansion. `publication` is what the object knew after each step. */
class Run {
  readonly #platform: Platform
  readonly #incoming: Incoming
  readonly #views: Views
  readonly standing = new Map<string, ReceiptStatus>()
  publication: Publication
  /** Where another run has to go on at once. What only waits for room is left to the publication's alarm. */
  rest: { readonly after?: string } | undefined
  readonly #after: string | undefined

  constructor(platform: Platform, { publication, body, page }: Begun, after: string | undefined) {
    this.#platform = platform
    this.#after = after
    this.#incoming = incomingOf(publication, body)
    this.#views = new Views(this.#incoming.message)
    if (page !== undefined) this.#views.note(page)
    this.publication = publication
  }

  /** Legs by name: those of a small publication, or what earlier pages left pending. False when some are left for another run. */
  async repeat(): Promise<boolean> {
    const after = this.#after
    const pending = pendingLegs(this.publication).filter((agent) => after === undefined || agent > after)
    const named = pending.sort().slice(0, this.#allowed(pending.length))
    if (named.length > 0) {
      await this.#views.find(this.#platform, named, this.publication.caught === true)
      await this.#progress({ legs: await this.#ask(named) })
    }
    if (named.length === pending.length) return true
    this.#leaveAfter(named.at(-1) ?? after)
    return false
  }

  /** Pages of a plan, each written down before the next is asked for. `first`: the one that it begins with, where that is at hand. */
  async turnPages(first: Candidates | undefined): Promise<void> {
    let unused = first
    for (;;) {
      const { plan } = this.publication
      if (plan === undefined || plan.done || pendingLegs(this.publication).length >= limits.legsPending) return
      const from = plan.cursor
      const size = this.#allowed(limits.legsPerPage)
      if (size === 0) {
        this.#leaveAfter(from)
        return
      }
      const atHand = from === undefined && unused !== undefined && unused.items.length <= size ? unused : undefined
      // Another run may have turned to who catches meanwhile, and begins a first page of theirs.
      unused = undefined
      const found = atHand ?? (await this.#candidates(plan, size))
      const agents = reached(found, plan.audience, this.#incoming.message)
      this.#views.note(found)
      const page = {
        ...(from === undefined ? {} : { from }),
        ...(isCatching(plan.audience) && { catching: true as const }),
        ...(found.cursor === undefined ? { done: true } : { cursor: found.cursor, done: false }),
      }
      await this.#progress({ legs: await this.#ask(agents), page })
    }
  }

  /** Where its last page has reached nobody: the first page of who catches such messages, now that it is for them. */
  async turnToCatching(): Promise<Candidates | undefined> {
    const { plan } = this.publication
    const audience = plan === undefined || !isUnheard(this.publication) ? undefined : catchingOf(plan.audience)
    if (plan === undefined || audience === undefined) return undefined
    const page = await this.#platform.directory().candidates(audience, undefined, limits.legsPerPage, plan.version)
    if (page.total === 0) return undefined
    await this.#progress({ legs: [], catching: { total: page.total } })
    return page
  }

  /** That nobody was reached becomes a dead letter first, so that a crash in between repeats it rather than forgets it. */
  async tell(): Promise<void> {
    if (!isUnheard(this.publication)) return
    await this.#platform.deadLetters().bury([deadLetterOfPublication(this.publication)])
    await this.#progress({ legs: [], told: true })
  }

  #candidates({ audience, cursor, version }: Plan, size: number): Promise<Candidates> {
    return this.#platform.directory().candidates(audience, cursor, size, version)
  }

  // A page that turns out to be for few has cost its calls too: what it did not need is not given back.
  #allowed(wanted: number): number {
    const { allowance } = this.#platform
    const legs = Math.min(wanted, allowance.legs)
    allowance.legs -= legs
    return legs
  }

  #leaveAfter(after: string | undefined): void {
    this.rest = after === undefined ? {} : { after }
  }

  async #progress(news: Parameters<ReturnType<Platform['publication']>['progress']>[0]): Promise<void> {
    const known = await this.#platform.publication(this.publication.id).progress(news)
    this.publication = known ?? this.publication
  }

  async #ask(agents: readonly string[]): Promise<Leg[]> {
    const legs: Leg[] = []
    for (let i = 0; i < agents.length; i += askedAtOnce)
      legs.push(...(await Promise.all(agents.slice(i, i + askedAtOnce).map((agent) => this.#askOne(agent)))))
    return legs
  }

  // A leg's trouble is its own: it stays pending, and the others go on.
  async #askOne(agent: string): Promise<Leg> {
    const { id, openedAt } = this.publication
    try {
      const answer = await accept(
        this.#platform,
        agent,
        [{ ...this.#incoming, ...whyIn(this.publication), ...this.#views.of(agent) }],
        `publication.${id}`,
      )
      enqueue(this.#platform, agent, answer.references)
      const [admission] = answer.admissions
      const [known] = answer.known
      if (known !== undefined) this.standing.set(agent, known.status)
      if (admission !== undefined) return { agent, state: stateOf(admission, this.#platform.now() - openedAt) }
    } catch (error) {
      this.#platform.log('expand.failed', { publication: id, agent, error: String(error) })
    }
    return { agent, state: { status: 'pending' } }
  }
}

/** Its message as each leg's mailbox is offered it. */
export function incomingOf(publication: Publication, body: string): Incoming {
  const message = messageSchema.parse(JSON.parse(body))
  const { key, contentHash, hops, lineage, openedAt: since } = publication
  // The broker's own id towards each mailbox: it must stay known while anybody may ask again, whatever became of the leg.
  const led = lineage === undefined ? {} : { lineage }
  return { message, body, key, contentHash, hops, brokerMade: true, since, ...led, ...whyIn(publication) }
}

function whyIn(publication: Publication): { readonly why?: string } {
  const why = whyOf(publication)
  return why === undefined ? {} : { why }
}

function stateOf(admission: Admission, ageMs: number): LegState {
  switch (admission.status) {
    case 'accepted':
    case 'duplicate':
      return { status: 'accepted', delivery: admission.id }
    // Only a publisher's own message is refused so.
    case 'refused':
    case 'full':
      return ageMs < legGiveUpMs ? { status: 'pending' } : { status: 'refused', reason: 'backpressure' }
    case 'unknown':
      return { status: 'refused', reason: 'agent_not_found' }
    case 'stopped':
      return { status: 'refused', reason: admission.trip.reason }
    case 'conflict':
      return { status: 'refused', reason: 'key_reused' }
    default:
      return unreachable(admission)
  }
}

/**
 * Explore: from one node of the causal graph to those that caused it and those that it caused, by asking each where its truth
 * lives; bounded in nodes and in calls, and said to be cut where it was. Whoever may not read a node sees that there is one,
 * and the way does not go on behind it. Never here: what a record knows (shared/graph-records.ts), drawing.
 */
import { type Asker, askerOf } from '../shared/asker.ts'
import { type Address, type Found, parseAddress, type Walk } from '../shared/causal-graph.ts'
import { ofGather, ofPublication, ofReceipt, ofWorkflow } from '../shared/graph-records.ts'
import { parseDeliveryId } from '../shared/ids.ts'
import { limits } from '../shared/limits.ts'
import { type Outgoing, workflowSource } from '../shared/outgoing.ts'
import { isMaker, type Made, mayRead, maySpeakFor, type Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import type { WorkflowRecord } from '../shared/workflow.ts'
import type { HistoryEntry } from '../shared/workflow-history.ts'

export interface Exploring {
  /** Histories of workflows too, for a time line. */
  readonly history?: true
  /** Fewer nodes than `limits.graphNodes`. */
  readonly nodes?: number
}

// Objects asked at once.
const askedAtOnce = 20

/** Reads everything that hangs together with these nodes, the nearest first. */
export async function explore(
  platform: Platform,
  principal: Principal,
  from: readonly string[],
  exploring: Exploring = {},
): Promise<Walk> {
  return new Explorer(platform, principal, exploring).walk(from)
}

type Read = Found | 'hidden' | 'forgotten'

class Explorer {
  readonly #platform: Platform
  readonly #principal: Principal
  readonly #exploring: Exploring
  readonly #found: Found[] = []
  readonly #blank = new Map<string, 'hidden' | 'forgotten'>()
  /** Sources that the caller may read as: workflows that it made. */
  readonly #mine = new Set<string>()
  #calls = 0
  #unreadMessages = 0

  constructor(platform: Platform, principal: Principal, exploring: Exploring) {
    this.#platform = platform
    this.#principal = principal
    this.#exploring = exploring
  }

  async walk(from: readonly string[]): Promise<Walk> {
    const { nodes = limits.graphNodes } = this.#exploring
    const seen = new Set(from)
    let front = [...from]
    while (front.length > 0) {
      const room = Math.min(askedAtOnce, nodes - this.#found.length, limits.graphCalls - this.#calls)
      if (room <= 0) break
      // Workflows first: whoever made one may read what it sent.
      front.sort(workflowsFirst)
      const wave = front.slice(0, room)
      front = front.slice(room)
      const reads = await Promise.all(wave.map(async (address) => [address, await this.#read(address)] as const))
      for (const [address, read] of reads) {
        if (read === 'hidden' || read === 'forgotten') {
          this.#blank.set(address, read)
          continue
        }
        this.#found.push(read)
        const news = neighboursOf(read).filter((next) => !seen.has(next))
        for (const next of news) seen.add(next)
        front.push(...new Set(news))
      }
    }
    const cut = this.#cut(front.length, nodes)
    return { found: this.#found, blank: this.#blank, ...(cut === undefined ? {} : { truncated: cut }) }
  }

  #cut(unread: number, nodes: number): Walk['truncated'] {
    if (unread > 0) return { by: this.#found.length >= nodes ? 'nodes' : 'calls', unread }
    return this.#unreadMessages > 0 ? { by: 'messages', unread: this.#unreadMessages } : undefined
  }

  async #read(address: string): Promise<Read> {
    const parsed = parseAddress(address)
    if (parsed === undefined) return 'forgotten'
    this.#calls += 1
    switch (parsed.kind) {
      case 'delivery':
        return this.#delivery(parsed)
      case 'publication': {
        const publication = await this.#platform.publication(parsed.id).report()
        if (publication === undefined) return 'forgotten'
        return this.#may({ source: publication.head.source, at: publication.openedAt })
          ? ofPublication(publication)
          : 'hidden'
      }
      case 'gather': {
        const report = await this.#platform.gather(parsed.id).report()
        if (report === undefined) return 'forgotten'
        const { owner, openedAt } = report.gather
        return this.#may({ source: owner, at: openedAt }) ? ofGather(report.gather) : 'hidden'
      }
      case 'workflow':
        return this.#workflow(parsed)
    }
  }

  async #delivery({ id }: Address): Promise<Read> {
    const agent = parseDeliveryId(id)?.agent ?? ''
    const receipt = await this.#platform.agent(agent).receipt(id, this.#principal)
    if (receipt === undefined) return 'forgotten'
    const { source } = receipt.message
    return mayRead(this.#principal, { agent, source }) || this.#mine.has(source) ? ofReceipt(receipt) : 'hidden'
  }

  // A workflow acts for whoever made it: what it sent is as readable to them as what they sent themselves.
  #may(made: Made): boolean {
    return maySpeakFor(this.#principal, made) || this.#mine.has(made.source)
  }

  async #workflow({ id }: Address): Promise<Read> {
    const asker = askerOf(this.#principal, 'readState', id)
    const read = await this.#platform.workflow(id).read(asker)
    if (read.status !== 'found') return read.status === 'unknown' ? 'forgotten' : 'hidden'
    const { record } = read.workflow
    if (isMaker(this.#principal, { source: record.createdBy, at: record.createdAt })) this.#mine.add(workflowSource(id))
    return ofWorkflow(record, await this.#messagesOf(asker, record), await this.#historyOf(asker, record))
  }

  // The newest, of one that has sent more than one graph shows.
  async #messagesOf(asker: Asker, { id, last }: WorkflowRecord): Promise<Outgoing[]> {
    const messages: Outgoing[] = []
    const begin = Math.max(0, last.effect - limits.graphMessages)
    this.#unreadMessages += begin
    for (let after = begin; after < last.effect; after += limits.pageSize) {
      this.#calls += 1
      const page = await this.#platform.workflow(id).messages(asker, after, limits.pageSize)
      if (page.status === 'found') messages.push(...page.messages)
    }
    return messages
  }

  async #historyOf(asker: Asker, { id, last }: WorkflowRecord): Promise<HistoryEntry[]> {
    if (this.#exploring.history === undefined) return []
    const entries: HistoryEntry[] = []
    for (let after = Math.max(0, last.entry - limits.timelineEntries); after < last.entry; after += limits.pageSize) {
      this.#calls += 1
      const page = await this.#platform.workflow(id).history(asker, after, limits.pageSize)
      if (page.status === 'found') entries.push(...page.entries)
    }
    return entries
  }
}

function neighboursOf({ links, hints }: Found): string[] {
  return [...links.flatMap(({ from, to }) => [from, to]), ...hints].filter((one) => parseAddress(one) !== undefined)
}

const workflowsFirst = (a: string, b: string): number =>
  Number(b.startsWith('workflow:')) - Number(a.startsWith('workflow:'))

/**
 * Trace: what one invocation did to messages, told to a collector as spans, when the deployer names one. After the answer, within
 * bounds, and once: what the collector does not take is dropped, and the log says how much. Nothing waits for it and nothing
 * fails of it. Never here: what a span is (shared/span.ts).
 */
import { limits } from '../shared/limits.ts'
import type { Message } from '../shared/message.ts'
import type { Platform, Tracing } from '../shared/ports.ts'
import {
  type Attempted,
  exportRequest,
  processContext,
  processSpan,
  type Span,
  sendSpan,
  settleSpan,
} from '../shared/span.ts'
import { type SpanContext, spanContextOf, traceparentOf } from '../shared/trace.ts'

/** Where spans go. */
export interface Collector {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

// Spans of one invocation come close together; the collector gets them in few requests.
const collectMs = 250
const patienceMs = 5_000

type Ports = Pick<Platform, 'now' | 'hex' | 'after' | 'waitUntil' | 'fetch' | 'log'>

interface Begun {
  readonly parent: string | undefined
  readonly links: readonly SpanContext[]
  readonly startedAt: number
}

/** The spans of one invocation. */
export class Trace implements Tracing {
  readonly #platform: Ports
  readonly #collector: Collector
  readonly #begun = new Map<string, Begun>()
  /** Of each delivery whose attempt this invocation made. */
  readonly #attempts = new Map<string, SpanContext>()
  readonly #alone = new Map<string, SpanContext>()
  #spans: Span[] = []
  #tooMany = 0
  #collecting = false

  constructor(platform: Ports, collector: Collector) {
    this.#platform = platform
    this.#collector = collector
  }

  begun(traceparent: string, parent: string | undefined, linked: readonly (string | undefined)[] = []): void {
    if (this.#begun.size >= limits.spansKept) return
    const links = linked.flatMap((one) => spanContextOf(one) ?? []).slice(0, limits.spanLinks)
    this.#begun.set(traceparent, { parent, links, startedAt: this.#platform.now() })
  }

  sent(message: Pick<Message, 'id' | 'to' | 'topic' | 'type' | 'correlationid' | 'traceparent'>): void {
    const begun = message.traceparent === undefined ? undefined : this.#begun.get(message.traceparent)
    if (begun === undefined || message.traceparent === undefined) return
    // One message may have many legs: it was sent once.
    this.#begun.delete(message.traceparent)
    const times = { startedAt: begun.startedAt, endedAt: this.#platform.now() }
    this.#add(sendSpan(message, begun.parent, begun.links, times))
  }

  attempt(agent: string, attempts: readonly Attempted[]) {
    const own = processContext(attempts, (bytes) => this.#platform.hex(bytes))
    if (own === undefined) return () => undefined
    const startedAt = this.#platform.now()
    for (const { id } of attempts) {
      this.#attempts.set(id, own.context)
      if (attempts.length === 1) this.#alone.set(id, own.context)
    }
    return (error: { readonly code: string; readonly message: string } | undefined) =>
      this.#add(processSpan(agent, attempts, own, { startedAt, endedAt: this.#platform.now() }, error))
  }

  within(delivery: string): string | undefined {
    const context = this.#alone.get(delivery)
    return context === undefined ? undefined : traceparentOf(context)
  }

  settled(agent: string, delivery: string, outcome: string, startedAt: number): void {
    const attempt = this.#attempts.get(delivery)
    if (attempt === undefined) return
    const times = { startedAt, endedAt: this.#platform.now() }
    this.#add(settleSpan(agent, delivery, outcome, attempt, this.#platform.hex(8), times))
  }

  // --- telling the collector ------------------------------------------------------------------------------------------

  #add(span: Span | undefined): void {
    if (span === undefined) return
    if (this.#spans.length >= limits.spansKept) {
      this.#tooMany += 1
      return
    }
    this.#spans.push(span)
    if (this.#collecting) return
    this.#collecting = true
    this.#platform.waitUntil(
      new Promise<void>((resolve) => this.#platform.after(collectMs, resolve)).then(() => this.#export()),
    )
  }

  async #export(): Promise<void> {
    const [spans, tooMany] = [this.#spans, this.#tooMany]
    this.#spans = []
    this.#tooMany = 0
    this.#collecting = false
    if (tooMany > 0) this.#dropped(tooMany, 'too many at once')
    const controller = new AbortController()
    const stop = this.#platform.after(patienceMs, () => controller.abort())
    try {
      const { status, body } = await this.#platform.fetch(this.#collector.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'user-agent': 'switchboard', ...this.#collector.headers },
        body: JSON.stringify(exportRequest(spans)),
        redirect: 'manual',
        signal: controller.signal,
      })
      await body?.cancel()
      if (status < 200 || status > 299) this.#dropped(spans.length, `the collector answered ${status}`)
    } catch (error) {
      this.#dropped(spans.length, controller.signal.aborted ? 'the collector did not answer' : String(error))
    } finally {
      stop()
    }
  }

  #dropped(spans: number, why: string): void {
    this.#platform.log('trace.dropped', { spans, why })
  }
}

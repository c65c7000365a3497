/**
 * W3C Trace Context (levels 1 and 2): every hop continues the trace it was handed under a span id of its own, or begins a new
 * trace when what it was handed is not valid. Nothing is refused for a bad trace. Never here: recording spans, and dice
 * (`hex` is an argument).
 */

export interface TraceContext {
  readonly traceparent: string
  readonly tracestate?: string
}

// Of the flags only sampled (1) and random trace id (2) are defined; the others go out as zero.
const knownFlags = 0b11

/**
 * The context to send on. `hex(n)` gives n random bytes as lower-case hex. `tracestate` passes unchanged, in order, when both
 * headers are valid; without a valid traceparent it would describe a trace that has ended here.
 */
export function continueTrace(
  incoming: { readonly traceparent?: string | undefined; readonly tracestate?: string | undefined },
  hex: (bytes: number) => string,
): TraceContext {
  const parent = parseTraceparent(incoming.traceparent ?? '')
  const span = hex(8)
  if (parent === undefined) return { traceparent: `00-${hex(16)}-${span}-01` }
  const traceparent = `00-${parent.traceId}-${span}-${parent.flags.toString(16).padStart(2, '0')}`
  return incoming.tracestate !== undefined && isTracestate(incoming.tracestate)
    ? { traceparent, tracestate: incoming.tracestate }
    : { traceparent }
}

/** One span, as others name it. */
export interface SpanContext {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

/** The span that a `traceparent` names; undefined for one that is not valid. */
export function spanContextOf(traceparent: string | undefined): SpanContext | undefined {
  const parsed = parseTraceparent(traceparent ?? '')
  if (parsed === undefined) return undefined
  return { traceId: parsed.traceId, spanId: parsed.spanId, sampled: (parsed.flags & 1) === 1 }
}

export const traceparentOf = ({ traceId, spanId, sampled }: SpanContext): string =>
  `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`

const traceparentShape = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

function parseTraceparent(
  text: string,
): { readonly traceId: string; readonly spanId: string; readonly flags: number } | undefined {
  const [, version, traceId, parentId, flags, rest] = traceparentShape.exec(text) ?? []
  if (version === undefined || traceId === undefined || parentId === undefined || flags === undefined) return undefined
  // A later version may add fields behind a dash; version 00 ends here, and ff is forbidden.
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined
  return { traceId, spanId: parentId, flags: Number.parseInt(flags, 16) & knownFlags }
}

/** What everybody must be able to carry (section "tracestate Limits"); a longer list is not ours to shorten. */
const tracestateLength = 512
const tracestateMembers = 32

// Level 2's grammar, which takes every key of level 1 too. A value is printable ASCII less `,` and `=`, and ends in no space.
const member = /^[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

function isTracestate(text: string): boolean {
  if (text.length > tracestateLength) return false
  // Empty members are allowed: they come of joining several header lines.
  const members = text
    .split(',')
    .map((part) => part.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter((part) => part !== '')
  return members.length > 0 && members.length <= tracestateMembers && members.every((part) => member.test(part))
}

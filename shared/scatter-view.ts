/**
 * A scatter as it is told: how far it got, and what came so far, while it runs and for a day after. Never here: the HTTP call.
 */
import { tallyOf } from './gather.ts'
import type { ResultsReport } from './gather-port.ts'
import { limits } from './limits.ts'
import { errorOf, replyIn, resultsOf, type ScatterError, scatterStatusOf } from './scatter-results.ts'

/** One page: the legs from the one asked for, as many as their replies allow. */
export function scatterView(report: ResultsReport, fromLeg: number) {
  const { gather, replies, upTo, next, result } = report
  const { id, head, outcome, openedAt, deadlineAt, scatter, arrivals, unkept } = gather
  const bodies = new Map(replies.map(({ n, body }) => [n, body]))
  const legs = gather.legs.filter((leg) => leg.n >= fromLeg && leg.n <= upTo)
  const { replied, failed } = tallyOf(gather)
  const beside = arrivals.filter((a) => a.standing !== 'counted')
  const reduced = result === undefined ? undefined : replyIn(new Map([[1, result]]), 1)
  const reason = scatter?.reduction?.failure ?? outcome?.failure
  const why: ScatterError | undefined = reason === undefined ? undefined : errorOf(reason)
  return {
    id,
    status: scatterStatusOf(gather),
    type: head.type,
    correlationid: head.correlationid,
    progress: { legs: gather.legs.length, ok: replied, failed, missing: gather.legs.length - replied - failed },
    ...resultsOf(gather, legs, bodies, limits.scatterAnswerBytes),
    ...(reduced === undefined
      ? {}
      : { result: reduced.data ?? null, reply: { id: reduced.id, source: reduced.source } }),
    ...(why === undefined ? {} : { error: why }),
    ...(beside.length === 0
      ? {}
      : { beside: beside.map((a) => ({ index: a.leg - 1, standing: a.standing, by: a.by, at: iso(a.at) })) }),
    ...(unkept === 0 ? {} : { unkept }),
    openedAt: iso(openedAt),
    deadline: iso(deadlineAt),
    ...(outcome === undefined ? {} : { endedAt: iso(scatter?.reduction?.at ?? outcome.at) }),
    ...(next === undefined ? {} : { cursor: String(next - 1) }),
  }
}

const iso = (at: number) => new Date(at).toISOString()

/**
 * The mailbox's invariants, by name, over random walks (mailbox-walk.ts). After each command every law is asked; at the end the
 * alarms alone must bring everything to an end. Never here: examples (the files beside this one), storage and queues
 * (test/simulator/).
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hasOpenJournal, isLive, isUnburied } from '../../shared/delivery.ts'
import { effectId } from '../../shared/ids.ts'
import { publisherDepth } from '../../shared/policy.ts'
import { second } from './mailbox-fixtures.ts'
import { command, must, outcomeKinds, Walk, world } from './mailbox-walk.ts'

type Law = (walk: Walk) => void

/** `WALKS=<n>` walks more of them. */
const walks = Number(process.env.WALKS ?? 120)

/** Walks, and asks the law after each command and on the way to the end; then another of the whole. */
function holdsOnEveryWalk(law: Law, atTheEnd: Law = () => undefined): void {
  fc.assert(
    fc.property(
      world,
      fc.array(command, { minLength: 1, maxLength: 80, size: 'max' }),
      fc.nat(12),
      (options, commands, quiet) => {
        const walk = new Walk(options)
        for (const one of commands) {
          walk.run(one)
          law(walk)
        }
        walk.finish(quiet, () => law(walk))
        atTheEnd(walk)
      },
    ),
    { numRuns: walks },
  )
}

// --- the laws -----------------------------------------------------------------------------------------------------------

/** M1: it is stored, and live as long as anything is to be done for it; what lives is counted. */
const nothingVanishes: Law = ({ box, accepted }) => {
  for (const id of accepted) must(box.rows.has(id), () => `${id} was accepted and is unknown`)
  for (const row of box.rows.values())
    must(
      isLive(row) ? box.mailbox.live.get(row.id) === row : !box.mailbox.live.has(row.id),
      () => `${row.id} is stored as ${JSON.stringify(row.state)} and live as ${box.mailbox.live.get(row.id)?.state.at}`,
    )
  for (const id of box.mailbox.leases.keys())
    must(box.delivery(id).state.at === 'waiting', () => `${id} is leased and over`)
  for (const id of box.mailbox.releases.keys()) must(box.mailbox.live.has(id), () => `${id} is released and over`)
}

/** M2: what completed stays completed, with its result and its effects, which end once. */
const doneOnce: Law = ({ box, before, fenced }) => {
  if (fenced !== undefined) {
    const untouched =
      box.delivery(fenced) === before.rows.get(fenced) && box.leaseOf(fenced) === before.leases.get(fenced)
    must(untouched, () => `${fenced} was moved by a token that is not its lease's`)
  }
  for (const was of before.rows.values()) {
    const is = box.delivery(was.id)
    if (was.state.at !== 'ended') continue
    if (is.state.at === 'waiting') {
      must(was.state.reason !== undefined && is.redrives === was.redrives + 1, () => `${was.id} lives again unasked`)
      continue
    }
    const { journal: journalWas, ...restWas } = was.state
    const { journal: journalIs, ...restIs } = is.state
    const same =
      JSON.stringify({ ...restWas, buried: 0, purged: 0 }) === JSON.stringify({ ...restIs, buried: 0, purged: 0 })
    must(same, () => `${was.id}: ${JSON.stringify(restWas)} became ${JSON.stringify(restIs)}`)
    must(journalWas?.effects.length === journalIs?.effects.length, () => `${was.id}: the effects changed`)
    journalWas?.effects.forEach((effect, place) => {
      const now = journalIs?.effects[place]
      const kept = effect.state.status === 'pending' || JSON.stringify(effect.state) === JSON.stringify(now?.state)
      must(
        kept && JSON.stringify(effect.publish) === JSON.stringify(now?.publish),
        () => `${was.id}: effect ${effect.n}`,
      )
    })
  }
}

/** M3: nothing is released or leased while one before it in its key has not ended, or has effects open. */
const inLine: Law = ({ box, before }) => {
  const fresh = [...box.mailbox.releases.keys()].filter((id) => !before.releases.has(id))
  for (const [id, lease] of box.mailbox.leases) if (before.leases.get(id)?.token !== lease.token) fresh.push(id)
  const callOf = (id: string) => (box.leaseOf(id) ?? box.mailbox.releases.get(id))?.batch?.n
  for (const id of fresh) {
    const mine = box.delivery(id)
    for (const other of box.rows.values()) {
      if (other.id === id || other.partitionKey === undefined || other.partitionKey !== mine.partitionKey) continue
      // Of one batch they go together, in order (docs/decisions/0024).
      if (callOf(id) !== undefined && callOf(id) === callOf(other.id)) continue
      const first = other.lineAt < mine.lineAt || (other.lineAt === mine.lineAt && other.sequence < mine.sequence)
      const ahead = other.state.at === 'waiting' && other.lineAt <= box.now && first
      must(!ahead, () => `${id} went before ${other.id}`)
      must(!hasOpenJournal(other), () => `${id} went while the effects of ${other.id} were open`)
      must(box.leaseOf(other.id) === undefined, () => `${id} went while ${other.id} was in flight`)
    }
  }
}

/** M3: nobody's work counts before that of whoever stands before it in its key has ended. */
const endsInLine: Law = ({ box, before }) => {
  for (const is of box.rows.values()) {
    if (is.state.at !== 'ended' || before.rows.get(is.id)?.state.at !== 'waiting' || is.partitionKey === undefined)
      continue
    if (is.state.status !== 'completed' && is.state.reason !== 'terminal') continue
    for (const other of box.rows.values()) {
      const sameKey = other.partitionKey === is.partitionKey && other.state.at === 'waiting'
      const first = other.lineAt < is.lineAt || (other.lineAt === is.lineAt && other.sequence < is.sequence)
      must(!(sameKey && first && other.lineAt <= box.now), () => `${is.id} ended before ${other.id}`)
    }
  }
}

/** M3: a retry keeps its place in line; only a redrive gives a new one, at the tail. */
const placesKept: Law = ({ box, before }) => {
  for (const was of before.rows.values()) {
    const is = box.delivery(was.id)
    if (is.redrives === was.redrives)
      must(is.lineAt === was.lineAt && is.sequence === was.sequence, () => `${is.id} lost its place`)
    else
      must(
        is.lineAt === box.now && [...box.rows.values()].every((d) => d.sequence <= is.sequence),
        () => `${is.id} did not join the tail`,
      )
  }
}

/** M4: attempts are counted within the policy; what is held burns none; starts are one more at most. */
const attemptsCounted: Law = ({ box, policy, starts, before }) => {
  for (const is of box.rows.values()) {
    must(is.attempt <= policy.maxAttempts, () => `${is.id} counts ${is.attempt} of ${policy.maxAttempts}`)
    for (const a of is.attempts)
      must(
        a.counted || ['hold', 'gone', 'silence'].includes(a.outcome),
        () => `${is.id}: an attempt that came to ${a.outcome} was not counted`,
      )
    for (const a of is.attempts)
      must(
        !a.counted || !['hold', 'gone', 'unsent'].includes(a.outcome),
        () => `${is.id}: ${a.outcome} burned an attempt`,
      )
    const was = before.rows.get(is.id)
    if (was !== undefined && was.redrives === is.redrives)
      must(is.suspect || !was.suspect, () => `${is.id} is no suspect any more`)
  }
  const begun = new Map<string, number>()
  for (const start of starts.values()) {
    if (!start.begun) continue
    const life = `${start.lease.id} life ${start.life}`
    begun.set(life, (begun.get(life) ?? 0) + 1)
  }
  for (const [life, count] of begun)
    must(
      count <= policy.maxAttempts + 1,
      () => `${life} was started ${count} times; the policy has ${policy.maxAttempts}`,
    )
}

/** M4: the first silence of a lease that the broker ran is forgiven, any other counts. */
const silenceForgivenOnce: Law = ({ box, before }) => {
  for (const [id, lease] of before.leases) {
    const [was, is] = [before.rows.get(id), box.delivery(id)]
    const last = is.attempts.at(-1)
    if (was === undefined || last?.outcome !== 'silence' || last === was.attempts.at(-1)) continue
    const forgiven = lease.phase === 'dispatched' && !lease.alone
    must(
      last.counted !== forgiven && is.suspect,
      () => `${id}: ${JSON.stringify(lease)} came to ${JSON.stringify(last)}`,
    )
  }
}

/** M4: a suspect travels alone and is leased as such. */
const suspectsAlone: Law = ({ box, starts }) => {
  for (const reference of box.references) {
    const suspects = reference.deliveries.filter((id) => box.delivery(id).suspect)
    must(
      suspects.length === 0 || (reference.deliveries.length === 1 && reference.alone === true),
      () => `${suspects} travel in company`,
    )
  }
  for (const { lease, suspect } of starts.values())
    must(
      lease.alone === suspect || lease.phase !== 'dispatched',
      () => `${lease.id} is leased as alone: ${lease.alone}`,
    )
}

/** A batch is one call (docs/decisions/0024). */
function calls(all: Iterable<{ readonly batch?: { readonly n: number }; readonly takeToken?: string }>): number {
  return new Set([...all].map((one) => (one.batch === undefined ? one : `${one.takeToken} ${one.batch.n}`))).size
}

/** M5: depth and concurrency are bounds, whoever asks. */
const bounded: Law = ({ box, policy, before, reserved }) => {
  const { depth, leases, releases, fleeting } = box.mailbox
  must(depth === [...box.rows.values()].filter((d) => d.state.at === 'waiting').length, () => `depth says ${depth}`)
  must(depth <= policy.depth, () => `${depth} of ${policy.depth}`)
  const newcomers = [...box.rows.values()].filter((d) => !before.rows.has(d.id) && !reserved.has(d.id))
  must(
    newcomers.length === 0 || depth <= publisherDepth(policy),
    () => `a publisher took place ${depth} of ${policy.depth}`,
  )
  const used = calls(leases.values()) + calls(releases.values()) + fleeting.size
  must(used <= policy.concurrency, () => `${leases.size} leased, ${releases.size} released, ${fleeting.size} fleeting`)
}

/** B1, B2 and the rate: an open breaker lets nothing through, a half-open one its probes, and a window its limit. */
const gated: Law = ({ box, policy, before, starts }) => {
  const { breaker } = box.mailbox.gate
  const leases = [...box.mailbox.leases.values()]
  const fresh = leases.filter((lease) => before.leases.get(lease.id)?.token !== lease.token)
  must(breaker.state.at !== 'open' || fresh.length === 0, () => `${fresh.length} taken while the breaker is open`)
  const probes = leases.filter((lease) => lease.epoch === breaker.epoch).length
  must(breaker.state.at !== 'half_open' || probes <= policy.breaker.probes, () => `${probes} probes`)
  const { rate } = policy
  if (rate === undefined) return
  const recent = [...starts.values()].filter(({ lease }) => lease.at > box.now - rate.perSeconds * second)
  const began = calls(recent.map(({ lease }) => lease))
  must(began <= rate.limit, () => `${began} began within ${rate.perSeconds} s; ${rate.limit} may`)
}

/** M6: the alarm leaves nothing behind that is due already. */
const alarmProgresses: Law = ({ box, ticked }) => {
  const due = ticked ? box.due() : undefined
  must(due === undefined || due > box.now, () => `due ${due}, now ${box.now}: the alarm would ring for ever`)
}

/** E1: every effect has a number of its own in order, an id that follows from it, and in the end an end. */
const effectsEnd: Law = ({ box }) => {
  for (const row of box.rows.values()) {
    if (row.state.at !== 'ended') continue
    row.state.journal?.effects.forEach((effect, place) => {
      must(effect.n === place + 1, () => `${row.id}: effect ${effect.n} stands at ${place}`)
      const id = effect.publish.id ?? effectId(row.id, effect.n)
      must(id === effectId(row.id, effect.n), () => `${row.id}: effect ${effect.n} is named ${id}`)
      must(effect.state.status !== 'pending', () => `${row.id}: effect ${effect.n} never ended`)
    })
    must(!hasOpenJournal(row) && !isUnburied(row), () => `${row.id} is unfinished`)
  }
}

describe('on every walk', () => {
  it('M1: what was accepted is live or has ended, never gone; and the alarms alone bring all of it to an end', () => {
    holdsOnEveryWalk(nothingVanishes, ({ box, accepted }) => {
      for (const id of accepted) must(box.delivery(id).state.at === 'ended', () => `${id} never ended`)
      must(box.mailbox.depth === 0 && box.mailbox.leases.size === 0, () => 'something is left')
    })
  })

  it('M2: a settled result is never replaced: not by repeats, late reports, foreign tokens or a cancel', () => {
    holdsOnEveryWalk(doneOnce)
  })

  it('M3: within a key nothing goes while one before it has not ended or has effects open', () => {
    holdsOnEveryWalk(inLine)
  })

  it('M3: within a key they end in line: nobody is done before its predecessor is, also within a batch', () => {
    holdsOnEveryWalk(endsInLine)
  })

  it('M3: a retry keeps its place in line, and a redrive joins the tail', () => {
    holdsOnEveryWalk(placesKept)
  })

  it('M4: attempts stay within the policy, a hold burns none, and starts are at most one more', () => {
    holdsOnEveryWalk(attemptsCounted, attemptsCounted)
  })

  it('M4: one silence is forgiven where the broker may be to blame, and none after it', () => {
    holdsOnEveryWalk(silenceForgivenOnce)
  })

  it('M4: a suspect goes alone, for good', () => {
    holdsOnEveryWalk(suspectsAlone)
  })

  it('M5 T3: depth and concurrency are never exceeded, at_most_once and what is released included', () => {
    holdsOnEveryWalk(bounded)
  })

  it('B1 B2: nothing passes an open breaker, only probes a half-open one, and no more than the rate', () => {
    holdsOnEveryWalk(gated)
  })

  it('M6: after each alarm the next one is later, so that it rings on and never spins', () => {
    holdsOnEveryWalk(alarmProgresses)
  })

  it('E1: every effect ends as carried or refused, under a number and an id that never change', () => {
    holdsOnEveryWalk(() => undefined, effectsEnd)
  })
})

describe('the walks', () => {
  it('go everywhere: each answer of each step is seen', () => {
    const told: Record<string, number> = {}
    let batches = 0
    const sample = fc.sample(fc.tuple(world, fc.array(command, { minLength: 60, maxLength: 80, size: 'max' })), {
      numRuns: 400,
      seed: 7,
    })
    for (const [options, commands] of sample) {
      const walk = new Walk(options)
      for (const one of commands) walk.run(one)
      for (const { lease } of walk.starts.values()) batches += lease.batch === undefined ? 0 : 1
      for (const [answer, count] of Object.entries(walk.told)) told[answer] = (told[answer] ?? 0) + count
    }
    const seen = Object.keys(told)
    for (const status of ['accepted', 'duplicate', 'conflict', 'full']) expect(seen).toContain(`accept ${status}`)
    for (const kind of outcomeKinds) expect(seen).toContain(`settle ${kind} held settled`)
    for (const status of ['stale', 'already_settled', 'settled']) expect(seen).toContain(`settle ok old ${status}`)
    for (const status of ['redriven', 'not_redrivable', 'full']) expect(seen).toContain(`redrive ${status}`)
    for (const status of ['cancelled', 'already_settled']) expect(seen).toContain(`cancel ${status}`)
    for (const status of ['admitted', 'busy', 'dropped']) expect(seen).toContain(`fleeting ${status}`)
    expect(batches).toBeGreaterThan(100)
    for (const answer of ['take true', 'take false', 'lease true', 'lease false', 'extend extended', 'purge true'])
      expect(seen).toContain(answer)
  })
})

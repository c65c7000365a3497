/**
 * Rounds: each side of a case is run once in each, another one first each time, so that what else the machine does falls on all
 * alike. A ratio is taken within its round, and the median of those is shown. Never here: what is run.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { median, rounded, table } from './figures.ts'

/** One run's figures, by name. */
export type Figures = Readonly<Record<string, number>>

export interface Target {
  readonly figure: string
  /** The side that Switchboard's figure is divided by. */
  readonly by: string
  readonly atLeast?: number
  readonly atMost?: number
}

export interface Case {
  readonly name: string
  /** By name. The first is the one that is divided. */
  readonly sides: Readonly<Record<string, () => Promise<Figures>>>
  readonly targets: readonly Target[]
  /** A case that takes long has fewer. */
  readonly rounds?: number
}

const roundsMin = 5
// What one run left to be done must not weigh on the next.
const restMs = 150

export interface Measured {
  readonly case: Case
  readonly rounds: readonly Readonly<Record<string, Figures>>[]
}

/** Runs a case: one round to get warm, then those that count. */
export async function measure(one: Case): Promise<Measured> {
  const names = Object.keys(one.sides)
  const rounds: Record<string, Figures>[] = []
  const count = one.rounds ?? roundsMin
  for (let number = one.rounds === 1 ? 0 : -1; number < count; number++) {
    const round: Record<string, Figures> = {}
    for (let i = 0; i < names.length; i++) {
      const name = names[(number + 1 + i) % names.length] ?? ''
      const figures = await one.sides[name]?.()
      if (figures !== undefined) round[name] = figures
      await pause(restMs)
    }
    if (number >= 0) rounds.push(round)
  }
  return { case: one, rounds }
}

interface Row {
  readonly case: string
  readonly figure: string
  readonly value: number
  readonly by?: string
  readonly other?: number
  readonly ratio?: number
  /** The least and the greatest ratio of a round. */
  readonly spread?: readonly [number, number]
  readonly target?: string
  readonly met?: boolean
}

/** One row for each figure of the first side, and each other side that has it too. */
export function rowsOf({ case: one, rounds }: Measured): Row[] {
  const [own = '', ...others] = Object.keys(one.sides)
  const of = (side: string, figure: string) => rounds.map((round) => round[side]?.[figure] ?? Number.NaN)
  const has = (side: string, figure: string) => rounds.every((round) => round[side]?.[figure] !== undefined)
  return Object.keys(rounds[0]?.[own] ?? {}).flatMap((figure): Row[] => {
    const common = { case: one.name, figure, value: rounded(median(of(own, figure))) }
    const compared = others.filter((side) => has(side, figure))
    if (compared.length === 0) return [common]
    return compared.map((side) => {
      const ratios = of(own, figure).map((value, i) => value / (of(side, figure)[i] ?? Number.NaN))
      const ratio = rounded(median(ratios))
      return {
        ...common,
        by: side,
        other: rounded(median(of(side, figure))),
        ratio,
        spread: [rounded(Math.min(...ratios)), rounded(Math.max(...ratios))],
        ...judged(
          ratio,
          one.targets.find((t) => t.figure === figure && t.by === side),
        ),
      }
    })
  })
}

function judged(ratio: number, target: Target | undefined): { target?: string; met?: boolean } {
  if (target?.atLeast !== undefined) return { target: `≥ ${target.atLeast}`, met: ratio >= target.atLeast }
  if (target?.atMost !== undefined) return { target: `≤ ${target.atMost}`, met: ratio <= target.atMost }
  return {}
}

/** For people. */
export function shown(rows: readonly Row[]): string {
  const head = ['case', 'figure', 'here', 'beside', 'there', 'ratio', 'of a round', 'target', '']
  const lines = rows.map((row) => [
    row.case,
    row.figure,
    row.value,
    row.by ?? '',
    row.other ?? '',
    row.ratio ?? '',
    row.spread?.join(' … ') ?? '',
    row.target ?? '',
    row.met === undefined ? '' : row.met ? 'met' : 'MISSED',
  ])
  return table([head, ...lines])
}

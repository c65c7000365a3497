/** The cases of Switchboard beside other brokers, under the loads of all cases. Never here: what a peer is. */
import type { Contender } from '../contender.ts'
import { askEach, publishOnly, saturate, trickle } from '../loads.ts'
import { acceptedHere, type Ring } from '../message-cases.ts'
import type { Case, Figures, Target } from '../rounds.ts'

const callers = 16
const agents = 10
// Long enough that a worker which looks for jobs twice a second is not measured by its last look.
const singlyMs = 1_500
// In batches more is accepted than is delivered meanwhile, and what is over comes after it.
const batchedMs = 400

type Run = (side: Contender) => Promise<Figures>

/** `floors`: what this platform gives to whoever promises nothing. They say how far beside a peer anything here could come. */
export function peerCases(ring: Ring, floors: readonly Contender[]): Case[] {
  const { here, others, sink } = ring
  const beside = (
    sides: readonly Contender[],
    run: Run,
    own: () => Promise<Figures> = () => run(here),
  ): Case['sides'] =>
    Object.fromEntries([[here.name, own], ...sides.map((side) => [side.name, () => run(side)] as const)])
  // A peer that is there in two ways is saturated in both; all else it does in the first.
  const first = others.filter((side) => side.ask !== undefined)
  const publishing = floors.filter((side) => side.publish !== undefined)
  const asking = floors.filter((side) => side.ask !== undefined)
  return [
    {
      // To a mailbox that nobody reads, and what comes nearest to it elsewhere.
      name: 'accept, 16 callers',
      sides: beside(
        first,
        (side) => publishOnly(side, { callers, agents: 0 }),
        () => acceptedHere(ring, { callers, agents: 1 }),
      ),
      targets: [],
    },
    {
      name: 'saturation, one by one',
      sides: beside([...others, ...publishing], (side) => saturate(side, sink, { callers, agents, forMs: singlyMs })),
      targets: others.map(({ name }) => atLeast(name, name === 'restate' ? 0.8 : 1)),
    },
    {
      name: 'saturation, batches of 10',
      sides: beside([...others, ...publishing], (side) =>
        saturate(side, sink, { callers, agents, batch: 10, forMs: batchedMs }),
      ),
      targets: others.map(({ name }) => atLeast(name, 1)),
    },
    {
      name: 'light load, 100/s',
      sides: beside([...first, ...publishing], (side) => trickle(side, sink, 100, 10)),
      targets: first.map(({ name }) => below(name)),
    },
    {
      name: 'request-reply',
      sides: beside([...first, ...asking], askEach),
      targets: first.map(({ name }) => below(name)),
    },
  ]
}

const atLeast = (by: string, ratio: number): Target => ({ figure: 'delivered/s', by, atLeast: ratio })
const below = (by: string): Target => ({ figure: 'p50 ms', by, atMost: 1 })

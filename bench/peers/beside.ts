/**
 * Switchboard beside other brokers: `npm run bench -- peers`. Whoever cannot be installed or started is told and left out. Never here:
 * a case, or what a peer is.
 */
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Contender } from '../contender.ts'
import { deployable } from '../deployed.ts'
import { Deployment } from '../deployment.ts'
import { median, rounded } from '../figures.ts'
import { bareQueue, direct } from '../floors.ts'
import { Sink } from '../sink.ts'
import { prepare, report } from '../suite.ts'
import { peerCases } from './cases.ts'
import type { Peer } from './packages.ts'
import { pgBoss } from './pg-boss.ts'
import { restate } from './restate.ts'

type Start = (sink: Sink) => Promise<Peer>

const starts: Readonly<Record<string, Start>> = { restate, 'pg-boss': pgBoss }

const whyLinesMax = 8

/** Runs the cases whose names have one of these words in them; without words all. */
export async function besidePeers(words: readonly string[]): Promise<void> {
  const sink = await Sink.start()
  const here = await Deployment.start(await deployable(), sink)
  const others: Contender[] = []
  const floors: Contender[] = []
  const versions: Record<string, string> = { node: process.version }
  try {
    // One after the other: they are compared while they run, not while they start.
    for (const [name, start] of Object.entries(starts)) {
      const peer = await start(sink).catch((error: unknown) => missing(name, error))
      others.push(...(peer?.contenders ?? []))
      Object.assign(versions, peer?.versions)
    }
    floors.push(await bareQueue(sink), await direct(sink))
    await prepare(here, sink)
    const cases = peerCases({ sink, here, others }, floors).filter(
      ({ name }) => words.length === 0 || words.some((word) => name.includes(word)),
    )
    const before = syncMs()
    await report(cases)
    const disk = { syncMs: { before, after: syncMs() } }
    const beside = others.map(({ name }) => name)
    const without = Object.keys(starts).filter((name) => !beside.includes(name))
    console.log(JSON.stringify({ beside, without, versions, disk }))
  } finally {
    await Promise.all([here, ...others, ...floors, sink].map((one) => one.stop()))
  }
}

/** How long the disk takes to sync, in the median: before it has, none of them says that a message is accepted. */
function syncMs(): number {
  const folder = mkdtempSync(join(tmpdir(), 'switchboard-bench-'))
  const file = openSync(join(folder, 'probe'), 'w')
  const page = Buffer.alloc(4_096, 1)
  const taken = Array.from({ length: 40 }, () => {
    const beganAt = performance.now()
    writeSync(file, page)
    fsyncSync(file)
    return performance.now() - beganAt
  })
  closeSync(file)
  rmSync(folder, { recursive: true })
  return rounded(median(taken))
}

function missing(name: string, error: unknown): undefined {
  const why = error instanceof Error ? error.message : String(error)
  process.stderr.write(`without ${name}: ${why.split('\n').slice(0, whyLinesMax).join('\n  ')}\n`)
}

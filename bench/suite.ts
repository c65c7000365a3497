/**
 * The benchmark of all: `npm run bench`. Switchboard beside its floors, in one run; a table for people and a line of JSON for
 * programs. Never here: a case.
 */
import { cpus, loadavg } from 'node:os'
import { deployable, each } from './deployed.ts'
import { Deployment } from './deployment.ts'
import { accounting, bareQueue, bareState, direct, grouped } from './floors.ts'
import { messageCases } from './message-cases.ts'
import { type Case, type Measured, measure, rowsOf, shown } from './rounds.ts'
import { Sink } from './sink.ts'
import { stateCases } from './state-cases.ts'

const agents = 10

/** Runs the cases whose names have one of these words in them; without words all. */
export async function suite(words: readonly string[]): Promise<void> {
  const sink = await Sink.start()
  const here = await Deployment.start(await deployable(), sink)
  const [queue, ledger, together, plain, bare] = await Promise.all([
    bareQueue(sink),
    accounting(sink),
    grouped(sink),
    direct(sink),
    bareState(sink),
  ])
  try {
    await prepare(here, sink)
    const ring = { sink, here, others: [queue, ledger, together, plain] }
    const cases = [...messageCases(ring), ...stateCases(here, bare)].filter(
      ({ name }) => words.length === 0 || words.some((word) => name.includes(word)),
    )
    await report(cases)
  } finally {
    await Promise.all([here, queue, ledger, together, plain, bare, sink].map((one) => one.stop()))
  }
}

/** Registers whom the cases write to. */
export async function prepare(here: Deployment, sink: Sink): Promise<void> {
  await here.enrolMany('agent', agents)
  await here.enrolMany('fan', 100)
  await each([...Array(100).keys()], 8, async (i) => {
    const asked = { agent: `fan-${i}`, topic: 'bench.fan' }
    const { status, text } = await here.client.send('PUT', `/v1/subscriptions/fan-${i}`, asked)
    if (status > 299) throw new Error(text)
  })
  await here.enrol('oracle', { kind: 'webhook', url: `${sink.url}/reply` })
}

/** Measures each case; a table for people and a line of JSON for programs. */
export async function report(cases: readonly Case[]): Promise<void> {
  const began = new Date()
  const measured: Measured[] = []
  for (const one of cases) {
    process.stderr.write(`${one.name}\n`)
    measured.push(await measure(one))
  }
  const rows = measured.flatMap(rowsOf)
  console.log(shown(rows))
  const machine = { cores: cpus().length, load: loadavg(), node: process.version }
  const seconds = Math.round((Date.now() - began.getTime()) / 1_000)
  console.log(JSON.stringify({ benchmark: 'suite', at: began.toISOString(), seconds, machine, rows }))
}

/**
 * A full house: `npm run bench -- load`, or `load restart` for its last part alone. A thousand agents, a thousand open workflows and ten thousand pending messages on one local
 * runtime: what a message costs with few and with many of them, in one run; what the runtime's process holds in memory; and how
 * long it takes after a kill until it is ready, until the first of what waited is delivered, and until all is. Never here: a floor.
 */
import { cpus, loadavg } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { dataOf } from './contender.ts'
import { deployable, each } from './deployed.ts'
import { Deployment } from './deployment.ts'
import { rounded, table } from './figures.ts'
import { costed, freshIds, perSecond } from './loads.ts'
import { type Case, type Figures, measure, rowsOf, shown } from './rounds.ts'
import { Sink } from './sink.ts'

const agents = 1_000
const workflows = 1_000
const pending = 10_000
const few = 10
const callers = 16
/** Of one run: with a thousand agents no two of them are for the same one. */
const messages = 400
/** Of which agents, so that the rounds do not go to the same: no divisor of their number. */
const stride = 7
const rounds = 3
const perCall = 100
const hourMs = 3_600_000
/** How much longer than the first calls promise storing may take, until the first of it is due. */
const slack = 2
const slackMs = 5_000
/** Calls that tell how long the others will take. */
const firstCalls = 10
/** A machine that has other work too may take its time. */
const drainMs = 900_000

type To = (id: string) => string

const numberOf = (id: string) => Number(id.split('-').at(-1))

/** As many messages, by sixteen callers, to whom `to` says; until all have come. */
function throughput(here: Deployment, sink: Sink, to: To): Promise<Figures> {
  sink.forget()
  return costed(here, async () => {
    const beganAt = performance.now()
    await each(freshIds(messages), callers, (id) => here.send([id], to))
    await sink.came(messages)
    return [{ 'delivered/s': perSecond(messages, beganAt) }, messages]
  })
}

/** Stored now, delivered not before `dueAt`. */
async function holdBack(here: Deployment, ids: readonly string[], dueAt: number, to: To): Promise<void> {
  const delivertime = new Date(dueAt).toISOString()
  const calls = Array.from({ length: Math.ceil(ids.length / perCall) }, (_, i) =>
    ids.slice(i * perCall, (i + 1) * perCall),
  )
  await each(calls, 4, async (call) => {
    const asked = call.map((id) => ({ to: to(id), type: 'bench', delivertime, data: dataOf(id) }))
    const { results } = JSON.parse(await here.client.post('/v1/messages/batch', asked)) as {
      readonly results: readonly { readonly status: number }[]
    }
    const refused = results.find(({ status }) => status !== 202)
    if (refused !== undefined) throw new Error(JSON.stringify(refused))
  })
}

function cases(here: Deployment, sink: Sink): Case[] {
  let turn = 0
  const among = (count: number) => () => {
    turn += messages * stride
    const from = turn
    return throughput(here, sink, (id) => `agent-${(from + stride * numberOf(id)) % count}`)
  }
  const through = (name: string) => () => throughput(here, sink, () => name)
  return [
    {
      name: `to ${agents} agents, beside 1`,
      sides: { [`${agents} agents`]: among(agents), '1 agent': among(1) },
      targets: [{ figure: 'CPU ms each', by: '1 agent', atMost: 1.5 }],
      rounds,
    },
    {
      name: `to an agent with ${pending} waiting, beside ${few}`,
      sides: { [`${pending} waiting`]: through('crowded'), [`${few} waiting`]: through('quiet') },
      targets: [{ figure: 'CPU ms each', by: `${few} waiting`, atMost: 1.5 }],
      rounds,
    },
  ]
}

const megabytes = (bytes: number) => rounded(bytes / 1_048_576, 1)

/**
 * Kills all of it while everything waits, and starts it on the same storage when all of that is due. Each agent's part is stored by
 * one call, because it is the start that is measured.
 */
async function restarted(here: Deployment, sink: Sink): Promise<Figures> {
  sink.forget()
  const ownerOf: To = (id) => `agent-${Math.floor(numberOf(id) / (pending / agents))}`
  const beganAt = Date.now()
  await holdBack(here, freshIds(firstCalls * perCall), beganAt + hourMs, ownerOf)
  const dueAt = Date.now() + ((Date.now() - beganAt) * slack * pending) / (firstCalls * perCall) + slackMs
  await holdBack(here, freshIds(pending), dueAt, ownerOf)
  if (Date.now() > dueAt) throw new Error('the machine became too slow: what should wait is due already')
  here.host.kill()
  await here.host.dead()
  await pause(Math.max(0, dueAt - Date.now()))
  const startedAt = performance.now()
  await here.host.start()
  const readyMs = performance.now() - startedAt
  await sink.came(1, drainMs)
  const firstMs = performance.now() - startedAt
  await sink.came(pending, drainMs)
  const allMs = performance.now() - startedAt
  return { 'ready ms': readyMs, 'first delivery ms': firstMs, 'all delivered ms': allMs }
}

class Memory {
  readonly rows: (readonly [string, number])[] = []
  readonly #here: Deployment

  constructor(here: Deployment) {
    this.#here = here
  }

  note(when: string): void {
    this.rows.push([when, megabytes(this.#here.host.residentBytes('workerd'))])
  }
}

export async function load(part?: string): Promise<void> {
  const sink = await Sink.start()
  const here = await Deployment.start(await deployable(), sink)
  const memory = new Memory(here)
  try {
    await furnish(here, memory)
    if (part !== 'restart') {
      await crowd(here, memory)
      await measured(cases(here, sink))
      memory.note('after the loads')
    }
    say(`killed with ${pending} due, and started again`)
    const restart = await restarted(here, sink)
    memory.note('restarted, all delivered')
    const told = Object.entries(restart).map(([figure, value]) => [figure, Math.round(value)])
    console.log(`\n${table([['restart', ''], ...told])}\n\n${table([['workerd', 'MB'], ...memory.rows])}\n`)
    const machine = { cores: cpus().length, load: loadavg(), node: process.version }
    console.log(JSON.stringify({ benchmark: 'load', machine, restart, memory: memory.rows }))
  } finally {
    await Promise.all([here.stop(), sink.stop()])
  }
}

const say = (text: string) => process.stderr.write(`${text}\n`)

async function furnish(here: Deployment, memory: Memory): Promise<void> {
  memory.note('started')
  say(`${agents} agents, ${workflows} workflows`)
  await here.enrolMany('agent', agents)
  memory.note(`${agents} agents`)
  await each([...Array(workflows).keys()], 8, async (i) => {
    await here.client.post('/v1/workflows', { id: `open-${i}`, state: { n: 0 } })
  })
  memory.note(`and ${workflows} workflows`)
}

async function crowd(here: Deployment, memory: Memory): Promise<void> {
  say(`${pending} that wait in one mailbox`)
  await here.enrol('crowded')
  await here.enrol('quiet')
  await holdBack(here, freshIds(pending), Date.now() + hourMs, () => 'crowded')
  await holdBack(here, freshIds(few), Date.now() + hourMs, () => 'quiet')
  memory.note(`and ${pending} pending`)
}

async function measured(all: readonly Case[]): Promise<void> {
  const rows = []
  for (const one of all) {
    say(one.name)
    rows.push(...rowsOf(await measure(one)))
  }
  console.log(shown(rows))
  console.log(JSON.stringify({ benchmark: 'load', load: loadavg(), rows }))
}

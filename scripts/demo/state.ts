/**
 * The job by shared state: five agents, each with a key of its own, and one record that all of them read and write under a
 * version. Three analysts have read the same version and write one list: who is late is told so with what is there by now, and
 * writes again. No message is sent. Never here: the agents' work (agents/).
 */
import { setTimeout as pause } from 'node:timers/promises'
import { analyst } from '../../agents/analyst.ts'
import { report as reportShape, synthesisRequest } from '../../agents/research/messages.ts'
import { researcher } from '../../agents/researcher.ts'
import { synthesizer } from '../../agents/synthesizer.ts'
import type { HistoryEntry, StateSeen } from './answers.ts'
import type { Client } from './client.ts'
import { pollMs } from './follow.ts'
import type { Page, Pattern } from './job.ts'
import { clock } from './page.ts'
import { runAgent } from './run-agent.ts'

const analysts = 3
const triesMax = 10
/** Ranking sentences takes milliseconds, a model takes seconds: long enough for the others to have read the same version. */
const thinkMs = 400
/** Full jitter: whoever was late waits anything up to this, doubled with each time, so that they do not meet again. */
const backoffMs = 40

type State = StateSeen['state']

/** An agent's hands: its own key, and its name for the page. */
interface Hand {
  readonly name: string
  readonly client: Client
  readonly workflow: string
  readonly page: Page
}

export const byState: Pattern = async ({ client, job, page, signal, env }) => {
  const run = crypto.randomUUID().slice(0, 8)
  const names = ['researcher', ...Array.from({ length: analysts }, (_, i) => `analyst-${i + 1}`), 'synthesizer']
  const registered = names.map((name) => `${name}-${run}`)
  try {
    const workflow = await client.createWorkflow({ state: { question: job.question, findings: [], analysed: [] } })
    const hands = await Promise.all(
      registered.map(async (agent, i): Promise<Hand> => {
        const { key } = await client.register(agent, { kind: 'pull' })
        if (key === undefined) throw new Error(`${agent} was registered before`)
        return { name: names[i] ?? agent, client: client.as(key), workflow, page }
      }),
    )
    const around = { env, signal }
    page.heading('Progress')
    const [first, ...others] = hands
    const last = others.pop()
    if (first === undefined || last === undefined) throw new Error('nobody to work')
    await Promise.all([
      search(first, job, around),
      ...others.map((hand, i) => analyse(hand, i, around)),
      compose(last, around),
    ])
    const { state } = await client.state(workflow)
    const entries = await client.history(workflow)
    const report = reportShape.parse(state['report'])
    page.report(report.markdown)
    page.heading('Versions')
    page.print(versionsPage(entries))
    page.print(`\n${verdict(entries, state)}`)
    return report
  } finally {
    // They are of this run only.
    await Promise.all(registered.map((agent) => client.remove(agent).catch(() => undefined)))
  }
}

type Around = Parameters<typeof runAgent>[2]

async function search(hand: Hand, job: unknown, around: Around): Promise<void> {
  const { data } = await runAgent(researcher, job, around)
  await write(hand, await hand.client.state(hand.workflow), () => data as State)
}

/** A part of the passages, and its findings added to everybody's list: a read, a change, a write. */
async function analyse(hand: Hand, part: number, around: Around): Promise<void> {
  const seen = await until(hand, ({ passages }) => Array.isArray(passages))
  const passages = listOf(seen.state['passages']).filter((_, i) => i % analysts === part)
  const [{ data }] = await Promise.all([runAgent(analyst, { ...seen.state, passages }, around), pause(thinkMs)])
  const found = synthesisRequest.parse(data)
  await write(hand, seen, (state) => ({
    findings: [...listOf(state['findings']), ...found.findings],
    notes: [...new Set([...listOf(state['notes']), ...found.notes])],
    dropped: Number(state['dropped'] ?? 0) + found.dropped,
    ...(found.model === undefined ? {} : { model: found.model }),
    analysed: [...listOf(state['analysed']), hand.name],
  }))
}

async function compose(hand: Hand, around: Around): Promise<void> {
  const seen = await until(hand, ({ analysed }) => listOf(analysed).length === analysts)
  const { findings } = synthesisRequest.parse(seen.state)
  const best = findings.toSorted((a, b) => b.score - a.score).slice(0, 10)
  const { data } = await runAgent(synthesizer, { ...seen.state, findings: best }, around)
  await write(hand, seen, () => ({ report: data }))
}

/** Looks at the state until it is as wanted. Nobody tells an agent: it has to look. */
async function until({ client, workflow }: Hand, wanted: (state: State) => boolean): Promise<StateSeen> {
  for (;;) {
    const seen = await client.state(workflow)
    if (wanted(seen.state)) return seen
    await pause(pollMs)
  }
}

/** Writes under the version that was seen; late, it makes its change again of what is there by now. */
async function write(hand: Hand, seen: StateSeen, change: (state: State) => State): Promise<void> {
  let { version, state } = seen
  for (let tried = 1; tried <= triesMax; tried++) {
    const answer = await hand.client.patch(hand.workflow, change(state), version)
    const line = `${clock(new Date().toISOString())}  ${hand.name.padEnd(12)} If-Match "${version}"`
    if (answer.status === 'written') return hand.page.print(`${line}  200  version ${answer.version}`)
    const by = answer.lastWriter.replace(/-[0-9a-f]{8}$/, '')
    hand.page.print(`${line}  412  it is ${answer.actual}, by ${by}: reads again`)
    ;({ actual: version, state } = answer)
    await pause(Math.random() * backoffMs * 2 ** tried)
  }
  throw new Error(`${hand.name} was late ${triesMax} times`)
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

function versionsPage(entries: readonly HistoryEntry[]): string {
  return entries
    .map(({ at, version, by, fields }) => {
      const who = by.replace(/-[0-9a-f]{8}$/, '').padEnd(12)
      return `${clock(at)}  version ${version}  ${who} ${fields.join(', ')}`
    })
    .join('\n')
}

/** Each analyst's findings are there once, and each version has one writer: no update was lost. */
function verdict(entries: readonly HistoryEntry[], state: State): string {
  const analysed = listOf(state['analysed'])
  const lost = analysts - new Set(analysed).size
  const gaps = entries.filter(({ version }, i) => version !== i + 1).length
  return `Writers of one list ${analysts}, updates lost ${lost}, written twice ${analysed.length - new Set(analysed).size}, versions skipped ${gaps}`
}

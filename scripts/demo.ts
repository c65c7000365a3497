/**
 * `npm run demo`: the main job, whole. Starts the platform with a state of its own (or uses the one at SWITCHBOARD_URL), has a
 * question answered over documents by a workflow of three agents, and shows the report, the path and the receipts; as shared state
 * or by events instead with `--pattern`, and with everything going wrong once with `--chaos`. Never here: the agents (agents/).
 */
import { readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { defaultModel } from '../agents/model.ts'
import { chaos } from './demo/chaos.ts'
import { clientOf } from './demo/client.ts'
import { readDocuments } from './demo/documents.ts'
import { byEvents } from './demo/events.ts'
import { type Job, type Page, type Pattern, pageOf } from './demo/job.ts'
import { widthOf, wrap } from './demo/page.ts'
import { type OwnPlatform, ownVars, startOwn, type Vars } from './demo/platform.ts'
import { byQueue } from './demo/queue.ts'
import { byState } from './demo/state.ts'
import { adminKeyName, readVars } from './dev-vars.ts'
import { devVarsPath, projectRoot, whenTold } from './local.ts'

const defaultQuestion = 'What happens to a message when the agent it is for is down?'
const usage = `npm run demo [-- --question "…"] [--out report.md] [--pattern queue|state|events] [--chaos] [files or folders …]

Without files: the project's own README.md and docs/*.md. With SWITCHBOARD_URL (and ${adminKeyName}): on that platform
instead of one started for the occasion. With OPENAI_BASE_URL and OPENAI_API_KEY (OPENAI_MODEL): with that model.

--pattern queue    a workflow asks one agent after the other (if nothing else is said)
--pattern state    agents read and write one record under a version; three of them race
--pattern events   each agent hears a topic and tells another
--chaos            the workflow, with an agent and the runtime killed in the middle of it`
const giveUpMs = 1_200_000

interface Way {
  readonly run: Pattern
  readonly tradeOff: readonly [string, string]
  /** What fits: a workflow's input is part of its record, a message is at most 1 MiB, and a process reads what it likes. */
  readonly shareBytes: number
}

const patterns: Readonly<Record<string, Way>> = {
  queue: {
    run: byQueue,
    shareBytes: 480_000,
    tradeOff: [
      'Queue with states: one place says what comes next, so every job can be explained, paused, resumed.',
      'Its price: one step after the other, and whoever adds an agent changes the definition.',
    ],
  },
  state: {
    run: byState,
    shareBytes: 900_000,
    tradeOff: [
      'Shared state: every agent sees all there is and works when it likes; who is late writes again.',
      'Its price: agents have to look, one record is a narrow place, and nobody misses an agent that died.',
    ],
  },
  events: {
    run: byEvents,
    shareBytes: 900_000,
    tradeOff: [
      'Events with breakers: agents know topics, not each other; one that is down holds up nobody.',
      'Its price: no place says how far a job is; that is read from receipts, one hop at a time.',
    ],
  },
}

const width = widthOf(process.stdout.columns)
const print = (text: string) => console.log(text)

process.exitCode = await main()

async function main(): Promise<number> {
  const stop = new AbortController()
  whenTold((by) => stop.abort(new Error(`stopped by ${by}`)))
  const minutes = giveUpMs / 60_000
  setTimeout(() => stop.abort(new Error(`it was not done within ${minutes} minutes`)), giveUpMs).unref()
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        question: { type: 'string' },
        out: { type: 'string' },
        pattern: { type: 'string' },
        chaos: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    })
    if (values.help === true) return say(usage)
    const from = process.env.INIT_CWD ?? process.cwd()
    await run(
      {
        question: values.question ?? defaultQuestion,
        paths: positionals.map((p) => resolve(from, p)),
        from,
        way: wayOf(values.pattern ?? 'queue'),
        chaos: chaosAsked(values.chaos ?? false, values.pattern),
        ...(values.out === undefined ? {} : { out: resolve(from, values.out) }),
      },
      stop.signal,
    )
    return 0
  } catch (error) {
    const reason = stop.signal.aborted ? stop.signal.reason : error
    console.error(
      wrap(`\nThe demo did not finish: ${reason instanceof Error ? reason.message : String(reason)}`, width),
    )
    return 1
  }
}

function wayOf(name: string): Way {
  const way = patterns[name]
  if (way === undefined) throw new Error(`there is no pattern ${name}: queue, state or events`)
  return way
}

function chaosAsked(asked: boolean, pattern: string | undefined): boolean {
  if (!asked) return false
  if (pattern !== undefined && pattern !== 'queue')
    throw new Error('--chaos is for the workflow, so for no other pattern')
  if (process.env.SWITCHBOARD_URL)
    throw new Error('--chaos kills the runtime, so it is not for the platform at SWITCHBOARD_URL')
  return true
}

interface Asked {
  readonly question: string
  readonly paths: readonly string[]
  readonly from: string
  readonly way: Way
  readonly chaos: boolean
  readonly out?: string
}

async function run(asked: Asked, signal: AbortSignal): Promise<void> {
  const { question, paths, from, way, out } = asked
  const own = paths.length === 0
  const reading = own
    ? readDocuments(ownDocuments(), projectRoot, question, way.shareBytes)
    : readDocuments(paths, from, question, way.shareBytes)
  const page = pageOf(width, print)
  page.say(`Question   ${question}`, '           ')
  page.say(`Documents  ${own ? "the project's own, " : ''}${reading.summary}`, '           ')
  const job = { question, documents: reading.documents }
  const url = process.env.SWITCHBOARD_URL
  const { markdown } = url ? await onPlatform(url, asked, job, page, signal) : await onOwn(asked, job, page, signal)
  page.heading('Trade-off')
  for (const line of way.tradeOff) page.say(line)
  if (out === undefined) return
  writeFileSync(out, markdown)
  print(`\nThe report is in ${out}`)
}

/** README.md and the pages of docs/, less lists, which have every word and answer nothing, and decisions, which quote what was rejected. */
function ownDocuments(): string[] {
  const docs = join(projectRoot, 'docs')
  const lists = ['map.md', 'coverage.md']
  const names = readdirSync(docs).filter((name) => name.endsWith('.md') && !lists.includes(name))
  return [join(projectRoot, 'README.md'), ...names.map((name) => join(docs, name))]
}

async function onPlatform(url: string, { way }: Asked, job: Job, page: Page, signal: AbortSignal) {
  const key = process.env[adminKeyName] || readVars(devVarsPath).get(adminKeyName)
  if (key === undefined) throw new Error(`SWITCHBOARD_URL needs ${adminKeyName}, in the environment or in .dev.vars`)
  print(`Platform   ${url}`)
  return way.run({ client: clientOf(url, key, { signal }), job, page, signal, env: ownVars(), ownPlatform: false })
}

async function onOwn(asked: Asked, job: Job, page: Page, signal: AbortSignal) {
  const vars = ownVars()
  page.say(`Model      ${modelLine(vars)}`, '           ')
  const platform = await startOwn(vars)
  try {
    await Promise.race([platform.ready(), aborted(signal)])
    print(`Platform   ${platform.url}, started for this question`)
    return await Promise.race([work(platform, asked, job, page, vars, signal), aborted(signal)])
  } catch (error) {
    if (!signal.aborted) console.error(`\nThe platform's last lines:\n${platform.lastLines()}`)
    throw error
  } finally {
    await platform.remove()
  }
}

function work(platform: OwnPlatform, asked: Asked, job: Job, page: Page, vars: Vars, signal: AbortSignal) {
  const client = clientOf(platform.url, platform.key, { signal, patient: asked.chaos })
  if (asked.chaos) return chaos({ platform, client, job, page, vars })
  return asked.way.run({ client, job, page, signal, env: vars, ownPlatform: true })
}

function modelLine(vars: Vars): string {
  return vars.OPENAI_BASE_URL && vars.OPENAI_API_KEY
    ? `${vars.OPENAI_MODEL || defaultModel} at ${vars.OPENAI_BASE_URL}`
    : 'none (OPENAI_BASE_URL and OPENAI_API_KEY are not set): sentences are ranked and quoted'
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

function say(text: string): number {
  print(text)
  return 0
}

/**
 * `npm run demo [-- --question "…"] [files or folders]`: the main job, whole. Starts the platform with a state of its own (or
 * uses the one at SWITCHBOARD_URL), has a question answered over documents by three agents that pass work on by messages,
 * and shows the report and the receipts of the messages that made it. Never here: the agents (agents/).
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { defaultModel } from '../agents/model.ts'
import { report as reportShape } from '../agents/research/messages.ts'
import { type Client, clientOf } from './demo/client.ts'
import { readDocuments } from './demo/documents.ts'
import { type Change, follow } from './demo/follow.ts'
import { changeLine, markdownPage, receiptPage, title, widthOf, wrap } from './demo/page.ts'
import { adminKeyName, newKey, readVars } from './dev-vars.ts'
import { devVarsPath, passedOn, passedOnLines, projectRoot, startLocal, tryPort, whenTold } from './local.ts'

const defaultQuestion = 'What happens to a message when the agent it is for is down?'
const usage = `npm run demo [-- --question "…"] [--out report.md] [files or folders …]

Without files: the project's own README.md and docs/. With SWITCHBOARD_URL (and ${adminKeyName}): on that platform
instead of one started for the occasion. With OPENAI_BASE_URL and OPENAI_API_KEY (OPENAI_MODEL): with that model.`
const giveUpMs = 1_200_000

const width = widthOf(process.stdout.columns)
const print = (text: string) => console.log(text)

process.exitCode = await main()

async function main(): Promise<number> {
  const stop = new AbortController()
  whenTold((by) => stop.abort(new Error(`stopped by ${by}`)))
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { question: { type: 'string' }, out: { type: 'string' }, help: { type: 'boolean' } },
    })
    if (values.help === true) return say(usage)
    const from = process.env.INIT_CWD ?? process.cwd()
    const out = values.out === undefined ? undefined : resolve(from, values.out)
    await run(
      values.question ?? defaultQuestion,
      positionals.map((p) => resolve(from, p)),
      from,
      out,
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

async function run(
  question: string,
  paths: readonly string[],
  from: string,
  out: string | undefined,
  stop: AbortSignal,
): Promise<void> {
  const own = paths.length === 0
  const reading = own ? readDocuments(ownDocuments(), projectRoot, question) : readDocuments(paths, from, question)
  print(wrap(`Question   ${question}`, width, '           '))
  print(wrap(`Documents  ${own ? "the project's own, " : ''}${reading.summary}`, width, '           '))
  const signal = AbortSignal.any([stop, AbortSignal.timeout(giveUpMs)])
  const job = { question, documents: reading.documents }
  const remote = process.env.SWITCHBOARD_URL
  if (remote === undefined || remote === '') return onOwnPlatform(job, out, signal)
  const key = process.env[adminKeyName] || readVars(devVarsPath).get(adminKeyName)
  if (key === undefined) throw new Error(`SWITCHBOARD_URL needs ${adminKeyName}, in the environment or in .dev.vars`)
  print(`Platform   ${remote}\n`)
  const client = clientOf(remote, key, signal)
  // On a platform that others use, a desk of its own: it must not read or replace somebody's.
  const desk = `desk-${crypto.randomUUID().slice(0, 8)}`
  try {
    await answer(client, desk, job, out)
  } finally {
    await clientOf(remote, key, AbortSignal.timeout(10_000))
      .remove(desk)
      .catch(() => undefined)
  }
}

/** README.md and docs/, less the map: a list of files has every word and answers nothing. */
function ownDocuments(): string[] {
  const docs = join(projectRoot, 'docs')
  const names = readdirSync(docs).filter((name) => name !== 'map.md')
  return [join(projectRoot, 'README.md'), ...names.map((name) => join(docs, name))]
}

interface Job {
  readonly question: string
  readonly documents: readonly unknown[]
}

async function onOwnPlatform(job: Job, out: string | undefined, signal: AbortSignal): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'switchboard-demo-'))
  const key = newKey()
  const vars = ownVars(key)
  writeFileSync(join(scratch, 'demo.vars'), passedOnLines(vars), { mode: 0o600 })
  print(wrap(`Model      ${modelLine(vars)}`, width, '           '))
  let log = ''
  const port = (await tryPort(0)) ?? 8_788
  const output = (chunk: string) => {
    log = (log + chunk).slice(-8_000)
  }
  const platform = startLocal({
    port,
    stateDir: join(scratch, 'state'),
    varFiles: [join(scratch, 'demo.vars')],
    output,
  })
  try {
    await Promise.race([platform.ready, aborted(signal)])
    print(`Platform   ${platform.url}, started for this question\n`)
    await answer(clientOf(platform.url, key, signal), 'desk', job, out)
  } catch (error) {
    if (!signal.aborted)
      console.error(`\nThe platform's last lines:\n${log.trimEnd().split('\n').slice(-12).join('\n')}`)
    throw error
  } finally {
    await platform.stop()
    rmSync(scratch, { recursive: true, force: true })
  }
}

async function answer(client: Client, desk: string, job: Job, out: string | undefined): Promise<void> {
  print(title('Progress', width))
  const tell = (change: Change) => print(changeLine(change, width))
  await client.registerPull(desk)
  const first = await client.publish({ to: 'researcher', type: 'research.request', data: job, replyto: desk })
  const { receipts, arrived } = await follow(client, first, desk, tell)
  const leased = await lease(client, desk, arrived)
  const report = reportShape.parse(leased.message.data)
  await client.ack(leased.id, leased.token)
  const last = await client.receipt(arrived)
  const done = last.steps.at(-1)
  if (done !== undefined) tell({ at: done.at, type: last.message.type, agent: desk, status: done.step })
  print(`\n${title('Report', width)}\n\n${markdownPage(report.markdown, width)}`)
  print(`${title('Receipts', width)}\n\n${receiptPage([...receipts.filter((r) => r.id !== arrived), last], width)}`)
  if (out !== undefined) {
    writeFileSync(out, report.markdown)
    print(`\nThe report is in ${out}`)
  }
}

async function lease(client: Client, desk: string, wanted: string) {
  for (;;) {
    const found = (await client.lease(desk)).find((d) => d.id === wanted)
    if (found !== undefined) return found
  }
}

/** The environment's and .dev.vars' model, and a key for this run only. */
function ownVars(key: string): Record<string, string | undefined> {
  const kept = readVars(devVarsPath)
  return {
    ...Object.fromEntries(passedOn.map((name) => [name, process.env[name] || kept.get(name)])),
    [adminKeyName]: key,
  }
}

function modelLine(vars: Readonly<Record<string, string | undefined>>): string {
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

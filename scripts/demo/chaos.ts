/**
 * The job with everything going wrong once: the analyst is a webhook process that is killed in the middle of its work, the runtime
 * is killed while mail waits for it, and each comes back. Shows that the breaker opened, what was parked, and that every message
 * ended once. Never here: the workflow (agents/research/workflow.ts), counting (ledger.ts).
 */
import { setTimeout as pause } from 'node:timers/promises'
import { freePort } from '../local.ts'
import type { Receipt } from './answers.ts'
import type { Client } from './client.ts'
import { type Change, pollMs } from './follow.ts'
import type { Job, Page } from './job.ts'
import { ledgerLine, ledgerOf } from './ledger.ts'
import { breakerPage, parkedPage, pathPage, receiptPage } from './page.ts'
import type { OwnPlatform, Vars } from './platform.ts'
import { reportOf, start, type Walked, walk } from './queue.ts'
import { type Receiver, startReceiver } from './receiver.ts'

const analyst = 'analyst-outside'
/** Beside the question itself: the same one over single documents, so that there is mail to park. */
const companions = 5

/**
 * Short, so that it is over in seconds; and attempts enough for an outage. A parked message costs none. An attempt that the runtime's
 * end cuts off is missed when its time is up, so that is short too, unless a model needs it.
 */
const policyOf = (vars: Vars) => ({
  ...{ maxAttempts: 20, timeoutSeconds: vars['OPENAI_API_KEY'] ? 60 : 6, concurrency: 2 },
  backoff: { initialSeconds: 0.2, factor: 1.5, capSeconds: 2, jitter: 'full' },
  breaker: { failureThreshold: 3, openSeconds: 3, maxOpenSeconds: 4 },
})

export interface ChaosOptions {
  readonly platform: OwnPlatform
  readonly client: Client
  readonly job: Job
  readonly page: Page
  readonly vars: Vars
}

export async function chaos({
  platform,
  client,
  job,
  page,
  vars,
}: ChaosOptions): Promise<{ readonly markdown: string }> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}/`
  const { secret = '' } = await client.register(analyst, { kind: 'webhook', url, policy: policyOf(vars) })
  // It thinks for longer than anybody waits: whatever it is asked, it is killed before it answers, on a slow machine too.
  const first = await startReceiver({ port, secret, agent: 'analyst', thinkMs: 600_000, env: vars })
  let second: Receiver | undefined
  try {
    page.heading('Progress')
    const ids = await begin(client, job)
    const happened: Change[] = []
    const happens = (type: string, agent: string, status: string, detail: string) =>
      happened.push({ at: new Date().toISOString(), type, agent, status, detail })
    const watch = (id: string, i: number) =>
      i === 0 ? walk(client, id, page.tell, happened) : walk(client, id, () => {})
    const walking = Promise.all(ids.map(watch))
    // It is awaited below; whatever fails before then is told there too.
    walking.catch(() => undefined)

    await within(walking, () => first.asked().length > 0)
    await first.kill()
    const [asked, answered] = [first.asked().length, first.answered().length]
    happens('chaos', analyst, 'killed', `in the middle of its work: asked ${asked} times, answered ${answered}`)
    await within(walking, async () => (await client.breaker(analyst)).state === 'open')
    const parked = await within(walking, () => allParkedAt(client))
    happens('breaker', analyst, 'open', `parked ${parked.length}`)

    await platform.kill()
    happens('chaos', 'runtime', 'killed', 'SIGKILL; nothing answers')
    const killedAt = Date.now()
    await platform.startAgain()
    const downSeconds = ((Date.now() - killedAt) / 1_000).toFixed(1)
    happens('chaos', 'runtime', 'back', `after ${downSeconds} s, with nothing but its storage`)
    await within(walking, () => probed(client, killedAt))
    happens('breaker', analyst, 'open', 'a probe found it still down')
    second = await startReceiver({ port, secret, agent: 'analyst', env: vars })
    happens('chaos', analyst, 'back', 'a new process at the same address')

    return await show(client, page, await walking, parked, () => [...first.asked(), ...(second?.asked() ?? [])])
  } finally {
    await first.kill()
    await second?.stop()
  }
}

/** What came of it, in the order in which a sceptic would ask. `attempts` are the analyst's own notes. */
async function show(
  client: Client,
  page: Page,
  walks: readonly Walked[],
  parked: readonly Receipt[],
  attempts: () => readonly string[],
): Promise<{ readonly markdown: string }> {
  const [main] = walks
  if (main === undefined) throw new Error('there is no workflow')
  const report = reportOf(main)
  const { history } = await client.breaker(analyst)
  const mailboxes = await Promise.all(['researcher', analyst, 'synthesizer'].map((agent) => client.receiptsOf(agent)))
  const wasParked = walks.flatMap((w) => w.receipts).filter((r) => parked.some(({ id }) => id === r.id))
  const asked = attempts()
  page.report(report.markdown)
  page.heading('Path of states')
  page.print(pathPage(main.entries))
  page.heading(`Breaker of ${analyst}`)
  page.print(breakerPage(history))
  page.heading('Parked')
  page.print(parkedPage(wasParked))
  page.heading('Receipts')
  page.print(receiptPage(main.receipts, page.width))
  page.heading('Ledger')
  page.say(
    `The analyst was asked ${asked.length} times about ${new Set(asked).size} analyses. What was cut off is asked again.`,
  )
  page.print(ledgerLine(ledgerOf(walks, mailboxes.flat())))
  return report
}

async function begin(client: Client, job: Job): Promise<string[]> {
  const jobs = Array.from({ length: companions }, (_, i) => job.documents[i % job.documents.length]).map(
    (document) => ({
      ...job,
      documents: document === undefined ? job.documents : [document],
    }),
  )
  const ids: string[] = []
  for (const one of [job, ...jobs]) ids.push(await start(client, { ...one, analyst }))
  return ids
}

/**
 * The mail of all workflows, once it waits here. Before that, a researcher may be at work: what the runtime's end takes from a
 * handler is asked for again when its lease is over, and that is minutes by its default policy.
 */
async function allParkedAt(client: Client): Promise<readonly Receipt[] | undefined> {
  const parked = await client.receiptsOf(analyst, 'parked')
  return parked.length === 1 + companions ? parked : undefined
}

/** Whether a probe has failed since. */
async function probed(client: Client, sinceMs: number): Promise<boolean> {
  const { history } = await client.breaker(analyst)
  return history.some((move) => move.from === 'half_open' && move.to === 'open' && Date.parse(move.at) > sinceMs)
}

/** Asks until there is an answer. Rejects when the work ends before, well or badly. */
async function within<T>(walking: Promise<unknown>, ask: () => T | Promise<T>): Promise<Exclude<T, false | undefined>> {
  let over = false
  const end = () => {
    over = true
  }
  walking.then(end, end)
  for (;;) {
    const answer = await ask()
    if (answer !== false && answer !== undefined) return answer as Exclude<T, false | undefined>
    if (over) {
      await walking
      throw new Error('the work ended before everything had gone wrong')
    }
    await pause(pollMs)
  }
}

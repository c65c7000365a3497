/**
 * The job as a queue with states: one call makes the workflow `research`, and everything else follows from its statechart.
 * Never here: the statechart (agents/research/workflow.ts).
 */
import { setTimeout as pause } from 'node:timers/promises'
import * as z from 'zod'
import { report } from '../../agents/research/messages.ts'
import type { HistoryEntry, Receipt, WorkflowSeen } from './answers.ts'
import type { Client } from './client.ts'
import { type Change, isOver, newFollower, pollMs, type Tell } from './follow.ts'
import type { Job, Pattern } from './job.ts'
import { pathPage, receiptPage } from './page.ts'

export interface Walked {
  readonly workflow: WorkflowSeen
  readonly entries: readonly HistoryEntry[]
  readonly receipts: readonly Receipt[]
}

export const start = (client: Client, job: Job): Promise<string> =>
  client.createWorkflow({ definition: 'research', input: job })

export const byQueue: Pattern = async ({ client, job, page }) => {
  page.heading('Progress')
  const walked = await walk(client, await start(client, job), page.tell)
  const report = reportOf(walked)
  page.report(report.markdown)
  page.heading('Path of states')
  page.print(pathPage(walked.entries))
  page.heading('Receipts')
  page.print(receiptPage(walked.receipts, page.width))
  return report
}

/** Watches a workflow to its end, and until nothing that it sent is under way. `beside` has its place in what is told. */
export async function walk(client: Client, id: string, tell: Tell, beside: readonly Change[] = []): Promise<Walked> {
  const follower = newFollower(client, tell)
  const entries: HistoryEntry[] = []
  for (;;) {
    entries.push(...(await client.history(id, entries.at(-1)?.n ?? 0)))
    for (const { state } of await client.sentBy(id)) if (state.status === 'carried') follower.follow(state.deliveries)
    const receipts = await follower.look([...beside, ...entries.flatMap(changesOf)])
    const status = entries.at(-1)?.status ?? 'running'
    if (status === 'paused') throw new Error(`the workflow ${id} was paused: ${entries.at(-1)?.detail ?? 'no reason'}`)
    if (status !== 'running' && receipts.every(isOver)) {
      follower.end()
      return { workflow: await client.workflow(id), entries, receipts }
    }
    await pause(pollMs)
  }
}

const failure = z.object({
  agent: z.string().optional(),
  reason: z.string().optional(),
  detail: z.string().optional(),
  error: z.object({ message: z.string() }).optional(),
})
const output = z.object({ report: report.optional(), error: failure.optional() })

/** The report of a workflow that came to its end; throws the reason of one that did not. */
export function reportOf({ workflow }: Walked) {
  const told = output.safeParse(workflow.output ?? {})
  if (told.success && told.data.report !== undefined) return told.data.report
  const { agent, reason, detail, error } = (told.success ? told.data.error : undefined) ?? {}
  const why = error?.message ?? detail ?? workflow.error?.detail ?? workflow.paused?.reason ?? 'no reason given'
  const who = agent === undefined ? '' : `${agent} gave up${reason === undefined ? '' : ` (${reason})`}: `
  throw new Error(`the workflow ended in ${String(workflow.value)}: ${who}${why}`)
}

function changesOf({ at, path, by }: HistoryEntry): Change[] {
  return path.map(({ to, event }) => {
    const because = event === '' || event === 'xstate.init' ? undefined : `${event}, of ${by}`
    return {
      ...{ at, type: 'workflow', agent: '', status: String(to) },
      ...(because === undefined ? {} : { detail: because }),
    }
  })
}

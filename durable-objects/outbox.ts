/**
 * What an object has to say between calls, it says through a queue. Waiting for the queue, but not for ever. Never here:
 * trying again, which is the alarm's work.
 */
import type { QueuePort } from '../shared/ports.ts'
import { type Reference, takeReferenceTo, type WorkReference } from '../shared/reference.ts'
import type { References } from '../shared/release.ts'
import type { Tick } from '../shared/upkeep.ts'

export interface OutboxEnv {
  readonly DELIVERIES: QueuePort<Reference>
  readonly WORK: QueuePort<WorkReference>
}

// A delivery's id has about 60 bytes; a queue message holds 128 kB.
const choresPerMessage = 100
const schedulesPerMessage = 25
const alertsPerMessage = 25
const approvalsPerMessage = 10
// A queue send has been seen to hang for a minute (cloudflare/workerd issue 6053).
const patienceMs = 5_000

/** References to what the alarm released. */
export async function sendReleases(env: OutboxEnv, agent: string, references: References): Promise<void> {
  await Promise.all(references.map((r) => patiently(env.DELIVERIES.send(takeReferenceTo(agent, r)))))
}

/** What somebody has to finish, and a challenge that is due; what is overdue is said, here and by whoever takes it from the queue. */
export async function sendWork(env: OutboxEnv, agent: string, due: Tick): Promise<void> {
  if (due.overdue !== undefined && due.overdue.length > 0)
    console.warn(JSON.stringify({ step: 'overdue', agent, deliveries: due.overdue }))
  const alerts = due.alerts ?? []
  for (let i = 0; i < alerts.length; i += alertsPerMessage)
    await patiently(env.WORK.send({ v: 1, agent, overdue: alerts.slice(i, i + alertsPerMessage) }))
  for (let i = 0; i < due.chores.length; i += choresPerMessage)
    await patiently(env.WORK.send({ v: 1, agent, deliveries: due.chores.slice(i, i + choresPerMessage) }))
  if (due.verify) await patiently(env.WORK.send({ v: 1, agent, verify: true }))
}

/** A breaker that moved. A send that is lost is made up for by the hourly sweep. */
export async function sendMove(
  env: Pick<OutboxEnv, 'WORK'>,
  agent: string,
  after: number,
  upTo: number,
): Promise<void> {
  await patiently(env.WORK.send({ v: 1, agent, announce: { after, upTo } }))
}

/** An agent that was paused. As above. */
export async function sendPause(env: Pick<OutboxEnv, 'WORK'>, agent: string, since: number): Promise<void> {
  await patiently(env.WORK.send({ v: 1, agent, pausedSince: since }))
}

/** A publication that has legs left. */
export async function sendExpansion(env: Pick<OutboxEnv, 'WORK'>, publication: string): Promise<void> {
  await patiently(env.WORK.send({ v: 1, publication }))
}

/** Gathers with legs to be asked, or an outcome to be told. */
export async function sendGathers(env: Pick<OutboxEnv, 'WORK'>, gathers: readonly string[]): Promise<void> {
  await Promise.all(gathers.map((gather) => patiently(env.WORK.send({ v: 1, gather }))))
}

/** A promise whose end has to be told. */
export async function sendPromise(env: Pick<OutboxEnv, 'WORK'>, promise: string): Promise<void> {
  await patiently(env.WORK.send({ v: 1, promise }))
}

/** Schedules that have something to be published. A few to a message, so that they are spread over several invocations. */
export async function sendFirings(env: Pick<OutboxEnv, 'WORK'>, schedules: readonly string[]): Promise<void> {
  const messages = Array.from({ length: Math.ceil(schedules.length / schedulesPerMessage) }, (_, i) =>
    schedules.slice(i * schedulesPerMessage, (i + 1) * schedulesPerMessage),
  )
  await Promise.all(messages.map((some) => patiently(env.WORK.send({ v: 1, schedules: some }))))
}

/** Questions to people of which somebody has to be told. A few to a message, as above. */
export async function sendApprovals(env: Pick<OutboxEnv, 'WORK'>, approvals: readonly string[]): Promise<void> {
  const messages = Array.from({ length: Math.ceil(approvals.length / approvalsPerMessage) }, (_, i) =>
    approvals.slice(i * approvalsPerMessage, (i + 1) * approvalsPerMessage),
  )
  await Promise.all(messages.map((some) => patiently(env.WORK.send({ v: 1, approvals: some }))))
}

/** A resource's breaker that moved. */
export async function sendResourceMove(
  env: Pick<OutboxEnv, 'WORK'>,
  resource: string,
  after: number,
  upTo: number,
): Promise<void> {
  await patiently(env.WORK.send({ v: 1, resource, announce: { after, upTo } }))
}

/** A workflow with messages to send, or an index to tell. */
export async function sendPerformance(env: Pick<OutboxEnv, 'WORK'>, workflow: string): Promise<void> {
  await patiently(env.WORK.send({ v: 1, workflow }))
}

// A send that fails or hangs is no loss: the alarm repeats it. It is only said.
async function patiently(sending: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const patience = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), patienceMs)
  })
  try {
    if ((await Promise.race([sending, patience])) === 'late') say('the queue did not answer in time')
  } catch (error) {
    say(String(error))
  } finally {
    if (timer !== undefined) clearTimeout(timer)
  }
}

function say(note: string): void {
  console.warn(JSON.stringify({ step: 'agent.send', note, next: 'the alarm repeats it' }))
}

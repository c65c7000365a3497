/**
 * The job by events: each agent hears a topic and tells another, and nobody knows who listens. An auditor who hears them all is
 * down, and holds up nobody: its breaker opens, its mail is parked, and when it is back it gets what it missed.
 * Never here: the agents' work (agents/).
 */
import { setTimeout as pause } from 'node:timers/promises'
import { report as reportShape } from '../../agents/research/messages.ts'
import { freePort } from '../local.ts'
import type { Receipt } from './answers.ts'
import type { Client } from './client.ts'
import { type Follower, failureOf, isOver, newFollower, pollMs } from './follow.ts'
import type { Pattern } from './job.ts'
import { breakerPage, receiptPage } from './page.ts'
import { type Receiver, startReceiver } from './receiver.ts'

const heard = [
  ['researcher', 'research.requested'],
  ['analyst', 'research.complete'],
  ['synthesizer', 'analysis.complete'],
] as const

export const byEvents: Pattern = async ({ client, job, page, signal, ownPlatform }) => {
  const run = crypto.randomUUID().slice(0, 8)
  const [desk, auditor] = [`desk-${run}`, `auditor-${run}`]
  const made: string[] = []
  const subscribe = async (agent: string, topic: string, more: object = {}) => {
    const id = `demo-${agent}-${topic.replaceAll('.', '-').replace('*', 'all')}`
    if (await client.subscribe(id, { agent, topic, ...more })) made.push(id)
  }
  let receiver: Receiver | undefined
  let secret = ''
  try {
    await client.register(desk, { kind: 'pull' })
    for (const [agent, topic] of heard) await subscribe(agent, topic)
    const ours = { filter: { eq: ['correlationid', run] } }
    await subscribe(desk, 'synthesis.complete', ours)
    const port = await freePort()
    if (ownPlatform) {
      const url = `http://127.0.0.1:${port}/`
      secret = (await client.register(auditor, { kind: 'webhook', url, policy: auditorPolicy })).secret ?? ''
      await subscribe(auditor, '*.complete', ours)
    }
    page.heading('Progress')
    const follower = newFollower(client, page.tell)
    follower.follow(
      await client.publish({ topic: 'research.requested', type: 'research.requested', correlationid: run, data: job }),
    )
    const arrived = await until(follower, signal, (receipts) => receipts.find((r) => r.agent === desk))
    const report = reportShape.parse(await taken(client, desk, arrived.id))
    if (ownPlatform) {
      const parked = await until(follower, signal, (all) =>
        all.find((r) => r.agent === auditor && r.status === 'parked'),
      )
      page.print(
        `The report is there; the auditor is not, and ${parked.message.type} is parked for it. Now it comes back.`,
      )
      receiver = await startReceiver({ port, secret })
    }
    const receipts = await until(follower, signal, (all) => (all.every(isOver) ? all : undefined))
    follower.end()
    page.report(report.markdown)
    if (ownPlatform) {
      page.heading(`Breaker of ${auditor}`)
      page.print(breakerPage((await client.breaker(auditor)).history))
    }
    page.heading('Receipts')
    page.print(receiptPage(receipts, page.width))
    return report
  } finally {
    await receiver?.stop()
    for (const id of made) await client.unsubscribe(id).catch(() => undefined)
    for (const agent of [desk, ...(ownPlatform ? [auditor] : [])]) await client.remove(agent).catch(() => undefined)
  }
}

/** Short, so that a person who watches sees it open and close. */
const auditorPolicy = {
  ...{ maxAttempts: 20, timeoutSeconds: 5 },
  backoff: { initialSeconds: 0.1, factor: 1.5, capSeconds: 1, jitter: 'full' },
  breaker: { failureThreshold: 2, openSeconds: 1, maxOpenSeconds: 2 },
}

async function until<T>(
  follower: Follower,
  signal: AbortSignal,
  found: (receipts: readonly Receipt[]) => T | undefined,
): Promise<T> {
  for (;;) {
    const receipts = await follower.look()
    for (const failure of receipts.map(failureOf)) if (failure !== undefined) throw new Error(failure)
    const answer = found(receipts)
    if (answer !== undefined) return answer
    await pause(pollMs, undefined, { signal })
  }
}

async function taken(client: Client, desk: string, wanted: string): Promise<unknown> {
  for (;;) {
    const found = (await client.lease(desk)).find((d) => d.id === wanted)
    if (found === undefined) continue
    await client.ack(found.id, found.token)
    return found.message.data
  }
}

/**
 * The switch: asked before anything is taken, and remembered by the isolate for five seconds, which is also how long it may be
 * overlooked. Never here: what is taken (workers/take.ts).
 */
import type { Isolate, Platform } from '../shared/ports.ts'
import { type Switch, switchRememberedMs, untouched } from '../shared/switch.ts'
import { enqueue } from './enqueue.ts'

interface Memory {
  readonly turned: Switch
  readonly until: number
}

const memories = new WeakMap<Isolate, Memory>()

/** Why nothing may be taken now; undefined when it may. */
export async function stoppedBecause(platform: Platform): Promise<string | undefined> {
  const { state, reason } = await turned(platform)
  if (state === 'running') return undefined
  return reason === undefined ? 'the deployment is stopped' : `the deployment is stopped: ${reason}`
}

// A directory that does not answer changes nothing: it must not stop what nobody stopped.
async function turned(platform: Platform): Promise<Switch> {
  const { isolate } = platform
  const known = memories.get(isolate)
  if (known !== undefined && known.until > platform.now()) return known.turned
  try {
    return remember(platform, await platform.directory().turned())
  } catch (error) {
    platform.log('switch.failed', { error: String(error) })
    return remember(platform, known?.turned ?? untouched)
  }
}

function remember(platform: Platform, now: Switch): Switch {
  memories.set(platform.isolate, { turned: now, until: platform.now() + switchRememberedMs })
  return now
}

/** What the directory said of it beside something else, asked `at`. */
export function noteSwitch(platform: Platform, stopped: Switch | undefined, at: number): void {
  const until = at + switchRememberedMs
  const known = memories.get(platform.isolate)
  if (known === undefined || known.until < until)
    memories.set(platform.isolate, { turned: stopped ?? untouched, until })
}

/** Turns it. What waited is released again at once, as far as one call reaches; the rest by the mailboxes' own alarms, in five minutes. */
export async function turn(platform: Platform, asked: Pick<Switch, 'state' | 'reason' | 'by'>): Promise<Switch> {
  const turned = remember(platform, await platform.directory().turn(asked))
  platform.log('switch', { ...asked })
  if (turned.state === 'running') platform.waitUntil(wake(platform))
  return turned
}

async function wake(platform: Platform): Promise<void> {
  let cursor: string | undefined
  do {
    const page = await platform.directory().agents(undefined, cursor, wokenAtOnce)
    const asked = page.items.slice(0, platform.allowance.legs)
    platform.allowance.legs -= asked.length
    await Promise.all(asked.map(({ agent }) => wakeOne(platform, agent)))
    cursor = platform.allowance.legs > 0 ? page.cursor : undefined
  } while (cursor !== undefined)
}

const wokenAtOnce = 20

async function wakeOne(platform: Platform, agent: string): Promise<void> {
  try {
    const { references } = await platform.agent(agent).renew()
    enqueue(platform, agent, references)
  } catch (error) {
    platform.log('switch.wake', { agent, error: String(error) })
  }
}

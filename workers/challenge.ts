/**
 * Challenge: does whoever runs this URL want our mail? A signed POST of a random value, to be repeated in the JSON answer.
 * Until then the agent's mail waits. Never here: when the next try is due (the mailbox's alarm asks hourly).
 */
import { type AgentRecord, isChallengeAnswered } from '../shared/agent.ts'
import { indexEntry } from '../shared/directory.ts'
import type { AttemptError } from '../shared/outcome.ts'
import type { Platform } from '../shared/ports.ts'
import { enqueue } from './enqueue.ts'
import { postWebhook } from './webhook.ts'

/** Somebody may be waiting for the answer to a PUT, and a receiver that is slower than this is asked again later. */
export const challengeTimeoutMs = 5_000

export type Challenged = { readonly verified: true } | { readonly verified: false; readonly error: AttemptError }

const gone: Challenged = { verified: false, error: { code: 'unknown', message: 'no such agent, or it has a new url' } }

/** Asks, unless it is known already. An answer counts only for the URL that gave it. */
export async function challenge(platform: Platform, name: string): Promise<Challenged> {
  const described = await platform.agent(name).describe()
  if (described === undefined) return gone
  const { agent } = described
  if (agent.verified || agent.url === undefined) return { verified: true }
  const error = await ask(platform, agent)
  platform.log('challenge', { agent: name, verified: error === undefined, ...(error && { error: error.code }) })
  return error === undefined ? accept(platform, name, agent.url) : { verified: false, error }
}

async function ask(platform: Platform, agent: AgentRecord): Promise<AttemptError | undefined> {
  const challenge = platform.token()
  const id = `challenge_${platform.token()}`
  const body = JSON.stringify({
    specversion: '1.0',
    id,
    source: 'switchboard',
    type: 'switchboard.challenge',
    time: new Date(platform.now()).toISOString(),
    datacontenttype: 'application/json',
    data: { challenge },
  })
  const posted = await postWebhook(platform, agent, { id, body, timeoutMs: challengeTimeoutMs })
  if (!posted.ok) return posted.error
  const { status, body: answer } = posted.answer
  if (isChallengeAnswered(status, answer, challenge)) return undefined
  return {
    code: 'challenge',
    message: `answered ${status}; a 2xx with {"challenge": <the value that was sent>} was expected`,
    httpStatus: status,
  }
}

// Object first, index second; what was parked is released by the same step.
async function accept(platform: Platform, name: string, url: string): Promise<Challenged> {
  const { references } = await platform.agent(name).verified(url)
  enqueue(platform, name, references)
  const described = await platform.agent(name).describe()
  if (described?.agent.verified !== true) return gone
  await platform.directory().putAgent(indexEntry(described.agent))
  return { verified: true }
}

/**
 * An agent's record as it goes with its mail: as text. It is the same each time, and text is copied from one isolate to another for next to
 * nothing, where an object of some forty members is taken apart and put together again with every message. Whoever gets it reads
 * each text once. Never here: what the record says (shared/agent.ts).
 */
import { type AgentRecord, readAgent } from './agent.ts'

/** The record as JSON. */
export type AgentText = string

const written = new WeakMap<AgentRecord, AgentText>()

/** The record as text: the same record, the same text. */
export function agentText(agent: AgentRecord): AgentText
export function agentText(agent: AgentRecord | undefined): AgentText | undefined
export function agentText(agent: AgentRecord | undefined): AgentText | undefined {
  if (agent === undefined) return undefined
  const text = written.get(agent) ?? JSON.stringify(agent)
  written.set(agent, text)
  return text
}

// The oldest gives way. A text is about a kilobyte.
const readMax = 500
const read = new Map<AgentText, AgentRecord>()

/** The record of a text: the same text, the same record, so that what is made of it may be remembered with it. */
export function agentIn(text: AgentText): AgentRecord
export function agentIn(text: AgentText | undefined): AgentRecord | undefined
export function agentIn(text: AgentText | undefined): AgentRecord | undefined {
  if (text === undefined) return undefined
  const known = read.get(text)
  if (known !== undefined) return known
  const agent = readAgent(text)
  const [oldest] = read.keys()
  if (oldest !== undefined && read.size >= readMax) read.delete(oldest)
  read.set(text, agent)
  return agent
}

/**
 * The deployment's figures, agent by agent: as JSON, and as Prometheus reads them. Never here: asking mailboxes (workers/measure.ts).
 */
import * as z from 'zod'
import { sweptAuditAnswer } from './audit.ts'
import type { LetterCount } from './dead-letter.ts'
import type { MailboxStats } from './figures.ts'
import { agentKind } from './policy.ts'
import { durationAnswer } from './stays.ts'

const count = z.int().min(0)

export const agentStats = z.strictObject({
  agent: z.string(),
  kind: agentKind,
  depth: count.describe('All that has not ended.'),
  states: z.record(z.string(), count).describe('How many of those stand where.'),
  inFlight: count,
  oldestSeconds: z.number().optional().describe('How long ago the oldest of those was accepted.'),
  breaker: z.enum(['closed', 'open', 'half_open']),
  parked: z.string().optional().describe('Why nothing of it is released.'),
  deadLetters: z.record(z.string(), count).describe('How many are kept, by reason.'),
})
export type AgentStats = z.infer<typeof agentStats>

export const statsAnswer = z.strictObject({
  at: z.iso.datetime(),
  stopped: z.string().optional().describe('Why nothing is taken in the whole deployment. Absent while it runs.'),
  items: z.array(agentStats),
  unroutable: count.describe('Dead letters of publications that reached nobody.'),
  lettersComplete: z.boolean().describe('Whether every dead letter was counted: only the newest are.'),
  unavailable: z.array(z.string()).describe('Agents whose mailbox did not answer.'),
  audit: sweptAuditAnswer.optional().describe('What the hourly sweep found in all mailboxes. Absent before the first.'),
  stateDurations: z
    .array(durationAnswer)
    .optional()
    .describe('How long the states of named definitions lasted, over all workflows that ended. On the first page.'),
  cursor: z.string().optional().describe('There is more: ask again with this cursor.'),
})
export type Stats = z.infer<typeof statsAnswer>

/** One agent's line. */
export function agentStatsOf(
  agent: string,
  { kind, figures, states }: MailboxStats,
  letters: readonly LetterCount[],
  now: number,
): AgentStats {
  const { depth, inFlight, breaker, parked, oldestAt } = figures
  return {
    ...{ agent, kind, depth, states: { ...states }, inFlight },
    ...(oldestAt === undefined ? {} : { oldestSeconds: Math.max(0, now - oldestAt) / 1_000 }),
    breaker,
    ...(parked === undefined ? {} : { parked }),
    deadLetters: Object.fromEntries(letters.filter((l) => l.agent === agent).map((l) => [l.reason, l.count])),
  }
}

// --- Prometheus -------------------------------------------------------------------------------------------------------

/** The media type of its text format. */
export const prometheusType = 'text/plain; version=0.0.4; charset=utf-8'

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

interface Family {
  readonly name: string
  readonly type?: 'counter' | 'gauge'
  readonly help: string
  readonly samples: readonly Sample[]
}

const breakerStates = ['closed', 'open', 'half_open'] as const

/** The same figures in Prometheus' text format. */
export function metricsText(stats: Stats): string {
  const { items, lettersComplete, unavailable, cursor, stopped, audit, stateDurations = [] } = stats
  const each = (value: (one: AgentStats) => readonly Sample[]) => items.flatMap(value)
  const families: readonly Family[] = [
    {
      name: 'switchboard_mailbox_deliveries',
      help: 'Deliveries that have not ended, by where they stand.',
      samples: each(({ agent, states }) => Object.entries(states).map(([status, n]) => [{ agent, status }, n])),
    },
    {
      name: 'switchboard_mailbox_depth',
      help: 'All deliveries that have not ended.',
      samples: each((a) => [[{ agent: a.agent }, a.depth]]),
    },
    {
      name: 'switchboard_mailbox_in_flight',
      help: 'Deliveries under a lease.',
      samples: each((a) => [[{ agent: a.agent }, a.inFlight]]),
    },
    {
      name: 'switchboard_mailbox_oldest_seconds',
      help: 'Age of the oldest delivery that has not ended; 0 without one.',
      samples: each((a) => [[{ agent: a.agent }, a.oldestSeconds ?? 0]]),
    },
    {
      name: 'switchboard_breaker_state',
      help: '1 for the state in which the breaker is.',
      samples: each(({ agent, breaker }) =>
        breakerStates.map((state) => [{ agent, state }, state === breaker ? 1 : 0]),
      ),
    },
    {
      name: 'switchboard_mailbox_parked',
      help: '1 when nothing is released, for whatever reason.',
      samples: each((a) => [[{ agent: a.agent }, a.parked === undefined ? 0 : 1]]),
    },
    {
      name: 'switchboard_dead_letters',
      help: 'Dead letters that are kept, by reason.',
      samples: each(({ agent, deadLetters }) =>
        Object.entries(deadLetters).map(([reason, n]) => [{ agent, reason }, n]),
      ),
    },
    {
      name: 'switchboard_stopped',
      help: '1 when nothing is taken in the whole deployment.',
      samples: [[{}, stopped === undefined ? 0 : 1]],
    },
    {
      name: 'switchboard_audit_mismatched',
      help: 'Mailboxes that did not add up in the last hourly sweep.',
      samples: audit === undefined ? [] : [[{}, audit.mismatched.length]],
    },
    {
      name: 'switchboard_scrape_complete',
      help: '1 when every agent answered and every dead letter was counted.',
      samples: [[{}, lettersComplete && unavailable.length === 0 && cursor === undefined ? 1 : 0]],
    },
  ]
  return [...families, ...durationFamilies(stateDurations)].map(familyText).join('')
}

function durationFamilies(durations: NonNullable<Stats['stateDurations']>): Family[] {
  const name = 'switchboard_state_duration_seconds'
  const each = (value: (one: (typeof durations)[number]) => number): Sample[] =>
    durations.map((one) => [{ definition: one.definition, state: one.state }, value(one)])
  return [
    {
      name: `${name}_sum`,
      type: 'counter',
      help: 'How long workflows that ended were in a state.',
      samples: each((d) => d.totalSeconds),
    },
    { name: `${name}_count`, type: 'counter', help: 'How often they were.', samples: each((d) => d.visits) },
    { name: `${name}_longest`, help: 'The longest of these visits.', samples: each((d) => d.longestSeconds) },
  ]
}

function familyText({ name, type = 'gauge', help, samples }: Family): string {
  if (samples.length === 0) return ''
  const lines = samples.map(([labels, value]) => `${name}${labelsText(labels)} ${value}\n`)
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${quoted(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

const quoted = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

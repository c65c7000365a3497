/**
 * docs/lifecycles.md, made of the tables in the code, so that the pictures cannot show other ways than the machines go.
 * Never here: reading or writing files, or a table.
 */
import { breakerTable } from '../shared/breaker.ts'
import { handshakeTable } from '../shared/handshake.ts'
import { workflowTable } from '../shared/workflow-status.ts'

/** From each state and each event, the states it may lead to; the first state is where a life begins. */
export type Table = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>

export interface Machine {
  readonly title: string
  readonly file: string
  readonly says: string
  readonly table: Table
}

/** Every machine whose ways are a table. */
export const machines: readonly Machine[] = [
  {
    title: 'Breaker',
    file: 'shared/breaker.ts',
    says: 'one for each agent that is called. A report counts only in the epoch in which its delivery was leased (B3).',
    table: breakerTable,
  },
  {
    title: 'Handshake',
    file: 'shared/handshake.ts',
    says: 'one for each time an agent is asked. Derived whenever it is read: by the clock, and by the agent’s card as it is then.',
    table: handshakeTable,
  },
  {
    title: 'Workflow',
    file: 'shared/workflow-status.ts',
    says: 'one for each workflow. An event is the statechart’s to take, a timer is its own; a paused one lets both wait.',
    table: workflowTable,
  },
]

export function lifecyclePage(machines: readonly Machine[]): string {
  const opening =
    'Made by `npm run lifecycles` from the tables that the tests walk. An event that is on no arrow leaves a state as it is.'
  return `${['# Lifecycles', opening, ...machines.map(section)].join('\n\n')}\n`
}

function section({ title, file, says, table }: Machine): string {
  return [`## ${title}`, `\`${file}\`: ${says}`, diagram(table), whole(table)].join('\n\n')
}

function diagram(table: Table): string {
  const arrows = Object.entries(table).flatMap(([from, row]) => {
    const tos = new Set(Object.values(row).flat())
    return [...tos].filter((to) => to !== from).map((to) => `  ${from} --> ${to}: ${eventsBetween(row, to).join(', ')}`)
  })
  return ['```mermaid', 'stateDiagram-v2', `  [*] --> ${Object.keys(table)[0]}`, ...arrows, '```'].join('\n')
}

const eventsBetween = (row: Table[string], to: string) =>
  Object.entries(row)
    .filter(([, tos]) => tos.includes(to))
    .map(([event]) => event)

function whole(table: Table): string {
  const events = Object.keys(Object.values(table)[0] ?? {})
  const lines = Object.entries(table).map(
    ([from, row]) => `| **${from}** | ${events.map((event) => (row[event] ?? []).join(' or ')).join(' | ')} |`,
  )
  return [`| from | ${events.join(' | ')} |`, `|---|${events.map(() => '---|').join('')}`, ...lines].join('\n')
}

/**
 * What must hold of every workflow, after each step of its object and when a story has come to rest: read from its rows, as
 * plain SQL finds them. Never here: the story (workflow-story.ts).
 */
import { readOutgoing } from '../../shared/outgoing.ts'
import { undone } from '../../shared/versioned.ts'
import { readState, readWorkflow, type WorkflowRecord } from '../../shared/workflow.ts'
import { dueAt } from '../../shared/workflow-due.ts'
import { readDifference, readEntry } from '../../shared/workflow-history.ts'
import { must } from './invariants.ts'
import type { SimStorage } from './storage.ts'

/** A workflow as its storage has it. */
export function stored(storage: SimStorage) {
  const rows = (query: string) => storage.sql.exec(query).toArray()
  if (rows("SELECT 1 FROM sqlite_master WHERE name = 'workflow'").length === 0) return undefined
  const [row] = rows('SELECT record, state FROM workflow')
  if (row === undefined) return undefined
  return {
    record: readWorkflow(row['record']),
    state: readState(row['state']),
    entries: rows('SELECT version, record, replaced FROM history ORDER BY n').map((r) => ({
      version: r['version'] === null ? undefined : Number(r['version']),
      entry: readEntry(r['record']),
      difference: r['replaced'] === null ? undefined : readDifference(r['replaced']),
    })),
    effects: rows('SELECT record FROM effects ORDER BY n').map((r) => readOutgoing(r['record'])),
    deferred: rows('SELECT n FROM deferred').length,
  }
}
export type Stored = NonNullable<ReturnType<typeof stored>>

/** W1, W3 and M6, in one look: whatever was committed was committed whole. */
export function checkWorkflow(name: string, storage: SimStorage, initial: object): void {
  const found = stored(storage)
  if (found === undefined) return
  const { record, state, entries, effects } = found
  const commits = entries.filter((e) => e.version !== undefined)

  const versions = commits.map((e) => e.version)
  const gapFree = versions.every((version, i) => version === i + 1) && versions.at(-1) === record.version
  must(gapFree, 'W1', () => `${name} is at ${record.version}, and its commits are ${versions.join(' ')}`)
  for (const { entry } of commits)
    must(entry.by !== '', 'W1', () => `version ${entry.version} of ${name} has no writer`)

  must(entries.at(-1)?.entry.n === record.last.entry, 'W3', () => `${name} counts ${record.last.entry} entries`)
  must(
    entries.length === record.last.entry,
    'W3',
    () => `${name} has ${entries.length} of ${record.last.entry} entries`,
  )
  const moved = commits.findLast((e) => e.entry.value !== undefined)?.entry.value
  const same = JSON.stringify(moved) === JSON.stringify(record.value)
  must(same, 'W3', () => `${name} is in ${JSON.stringify(record.value)}, its history in ${JSON.stringify(moved)}`)
  const first = commits.slice(1).reduceRight((s, { difference }) => undone(s, difference!), state)
  must(
    JSON.stringify(first, Object.keys(first).sort()) === JSON.stringify(initial, Object.keys(initial).sort()),
    'W3',
    () => `the changes of ${name}, undone, lead to ${JSON.stringify(first)}`,
  )

  const told = entries.flatMap((e) => (e.entry.effects ?? []).map((n) => `${n} of ${e.entry.n}`))
  const kept = effects.map((e) => `${e.n} of ${e.entry}`)
  must(told.join() === kept.join(), 'W3', () => `${name} tells of effects ${told.join()}, and has ${kept.join()}`)
  must(kept.length === record.last.effect, 'W3', () => `${name} counts ${record.last.effect} effects of ${kept.length}`)
  const open = effects.filter((e) => e.state.status === 'pending').length
  must(open === record.open, 'W3', () => `${name} counts ${record.open} open effects of ${open}`)
  must(
    found.deferred === record.waiting,
    'W3',
    () => `${name} counts ${record.waiting} waiting events of ${found.deferred}`,
  )
  checkArmed(name, record, storage)
}

function checkArmed(name: string, record: WorkflowRecord, { alarmAt }: SimStorage): void {
  const due = dueAt(record)
  const armed = due === undefined || (alarmAt !== null && alarmAt <= due)
  must(armed, 'M6', () => `${name} is due at ${due}, and its alarm at ${alarmAt}`)
}

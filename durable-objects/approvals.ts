/**
 * ApprovalsObject: every question to a person of the deployment, each a row with the time at which it wakes. One instance, named
 * `all`, because people want to see what waits for them in one list. Its alarm is the clock: it ends, escalates, and says who
 * has to be told through the `work` queue, again and again until they were. Never here: telling anybody
 * (workers/tell-approval.ts), what a time-out means (shared/approval.ts).
 */
import { DurableObject } from 'cloudflare:workers'
import {
  type Approval,
  type ApprovalNews,
  type ApprovalOpening,
  approvalTold,
  approvalWakeAt,
  askForNews,
  cancelApproval,
  type Decided,
  type Decision,
  decideApproval,
  elapseApproval,
  isApprovalForgotten,
  openApproval,
  readApproval,
} from '../shared/approval.ts'
import type { ApprovalRoom, ApprovalsPort } from '../shared/approval-port.ts'
import type { ChancePort, SqlValue, StoragePort, Synchronous } from '../shared/ports.ts'
import { chance } from './chance.ts'
import { type OutboxEnv, sendApprovals } from './outbox.ts'

const tables = [
  `CREATE TABLE IF NOT EXISTS approvals (
     id TEXT PRIMARY KEY, owner TEXT NOT NULL, opened_at INTEGER NOT NULL, ended INTEGER NOT NULL, wake_at INTEGER NOT NULL,
     record TEXT NOT NULL
   ) WITHOUT ROWID`,
  'CREATE INDEX IF NOT EXISTS approvals_by_wake ON approvals (wake_at)',
  'CREATE INDEX IF NOT EXISTS approvals_by_age ON approvals (ended, opened_at, id)',
]

/** Who asked, and who was asked so far. */
const partyTo = `(owner = ? OR EXISTS (
  SELECT 1 FROM json_each(record, '$.stages') AS stage, json_each(stage.value) AS asked
  WHERE stage.key <= json_extract(record, '$.stage') AND json_extract(asked.value, '$.to') = ?))`

/** Approvals that one alarm sees to; the others are due at once again. */
const perAlarm = 100
const alarmRetryMs = 5_000
/** One whose row cannot be read must not be the next thing due for ever. */
const unreadableMs = 3_600_000

export class ApprovalsObject extends DurableObject<OutboxEnv> implements Synchronous<ApprovalsPort> {
  readonly #storage: StoragePort
  readonly #chance: Pick<ChancePort, 'now'>

  constructor(ctx: DurableObjectState, env: OutboxEnv, ports: Pick<ChancePort, 'now'> = chance) {
    super(ctx, env)
    // The narrow shape that is used; the platform's own class satisfies it.
    this.#storage = ctx.storage as unknown as StoragePort
    this.#chance = ports
    for (const table of tables) this.#storage.sql.exec(table)
  }

  open(opening: ApprovalOpening, room: ApprovalRoom) {
    const before = this.find(opening.id)
    const full = before === undefined ? this.#reached(opening.owner, room) : undefined
    if (full !== undefined) return { status: 'too_many', max: full } as const
    const opened = openApproval(before, opening, this.#chance.now())
    if (opened.status === 'opened') this.#save(before, opened.approval)
    return opened
  }

  /** As it is now: what time has brought is written down on the way. */
  find(id: string): Approval | undefined {
    return this.#step(id, (approval) => approval)
  }

  list(of: string | undefined, ended: boolean, cursor: string | undefined, limit: number) {
    const { at, id } = placeOf(cursor)
    const rows = this.#rows(
      `SELECT id, opened_at, record FROM approvals
       WHERE ended = ? AND (opened_at, id) > (?, ?) ${of === undefined ? '' : `AND ${partyTo}`}
       ORDER BY opened_at, id LIMIT ?`,
      ...[ended ? 1 : 0, at, id, ...(of === undefined ? [] : [of, of]), limit + 1],
    )
    const items = rows.slice(0, limit).map((row) => elapseApproval(readApproval(row.record), this.#chance.now()))
    const last = rows[limit - 1]
    return { items, ...(rows.length > limit && last !== undefined ? { cursor: `${last.opened_at}.${last.id}` } : {}) }
  }

  decide(id: string, decision: Decision): Decided | undefined {
    const before = this.#read(id)
    if (before === undefined) return undefined
    const decided = decideApproval(before, decision, this.#chance.now())
    this.#save(before, decided.approval)
    return decided
  }

  cancel(id: string, by: string): Approval | undefined {
    return this.#step(id, (approval) => cancelApproval(approval, by, this.#chance.now()))
  }

  told(id: string, news: readonly Pick<ApprovalNews, 'n' | 'state'>[]): Approval | undefined {
    return this.#step(id, (approval) => approvalTold(approval, news))
  }

  sweep(): void {
    void this.#arm()
  }

  /** Never throws, and re-arms itself while anything is to come (M6). */
  override async alarm(): Promise<void> {
    try {
      const now = this.#chance.now()
      const due = this.#rows('SELECT id FROM approvals WHERE wake_at <= ? ORDER BY wake_at LIMIT ?', now, perAlarm)
      const said: string[] = []
      this.#storage.transactionSync(() => {
        for (const { id } of due) if (this.#wake(String(id), now)) said.push(String(id))
        void this.#arm()
      })
      await sendApprovals(this.env, said)
    } catch (error) {
      console.error(JSON.stringify({ step: 'approvals.alarm', error: String(error) }))
      await this.#storage.setAlarm(this.#chance.now() + alarmRetryMs)
    }
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  // True when somebody must be told. One that cannot be read is its own trouble, not the others'.
  #wake(id: string, now: number): boolean {
    try {
      const before = this.#read(id)
      if (before === undefined) return false
      if (isApprovalForgotten(before, now)) {
        this.#rows('DELETE FROM approvals WHERE id = ?', id)
        return false
      }
      const elapsed = elapseApproval(before, now)
      const asked = askForNews(elapsed, now)
      if ((asked ?? elapsed) !== before) this.#write(asked ?? elapsed)
      return asked !== undefined
    } catch (error) {
      console.error(JSON.stringify({ step: 'approvals.wake', approval: id, error: String(error) }))
      this.#rows('UPDATE approvals SET wake_at = ? WHERE id = ?', now + unreadableMs, id)
      return false
    }
  }

  #read(id: string): Approval | undefined {
    const [row] = this.#rows('SELECT record FROM approvals WHERE id = ?', id)
    return row === undefined ? undefined : readApproval(row.record)
  }

  #step(id: string, step: (approval: Approval) => Approval): Approval | undefined {
    const before = this.#read(id)
    if (before === undefined) return undefined
    const after = step(elapseApproval(before, this.#chance.now()))
    this.#save(before, after)
    return after
  }

  // M6: the alarm is armed in the transaction that makes it needed.
  #save(before: Approval | undefined, after: Approval): void {
    if (after === before) return
    this.#storage.transactionSync(() => {
      this.#write(after)
      void this.#arm()
    })
  }

  #write(approval: Approval): void {
    this.#rows(
      `INSERT INTO approvals (id, owner, opened_at, ended, wake_at, record) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET ended = excluded.ended, wake_at = excluded.wake_at, record = excluded.record`,
      approval.id,
      approval.owner,
      approval.openedAt,
      approval.outcome === undefined ? 0 : 1,
      approvalWakeAt(approval),
      JSON.stringify(approval),
    )
  }

  #arm(): Promise<void> | undefined {
    const [row] = this.#rows('SELECT min(wake_at) AS at FROM approvals')
    return typeof row?.at === 'number' ? this.#storage.setAlarm(row.at) : undefined
  }

  // The bound that is reached, if one is.
  #reached(owner: string, { max, maxOfOwner, keptOfOwner }: ApprovalRoom): number | undefined {
    const [row] = this.#rows(
      `SELECT count(*) AS n, count(*) FILTER (WHERE owner = ?) AS kept, count(*) FILTER (WHERE owner = ? AND ended = 0) AS pending
       FROM approvals`,
      owner,
      owner,
    )
    if (Number(row?.pending) >= maxOfOwner) return maxOfOwner
    if (Number(row?.kept) >= keptOfOwner) return keptOfOwner
    return Number(row?.n) >= max ? max : undefined
  }

  #rows(query: string, ...bindings: SqlValue[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray()
  }
}

// Where a page ended. Anything else than what a page said begins at the beginning.
function placeOf(cursor: string | undefined): { readonly at: number; readonly id: string } {
  const [, at, id] = /^(\d{1,15})\.(.*)$/.exec(cursor ?? '') ?? []
  return { at: Number(at ?? 0), id: id ?? '' }
}

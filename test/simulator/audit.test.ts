/**
 * The audit of a mailbox, over real SQL: whatever is done to it, and however often it restarts and forgets, what it accepted has ended
 * or is live; and a row that goes behind its back is found. Never here: asking many mailboxes (test/workers/audit.test.ts).
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { countedMailbox, type MailboxAudit, nothingAudited, withMailbox } from '../../shared/audit.ts'
import { limits } from '../../shared/limits.ts'
import { day, fail, hour, incoming, minute, ok, retry, second } from '../shared/mailbox-fixtures.ts'
import { LoneMailbox } from './lone-mailbox.ts'

const policy = { maxAttempts: 2, depth: 20, dedupeSeconds: 3_600, receiptSeconds: 3_600, backoff: 'quick' } as const

/** One agent's object over its storage. */
class Home extends LoneMailbox {
  #n = 0

  constructor() {
    super()
    this.register()
  }

  register(): void {
    this.#n += 1
    this.enrol({ kind: 'webhook', url: 'http://127.0.0.1/ada', policy }, `life-${this.#n}`)
  }

  token(): string {
    this.#n += 1
    return `token-${this.#n}`
  }

  accept(id: string, options: Parameters<typeof incoming>[1] = {}): string | undefined {
    const [admission] = this.object.accept([incoming(id, options)], this.token()).admissions
    return admission?.status === 'accepted' ? admission.id : undefined
  }

  /** Of `at_most_once`: the one row after the attempt. */
  fleeting(id: string): void {
    this.object.recordFleeting(incoming(id, { deliverymode: 'at_most_once' }), `ada_${id}`, this.now, ok())
  }

  settle(id: string, outcome = ok()): void {
    const [lease] = this.object.take([id], this.token(), true).leases
    if (lease !== undefined) this.object.settle([{ id, token: lease.token, outcome, external: false }])
  }

  tables(): string[] {
    const found = this.storage.sql.exec(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND (name = 'kept' OR name LIKE 'deliveries_%')",
    )
    return found.toArray().map((row) => String(row.name))
  }

  rows(): { readonly id: string; readonly table: string; readonly sequence: number }[] {
    return this.tables().flatMap((table) =>
      this.storage.sql
        .exec(`SELECT id, sequence FROM ${table} ORDER BY id`)
        .toArray()
        .map((row) => ({ id: String(row.id), table, sequence: Number(row.sequence) })),
    )
  }

  audit(): Extract<MailboxAudit, { verdict: 'sound' | 'mismatch' }> {
    const audit = this.object.audit()
    if (audit === undefined || audit.verdict === 'not_counted') throw new Error(JSON.stringify(audit ?? 'no agent'))
    return audit
  }
}

// --- the walk -----------------------------------------------------------------------------------------------------------

const which = fc.nat(30)
const command = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('accept' as const), key: fc.nat(12), brokerMade: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('collapse' as const), key: fc.nat(12) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('ok' as const, 'fail' as const, 'retry' as const), which }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'redrive' as const,
        'redrive' as const,
        'buried' as const,
        'purge' as const,
        'cancel' as const,
      ),
      which,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('move' as const), stays: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fleeting' as const), key: fc.nat(12) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      ms: fc.constantFrom(minute, 5 * hour, 25 * hour, 31 * day),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('sweep' as const, 'restart' as const, 'alarm' as const) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('retire' as const) }) },
)
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never

async function run(home: Home, one: Command): Promise<void> {
  const { object } = home
  const rows = home.rows().map((row) => row.id)
  const id = 'which' in one ? (rows[one.which % Math.max(1, rows.length)] ?? 'ada_nobody') : ''
  switch (one.kind) {
    case 'accept':
      return void home.accept(`m${one.key}`, { brokerMade: one.brokerMade })
    case 'collapse':
      return void home.accept(`c${one.key}-${home.token()}`, { collapsekey: 'latest' })
    case 'ok':
      return home.settle(id)
    case 'fail':
      return home.settle(id, fail())
    case 'retry':
      return home.settle(id, retry({ delayMs: 0 }))
    case 'redrive':
      return void object.redrive(id, home.token())
    case 'buried':
      return void object.buried([id])
    case 'purge':
      return void object.purge(id)
    case 'cancel':
      return void object.cancel(id)
    case 'move': {
      const leaving = object.leave('bob', 2)
      object.departed(
        leaving.map((d) => (one.stays ? { id: d.id, to: 'bob', stays: 'full' } : { id: d.id, became: `bob_${d.id}` })),
      )
      return
    }
    case 'fleeting':
      return home.fleeting(`${'f'.repeat(20)}${one.key}`)
    case 'pass':
      home.now += one.ms
      return
    case 'sweep':
      return void object.sweep()
    case 'restart':
      return home.restart()
    case 'alarm':
      home.storage.alarmAt = null
      return object.alarm()
    case 'retire':
      object.retire('dead')
      home.restart()
      return home.register()
  }
}

const walks = fc.array(command, { minLength: 1, maxLength: 60, size: 'max' })

async function walked(commands: readonly Command[]): Promise<Home> {
  const home = new Home()
  for (const one of commands) {
    await run(home, one)
    const audit = home.audit()
    if (audit.verdict !== 'sound') throw new Error(`M1: after ${one.kind}: ${JSON.stringify(audit)}`)
  }
  return home
}

describe('what a mailbox accepted', () => {
  it('M1: has ended or is live after every step of every walk: moved, redriven, purged, forgotten, restarted', async () => {
    const told = { forgotten: 0, redriven: 0, fleeting: 0, ended: 0, live: 0 }
    await fc.assert(
      fc.asyncProperty(walks, async (commands) => {
        const audit = (await walked(commands)).audit()
        expect(countedMailbox.safeParse(audit).success).toBe(true)
        for (const one of Object.keys(told) as (keyof typeof told)[]) told[one] += audit[one]
      }),
      { numRuns: Number(process.env['WALKS'] ?? 150) },
    )
    // The walks went everywhere that the sum has a part.
    for (const part of Object.values(told)) expect(part).toBeGreaterThan(0)
  })

  it('M1: is found to be one short whichever row goes behind its back, before a restart and, but for the latest number, after it', async () => {
    await fc.assert(
      fc.asyncProperty(walks, fc.nat(), async (commands, n) => {
        const home = await walked(commands)
        const numbered = home.rows().filter((row) => row.sequence > 0)
        const lost = numbered[n % Math.max(1, numbered.length)]
        if (lost === undefined) return
        home.storage.sql.exec(`DELETE FROM ${lost.table} WHERE id = ?`, lost.id)
        expect(home.audit()).toMatchObject({ verdict: 'mismatch', missing: 1 })
        home.restart()
        const top = Math.max(...numbered.map((row) => row.sequence))
        if (lost.sequence < top) expect(home.audit()).toMatchObject({ verdict: 'mismatch', missing: 1 })
      }),
      { numRuns: Number(process.env['WALKS'] ?? 60) },
    )
  })
})

describe('an audit', () => {
  it('tells what is live and no longer looked at after a restart', () => {
    const home = new Home()
    const id = home.accept('a') ?? ''
    home.accept('b')
    home.storage.sql.exec('UPDATE deliveries_1 SET live = 0 WHERE id = ?', id)
    expect(home.audit()).toMatchObject({ verdict: 'mismatch', missing: 0, stranded: 1, untracked: 0 })
    home.restart()
    expect(home.audit()).toMatchObject({ verdict: 'mismatch', missing: 0, stranded: 1, untracked: 1 })
  })

  it('does not take a row for forgotten that was dropped before it had ended', () => {
    const home = new Home()
    home.settle(home.accept('a') ?? '')
    const id = home.accept('b') ?? ''
    // Its mailbox no longer knows of it, so the bucket goes with it in.
    home.storage.sql.exec('UPDATE deliveries_1 SET live = 0 WHERE id = ?', id)
    home.restart()
    for (let hours = 0; hours < 60; hours++) {
      home.now += hour
      home.object.sweep()
    }
    expect(home.tables()).not.toContain('deliveries_1')
    expect(home.audit()).toMatchObject({
      verdict: 'mismatch',
      accepted: 2,
      ended: 1,
      forgotten: 1,
      live: 0,
      missing: 1,
    })
  })

  it('M1: still knows the number of the last redrive when that has ended, and the mailbox restarted', () => {
    const home = new Home()
    const id = home.accept('a') ?? ''
    home.settle(id, fail())
    home.object.buried([id])
    expect(home.object.redrive(id, 'again').status).toBe('redriven')
    home.settle(id)
    expect(home.object.receipt(id)).toMatchObject({ status: 'completed', sequence: 2 })
    home.restart()
    expect(home.audit()).toMatchObject({ verdict: 'sound', accepted: 1, ended: 1, redriven: 1 })
    expect(home.object.receipt(home.accept('b') ?? '')?.sequence).toBe(3)
  })

  it('counts again from where it stands in a mailbox that was there before there was an audit, with the next sweep', () => {
    const home = new Home()
    for (const id of ['a', 'b', 'c']) home.settle(home.accept(id) ?? '')
    const [row] = home.storage.sql.exec("SELECT value FROM meta WHERE key = 'buckets'").toArray()
    const { ledger: _ledger, ...old } = JSON.parse(String(row?.value))
    home.storage.sql.exec("UPDATE meta SET value = ? WHERE key = 'buckets'", JSON.stringify(old))
    // It forgot one in those days.
    home.storage.sql.exec('DELETE FROM deliveries_1 WHERE sequence = 1')
    home.restart()
    expect(home.object.audit()).toEqual({ verdict: 'not_counted', why: 'not_begun' })
    home.now += second
    home.object.sweep()
    expect(home.audit()).toMatchObject({ verdict: 'sound', accepted: 3, ended: 3, forgotten: 1 })
    home.storage.sql.exec('DELETE FROM deliveries_1 WHERE sequence = 2')
    expect(home.audit()).toMatchObject({ verdict: 'mismatch', missing: 1 })
  })

  it('of an agent that does not exist is none, and of one without mail is sound', () => {
    const home = new Home()
    expect(home.audit()).toMatchObject({ verdict: 'sound', accepted: 0, live: 0, ended: 0 })
    home.object.retire('dead')
    expect(home.object.audit()).toBeUndefined()
  })
})

describe('the total', () => {
  it('names who does not add up, a bounded number of them, and counts those of which nothing is known', () => {
    const home = new Home()
    home.accept('a')
    const sound = home.audit()
    const wrong = { ...sound, verdict: 'mismatch' as const }
    let total = withMailbox(nothingAudited, 'well', sound)
    total = withMailbox(total, 'large', { verdict: 'not_counted', why: 'too_large' })
    total = withMailbox(total, 'silent', undefined)
    expect(total).toEqual({
      ...{ mailboxes: 1, accepted: 1, ended: 0, live: 1 },
      ...{ mismatched: [], notCounted: 1, unavailable: 1 },
    })
    for (let n = 0; n <= limits.auditMismatchesNamed; n++) total = withMailbox(total, `ill-${n}`, wrong)
    expect(total.mismatched).toHaveLength(limits.auditMismatchesNamed)
    expect(total.mailboxes).toBe(limits.auditMismatchesNamed + 2)
  })
})

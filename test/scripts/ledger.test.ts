/** The demo's ledger: it has to notice what must not happen, or it proves nothing. */
import { describe, expect, it } from 'vitest'
import type { HistoryEntry, Receipt } from '../../scripts/demo/answers.ts'
import { ledgerLine, ledgerOf, statesInOrder } from '../../scripts/demo/ledger.ts'
import type { Walked } from '../../scripts/demo/queue.ts'

const at = '2026-01-02T03:04:05.000Z'
const receipt = (agent: string, message: string, more: Partial<Receipt> = {}): Receipt => ({
  ...{ id: `${agent}_${message}`, agent, status: 'completed' },
  message: { id: message, type: 'work', source: 'workflow/w' },
  steps: ['accepted', 'completed'].map((step) => ({ step, at })),
  ...{ attempts: [{ number: 1, outcome: 'ok' }], effects: [], ...more },
})

const entry = (states: readonly string[]): HistoryEntry => ({
  ...{ n: 1, at, by: 'a', kind: 'transition', version: 1, status: 'completed', fields: [] },
  path: states.map((to) => ({ from: null, to, event: 'e' })),
})

const three = ['researcher', 'analyst', 'synthesizer'].map((agent, i) => receipt(agent, `w-${i + 1}`))
const walked = (more: Partial<Walked> = {}): Walked => ({
  workflow: { id: 'w', status: 'completed', version: 4 },
  entries: [entry(statesInOrder)],
  receipts: three,
  ...more,
})

const clean = { workflows: 1, accepted: 3, completed: 3, failed: 0, lost: 0, doubled: 0 }

describe('the ledger', () => {
  it('of a workflow that went as it should has three messages, each completed once', () => {
    expect(ledgerOf([walked()], three)).toEqual(clean)
    expect(ledgerLine(clean)).toBe('workflows 1, accepted 3, completed 3, failed 0, lost 0, doubled 0')
  })

  it('counts as lost what never ended, and what was never accepted at all', () => {
    const open = [...three.slice(0, 2), receipt('synthesizer', 'w-3', { status: 'parked' })]
    expect(ledgerOf([walked({ receipts: open })], open)).toMatchObject({ completed: 2, lost: 1 })
    expect(ledgerOf([walked({ receipts: three.slice(0, 2) })], [])).toMatchObject({ accepted: 2, lost: 1 })
  })

  it('counts as doubled what was completed twice, is there twice, or moved its workflow twice', () => {
    const twice = receipt('analyst', 'w-2', {
      steps: ['accepted', 'completed', 'completed'].map((step) => ({ step, at })),
    })
    expect(ledgerOf([walked({ receipts: [three[0]!, twice, three[2]!] })], []).doubled).toBe(1)
    // A second delivery of one message, of which no workflow knows.
    expect(ledgerOf([walked()], [...three, receipt('analyst', 'w-2', { id: 'analyst_other' })]).doubled).toBe(1)
    const again = [entry(statesInOrder), entry(['analysis_complete'])]
    expect(ledgerOf([walked({ entries: again })], three).doubled).toBe(1)
  })

  it('counts as failed what died, whose effect was refused, and a workflow that went elsewhere', () => {
    const dead = [receipt('analyst', 'w-2', { status: 'dead_lettered' }), three[0]!, three[2]!]
    expect(ledgerOf([walked({ receipts: dead })], [])).toMatchObject({ completed: 2, failed: 1, lost: 0 })
    const state = { status: 'refused' as const, reason: 'full', detail: '' }
    const refused = [receipt('analyst', 'w-2', { effects: [{ n: 1, publish: {}, state }] }), three[0]!, three[2]!]
    expect(ledgerOf([walked({ receipts: refused })], []).failed).toBe(1)
    expect(ledgerOf([walked({ entries: [entry(['research_pending', 'failed'])] })], three).failed).toBe(1)
  })
})

/** Whom a delivery concerns: a new agent of a name finds nothing of the one before it, but mail that was kept for it (S2). */
import { describe, expect, it } from 'vitest'
import type { Head } from '../../shared/message.ts'
import { type Principal, resolvePermissions } from '../../shared/permissions.ts'
import { concerns } from '../../shared/reader.ts'

const agent = (name: string, since?: number): Principal => ({
  ...{ kind: 'agent', name, permissions: resolvePermissions(name) },
  ...(since === undefined ? {} : { since }),
})
const app: Principal = { kind: 'app', name: 'bob', permissions: resolvePermissions('app/bob') }

const from = (source: string, acceptedAt: number, incarnation = 'now') => ({
  ...{ incarnation, acceptedAt, head: { source } as unknown as Head },
})

describe('a delivery', () => {
  it.each([
    ['nobody in particular', undefined, from('eve', 1, 'before'), true],
    ['an admin', { kind: 'admin' } as const, from('eve', 1, 'before'), true],
    ['an app of a sender’s name', app, from('bob', 1, 'before'), true],
    ['whom it came to', agent('ada', 5), from('eve', 9), true],
    ['whom it came to, who came before it and left it to this one', agent('ada', 5), from('eve', 1), true],
    ['the one before, to whom it came', agent('ada', 5), from('eve', 9, 'before'), false],
    ['the one before, who sent it to itself', agent('ada', 5), from('ada', 1, 'before'), false],
    ['who sent it', agent('bob', 5), from('bob', 5), true],
    ['who sent it, registered nobody knows when', agent('bob'), from('bob', 1), true],
    ['the one before, who sent it', agent('bob', 5), from('bob', 4), false],
    ['who may speak for its sender', agent('eve', 5), from('bob', 1), true],
  ])('concerns %s', (_who, reader, delivery, does) => {
    expect(concerns(reader, 'ada', 'now', delivery)).toBe(does)
  })
})

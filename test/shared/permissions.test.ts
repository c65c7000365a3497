/** Who may do what: patterns, sources (S1) and who may read a receipt (S2). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  allows,
  isMaker,
  isOfPredecessor,
  matches,
  mayOperate,
  mayRead,
  maySpeakAs,
  maySpeakFor,
  ownSource,
  type PermissionsInput,
  type Principal,
  permissionsInput,
  permissionsOfAny,
  permissionsOfBoth,
  resolvePermissions,
} from '../../shared/permissions.ts'
import { anyText } from './arbitraries.ts'

const admin: Principal = { kind: 'admin' }
const agent = (name: string, input?: PermissionsInput): Principal => ({
  kind: 'agent',
  name,
  permissions: resolvePermissions(name, input),
})
const app = (name: string, input?: PermissionsInput): Principal => ({
  kind: 'app',
  name,
  permissions: resolvePermissions(`app/${name}`, input),
})
const actions = ['send', 'publish', 'subscribe', 'readState', 'writeState'] as const

describe('patterns', () => {
  it.each([
    ['*', '', true],
    ['*', 'anything at all', true],
    ['writer', 'writer', true],
    ['writer', 'writer-2', false],
    ['writer*', 'writer', true],
    ['writer*', 'writer-2', true],
    ['writer*', 'a-writer', false],
    ['team-a/*', 'team-a/writer', true],
    ['team-a/*', 'team-a', false],
    ['team-a/*', 'team-ab/writer', false],
    ['*writer', 'a-writer', false],
    ['*writer', '*writer', true],
    ['a*c', 'abc', false],
    ['writer', 'Writer', false],
    ['w.iter', 'writer', false],
    ['**', '*x', true],
    ['**', 'x', false],
  ])('%s matches %j: %s', (pattern, subject, matched) => {
    expect(matches(pattern, subject)).toBe(matched)
  })

  it('what both allow is what each of them allows, and what any allows is what one of them does (S1)', () => {
    const some = fc.array(fc.stringMatching(/^[ab]{0,3}\*?$/).filter(Boolean), { maxLength: 4 })
    const may = (send: string[]) => resolvePermissions('x', { send })
    const allowed = ({ send }: { readonly send: readonly string[] }, subject: string) =>
      send.some((pattern) => matches(pattern, subject))
    fc.assert(
      fc.property(some, some, fc.stringMatching(/^[ab]{0,4}$/), (one, other, subject) => {
        const each = [allowed(may(one), subject), allowed(may(other), subject)]
        expect(allowed(permissionsOfBoth(may(one), may(other)), subject)).toBe(each.every(Boolean))
        expect(allowed(permissionsOfAny([may(one), may(other)]), subject)).toBe(each.some(Boolean))
      }),
    )
    const both = permissionsOfBoth(may(['*']), { ...may([]), subscribe: ['switchboard.agent.*', 'news.*'] })
    expect(both).toEqual({ ...may([]), subscribe: ['news.*'] })
  })

  it('a trailing star matches exactly what begins with what stands before it', () => {
    fc.assert(
      fc.property(anyText(), anyText(), (prefix, subject) => {
        expect(matches(`${prefix}*`, subject)).toBe(subject.startsWith(prefix))
        expect(matches(`${prefix}*`, prefix + subject)).toBe(true)
      }),
    )
  })
})

describe('what may be written', () => {
  it('every part is optional; an unknown part or an empty pattern is refused', () => {
    expect(permissionsInput.safeParse({}).success).toBe(true)
    expect(permissionsInput.safeParse({ send: [] }).success).toBe(true)
    expect(permissionsInput.safeParse({ send: [''] }).success).toBe(false)
    expect(permissionsInput.safeParse({ operate: ['*'] }).success).toBe(false)
    expect(permissionsInput.safeParse({ send: '*' }).success).toBe(false)
  })
})

describe('defaults', () => {
  it('are everything but operating other agents, and speaking as oneself only', () => {
    const writer = agent('writer')
    for (const action of actions) expect(allows(writer, action, 'any')).toBe(true)
    expect(mayOperate(writer, 'writer')).toBe(true)
    expect(mayOperate(writer, 'editor')).toBe(false)
    expect(maySpeakAs(writer, 'writer')).toBe(true)
    expect(maySpeakAs(writer, 'editor')).toBe(false)
  })

  it('an empty list allows nothing (it is NOT the default)', () => {
    const mute = agent('mute', { send: [], publish: [], sources: [] })
    expect(allows(mute, 'send', 'writer')).toBe(false)
    expect(allows(mute, 'publish', 'news')).toBe(false)
    expect(allows(mute, 'subscribe', 'news')).toBe(true)
  })

  it('one permission does not stand in for another', () => {
    for (const action of actions) {
      const nothing = Object.fromEntries(actions.map((name) => [name, [] as string[]]))
      const only = agent('writer', { ...nothing, [action]: ['x*'] })
      for (const other of actions) expect(allows(only, other, 'x1')).toBe(other === action)
      expect(allows(only, action, 'y1')).toBe(false)
    }
  })
})

describe('sources (S1)', () => {
  it('an agent’s is its name, an app’s begins with app/, the admin’s is admin', () => {
    expect([admin, agent('writer'), app('writer')].map(ownSource)).toEqual(['admin', 'writer', 'app/writer'])
  })

  it('an app of an agent’s name does NOT speak as the agent, nor the agent as the app', () => {
    expect(maySpeakAs(app('writer'), 'writer')).toBe(false)
    expect(maySpeakAs(agent('writer'), 'app/writer')).toBe(false)
  })

  it('one may always speak as oneself, whatever the list says', () => {
    expect(maySpeakAs(agent('writer', { sources: ['other'] }), 'writer')).toBe(true)
    expect(maySpeakAs(agent('writer', { sources: [] }), 'writer')).toBe(true)
  })

  it('a pattern widens it, and not further', () => {
    const gateway = app('gateway', { sources: ['https://crm.example/*'] })
    expect(maySpeakAs(gateway, 'https://crm.example/orders')).toBe(true)
    expect(maySpeakAs(gateway, 'https://crm.example.evil/')).toBe(false)
    expect(maySpeakAs(gateway, 'admin')).toBe(false)
  })

  it('the admin may speak as anybody', () => {
    expect(maySpeakAs(admin, 'writer')).toBe(true)
  })
})

describe('what was made (S2)', () => {
  const bob = (since?: number): Principal =>
    ({ ...agent('bob'), ...(since === undefined ? {} : { since }) }) as Principal
  const made = { source: 'bob', at: 5 }

  it.each([
    ['its maker', bob(5), [false, true, true]],
    ['another one of its maker’s name, that was registered later', bob(6), [true, false, false]],
    ['an agent of which nobody knows since when', bob(), [false, true, true]],
    ['an agent that may speak as its maker', agent('eve', { sources: ['bob'] }), [false, true, false]],
    ['another', agent('eve'), [false, false, false]],
    ['an app of its maker’s name', app('bob'), [false, false, false]],
    ['the admin', admin, [false, true, false]],
  ])('is %s’s or not', (_who, principal, told) => {
    expect([isOfPredecessor, maySpeakFor, isMaker].map((ask) => ask(principal, made))).toEqual(told)
  })
})

describe('receipts (S2)', () => {
  const delivery = { agent: 'writer', source: 'researcher' }

  it.each([
    ['the addressee', agent('writer'), true],
    ['the sender', agent('researcher'), true],
    ['the admin', admin, true],
    ['another agent, whatever it may send', agent('editor'), false],
    ['an app of the addressee’s name', app('writer'), false],
    ['an app of the sender’s name', app('researcher'), false],
    ['an app that speaks for the sender', app('x', { sources: ['research*'] }), true],
    ['an addressee that may send nothing', agent('writer', { send: [], sources: [] }), true],
  ])('%s: %s', (_who, principal, may) => {
    expect(mayRead(principal, delivery)).toBe(may)
  })
})

describe('operating', () => {
  it.each([
    ['the agent', agent('writer'), true],
    ['the admin', admin, true],
    ['another agent', agent('editor'), false],
    ['an app of its name', app('writer'), false],
    ['an app that speaks for it', app('x', { sources: ['*'] }), false],
  ])('a mailbox is for %s: %s', (_who, principal, may) => {
    expect(mayOperate(principal, 'writer')).toBe(may)
  })
})

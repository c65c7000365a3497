/** Sessions: which are accepted, and where a login may lead. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isSession, localPage, openSession } from '../../shared/session.ts'

const key = 'an-admin-key'
const session = openSession(key, 2_000, 'nonce-1')

describe('a session', () => {
  it('is good until its end, to the millisecond', () => {
    expect([isSession(session, key, 0), isSession(session, key, 1_999), isSession(session, key, 2_000)]).toEqual([
      true,
      true,
      false,
    ])
  })

  it('ends with the admin key that it was opened with', () => {
    expect(isSession(session, 'another-key', 0)).toBe(false)
  })

  it('does not hold the key, and is another one each time', () => {
    expect(session).not.toContain(key)
    expect(openSession(key, 2_000, 'nonce-2')).not.toBe(session)
  })

  it('is no longer one when any character of it is another', () => {
    fc.assert(
      fc.property(fc.nat(session.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
        const changed = session.slice(0, at) + character + session.slice(at + 1)
        expect(isSession(changed, key, 0)).toBe(changed === session)
      }),
    )
  })

  it.each([
    '',
    's1',
    's1.9999999999999.n.',
    `s1.9999999999999.n.${'0'.repeat(64)}`,
    session.toUpperCase(),
    `${session} `,
  ])('is not: %s', (text) => {
    expect(isSession(text, key, 0)).toBe(false)
  })
})

describe('where a login leads', () => {
  it.each(['/m', '/w', '/m/ann_abc', '/w/wf-1', '/m/ann_abc/graph'])('is the page that was asked for: %s', (next) => {
    expect(localPage(next)).toBe(next)
  })

  it.each([
    undefined,
    '',
    '//evil.example',
    '/\\evil.example',
    'https://evil.example',
    'javascript:alert(1)',
    '/m//evil.example',
    '/m/../v1/keys',
    '/m/a?b',
    '/m/graph/../..//evil.example',
    '/m/a/graph/b',
    '/w/a/graph',
    '/m/a\n',
    '/v1/agents',
    `/m/${'a'.repeat(201)}`,
  ])('is the start for anything else: %s', (next) => {
    expect(localPage(next)).toBe('/m')
  })
})

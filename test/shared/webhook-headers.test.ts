/** Headers of a webhook's own: which may be, and what becomes of them when a registration changes. */
import { describe, expect, it } from 'vitest'
import { type AgentRecord, enrol, isRegisteredAs, publicAgent, registration } from '../../shared/agent.ts'
import { limits } from '../../shared/limits.ts'
import { webhookHeaders } from '../../shared/webhook-headers.ts'

const url = 'https://agent.example.com/hook'
const registered = (json: object, current?: AgentRecord) =>
  enrol(current, {
    name: 'ada',
    registration: registration.parse({ kind: 'webhook', url, ...json }),
    freshIncarnation: 'i',
    freshSecret: 'whsec_eA==',
    trusted: true,
    now: 0,
  })

describe('a header of a webhook’s own', () => {
  it.each([
    ['authorization', 'Bearer abc.def'],
    ['X-Api-Key', '0123'],
    ['x-team', 'a b'],
  ])('may be %s: %s (TB33)', (name, value) => {
    expect(webhookHeaders.parse({ [name]: value })).toEqual({ [name.toLowerCase()]: value })
  })

  it.each([
    'webhook-signature',
    'Webhook-Id',
    'switchboard-token',
    'traceparent',
    'content-type',
    'Content-Length',
    'host',
    'transfer-encoding',
    'x-forwarded-for',
    'cf-connecting-ip',
    'cookie',
    'user-agent',
  ])('may not be %s, which Switchboard or the connection sets', (name) => {
    const read = webhookHeaders.safeParse({ [name]: 'x' })
    expect(read.error?.issues).toMatchObject([{ path: [name], message: expect.stringContaining('sets') }])
  })

  it.each([
    ['a name with a line in it', { 'x\r\nwebhook-id': 'x' }],
    ['a name with a blank', { 'x y': 'x' }],
    ['no name', { '': 'x' }],
    ['a value with a line in it', { x: 'a\r\nwebhook-id: b' }],
    ['a value with a lone end of a line', { x: 'a\n' }],
    ['a value that is not ASCII', { x: 'é' }],
    ['an empty value', { x: '' }],
    ['blanks around a value', { x: ' a' }],
    ['one name in two cases', { 'X-A': '1', 'x-a': '2' }],
    ['too long a name', { ['x'.repeat(limits.webhookHeaderName + 1)]: 'x' }],
    ['too long a value', { x: 'x'.repeat(limits.webhookHeaderValue + 1) }],
    ['too many', Object.fromEntries(Array.from({ length: limits.webhookHeaders + 1 }, (_, i) => [`x-${i}`, 'x']))],
  ])('is refused: %s', (_, headers) => {
    expect(webhookHeaders.safeParse(headers).success).toBe(false)
  })

  it('is for webhooks only', () => {
    const read = registration.safeParse({ kind: 'pull', headers: { x: 'y' } })
    expect(read.error?.issues).toMatchObject([{ path: ['headers'], message: 'a pull agent has no headers' }])
  })
})

describe('what is registered again', () => {
  const before = registered({ headers: { Authorization: 'Bearer 1' } })

  it('keeps them where it leaves them out, because nobody can read them back', () => {
    expect(registered({ policy: { depth: 5 } }, before).headers).toEqual({ authorization: 'Bearer 1' })
    expect(isRegisteredAs(before, registration.parse({ kind: 'webhook', url }))).toBe(true)
  })

  it('replaces or takes them away where it says so', () => {
    expect(registered({ headers: { 'x-key': '2' } }, before).headers).toEqual({ 'x-key': '2' })
    expect(registered({ headers: {} }, before)).not.toHaveProperty('headers')
  })

  it('does NOT send them to another url', () => {
    const elsewhere = { url: 'https://other.example.com/' }
    expect(registered(elsewhere, before)).not.toHaveProperty('headers')
    expect(registered({ ...elsewhere, headers: { 'x-key': '2' } }, before).headers).toEqual({ 'x-key': '2' })
  })

  it('shows their names to who may operate it, and their values to nobody (S2)', () => {
    expect(publicAgent(before, 0, true).headers).toEqual(['authorization'])
    expect(publicAgent(before, 0, false)).not.toHaveProperty('headers')
    expect(JSON.stringify(publicAgent(before, 0, true))).not.toContain('Bearer')
  })
})

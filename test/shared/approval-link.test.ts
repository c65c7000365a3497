/** Links that decide: signed, bound, ending; whatever a stranger makes of one is no link (TC11). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openApproval } from '../../shared/approval.ts'
import { approvalLink, readLink } from '../../shared/approval-link.ts'
import { approvalOpening } from './approval-fixtures.ts'

const now = Date.UTC(2026, 0, 1)
const { approval } = openApproval(undefined, approvalOpening(), now)
const queryOf = (link: string) => Object.fromEntries(new URL(link).searchParams)

describe('a link', () => {
  it('says whom it was sent to and which option it may decide', () => {
    const bound = readLink(approval, queryOf(approvalLink(approval, 1, 'deny')), now)
    expect(bound).toMatchObject({ status: 'valid', who: 'pager', claim: { n: 1, option: 'deny' } })
    const free = readLink(approval, queryOf(approvalLink(approval, 1)), now)
    expect(free).toMatchObject({ status: 'valid', who: 'pager' })
    expect('claim' in free && 'option' in free.claim).toBe(false)
  })

  it('leads to where it was asked for', () => {
    expect(approvalLink(approval, 1)).toMatch(new RegExp(`^https://switchboard.test/a/${approval.id}\\?n=1&expires=`))
  })

  it('ends with its question, to the second', () => {
    const query = queryOf(approvalLink(approval, 1))
    expect(readLink(approval, query, approval.endsAt - 1).status).toBe('valid')
    expect(readLink(approval, query, approval.endsAt).status).toBe('expired')
  })

  it('of another question, or under another secret, is none', () => {
    const query = queryOf(approvalLink(approval, 1))
    expect(readLink({ ...approval, id: 'ap-bbbbbbbbbbbbbbbbbbbbbbbbbb' }, query, now).status).toBe('invalid')
    expect(readLink({ ...approval, secret: '0'.repeat(64) }, query, now).status).toBe('invalid')
  })

  it('for somebody who was told an outcome and not asked is none', () => {
    expect(readLink(approval, queryOf(approvalLink(approval, 7)), now).status).toBe('invalid')
  })

  it('with any part changed is none, and nothing throws', () => {
    const query = queryOf(approvalLink(approval, 1, 'approve'))
    const part = fc.constantFrom('n', 'option', 'expires', 'signature')
    const anyText = fc.option(
      fc.oneof(fc.string(), fc.constantFrom('\u0000', '\ud800', 'ſ', '１'), fc.nat().map(String)),
      {
        nil: undefined,
      },
    )
    fc.assert(
      fc.property(part, anyText, (name, value) => {
        fc.pre(query[name] !== value)
        expect(readLink(approval, { ...query, [name]: value }, now).status).toBe('invalid')
      }),
    )
  })
})

/** A view: what of a message is handed over, and what that spares, whatever the data is (A40, TC8). */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { candidatesOf, type Subscription, viewFor } from '../../shared/subscription.ts'
import { handed, measured, viewOf, viewOfMessage } from '../../shared/view.ts'

const message = (data: unknown) => JSON.stringify({ id: 'm', type: 't', ...(data === undefined ? {} : { data }) })

it('is never larger than what was published, but for the marks of what was left out; and its attributes stay (TC8)', () => {
  const view = { select: ['a', 'b.*', '/c/0'], maxBytes: 40 }
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.jsonValue()), (data) => {
      const { data: got, ...attributes } = JSON.parse(handed(message(data), view))
      expect(attributes).toEqual({ id: 'm', type: 't' })
      expect(got).not.toHaveProperty('d')
      const record = measured(view, data)
      expect(record?.handedBytes).toBe(new TextEncoder().encode(JSON.stringify(got)).length)
      expect(record?.truncated).toBe(JSON.stringify(got).includes('$truncated'))
    }),
  )
})

it('of what has no data is nothing, and the message is handed over as it is', () => {
  expect(measured({ select: ['a'] }, undefined)).toBeUndefined()
  expect(handed(message(undefined), { select: ['a'] })).toBe(message(undefined))
})

it('is that of the most specific subscription by which the message reaches its agent', () => {
  const of = (id: string, topic: string, more: object): Subscription =>
    ({ v: 1, id, agent: 'ada', topic, version: 1, since: 1, updatedAt: 0, ...more }) as Subscription
  const all = of('all', 'news.>', { select: ['title'] })
  const daily = of('daily', 'news.daily', { maxBytes: 10, filter: { eq: ['type', 'x'] } })
  const [candidate] = candidatesOf([all, daily], 'news.daily')
  if (candidate === undefined) throw new Error('no candidate')
  expect(viewFor(candidate, { type: 'y' })).toEqual({ select: ['title'] })
  expect(viewOf(all)).toEqual({ select: ['title'] })
  expect(viewOf(of('none', 'x', {}))).toBeUndefined()
})

it('of a message is what it names, but for the parts that its subscription names; the smaller cap counts (A40, TC8)', () => {
  const data = { title: 'Tea', raw: 'x'.repeat(50) }
  expect(viewOfMessage({ data })).toBeUndefined()
  expect(viewOfMessage({ data, select: ['title'] })).toMatchObject({
    select: ['title'],
    handedBytes: 15,
    truncated: false,
  })
  expect(viewOfMessage({ data, select: ['title'], maxbytes: 20 }, { select: ['raw'], maxBytes: 60 })).toMatchObject({
    ...{ select: ['raw'], maxBytes: 20, truncated: true },
  })
  expect(viewOfMessage({ data, maxbytes: 60 }, { maxBytes: 10 })).toMatchObject({ maxBytes: 10 })
})

/** Editing a dead letter's message before its redrive, and what is kept of it. Never here: who may edit (test/workers/dead-letter-edits.test.ts). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { askedOf, type EditInput, edited, editInput, originalOf } from '../../shared/edit.ts'
import { utf8Length } from '../../shared/json.ts'
import { limits } from '../../shared/limits.ts'
import type { Message } from '../../shared/message.ts'
import { purge } from '../../shared/upkeep.ts'
import { Box, fail, incoming } from './mailbox-fixtures.ts'

const message = (more: Partial<Message> = {}): Message => incoming('a', more).message

/** A delivery that died, in its mailbox. */
function dead(): { box: Box; id: string; text: string } {
  const box = new Box()
  const id = box.put('a', { data: { city: 'Ulm' } })
  box.run(id, fail())
  return { box, id, text: box.bodies.get(id) ?? '' }
}

function redriven(box: Box, id: string, asked: EditInput, by = 'admin') {
  const before: Message = JSON.parse(box.bodies.get(id) ?? '')
  const after = edited(before, asked, by)
  const to = asked.to === undefined ? {} : { to: asked.to }
  const changed = after === undefined ? {} : { body: JSON.stringify(after), original: originalOf(before) }
  return box.redrive(id, box.token(), { by, ...to, ...changed })
}

describe('an edit', () => {
  it('is other data, or a merge patch of it, and never both (A95)', () => {
    expect(edited(message({ data: { a: 1, b: 2 } }), { data: 'x' }, 'eve')).toMatchObject({
      data: 'x',
      editedby: 'eve',
    })
    expect(edited(message({ data: { a: 1, b: 2 } }), { patch: { a: null, c: 3 } }, 'eve')?.data).toEqual({ b: 2, c: 3 })
    expect(editInput.safeParse({ data: 1, patch: {} }).success).toBe(false)
    expect(edited(message(), { to: 'bob' }, 'eve')).toBeUndefined()
  })

  it('of bytes puts JSON in their place, and says that it is JSON', () => {
    const { data: _data, ...rest } = message({ data_base64: 'AAEC', datacontenttype: 'image/png' })
    const after = edited(rest as Message, { data: 1 }, 'eve')
    expect(after).toMatchObject({ data: 1, datacontenttype: 'application/json' })
    expect(after).not.toHaveProperty('data_base64')
  })

  it('changes nothing but the data: whose it is, where it belongs and when it came stay as they were (A95, S1)', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.dictionary(fc.string(), fc.jsonValue()), (data, patch) => {
        const before = message({ partitionkey: 'k', replyto: 'eve' })
        for (const asked of [{ data }, { patch }]) {
          const { data: _a, editedby, ...after } = edited(before, asked, 'eve') as Message
          const { data: _b, ...rest } = before
          expect([after, editedby]).toEqual([rest, 'eve'])
        }
      }),
    )
  })

  it('keeps what was sent, and of what is large its size and its digest (A95)', () => {
    expect(originalOf(message({ data: { city: 'Ulm' } }))).toEqual({
      data: { city: 'Ulm' },
      bytes: utf8Length('{"city":"Ulm"}'),
      digest: expect.stringMatching(/^[a-z2-7]{26}$/),
    })
    const large = originalOf(message({ data: 'x'.repeat(limits.originalBytes) }))
    expect(large).toEqual({ bytes: limits.originalBytes + 2, digest: expect.any(String) })
  })
})

describe('a redrive with an edit', () => {
  it('delivers the edited message under the same id, and tells on the receipt who changed what (A95)', () => {
    const { box, id } = dead()
    redriven(box, id, { data: { city: 'Bonn' } })
    const [lease] = box.take().grants
    expect(lease?.delivery.id).toBe(id)
    expect(JSON.parse(box.bodies.get(id) ?? '')).toMatchObject({
      data: { city: 'Bonn' },
      source: 'eve',
      editedby: 'admin',
    })
    expect(box.delivery(id)).toMatchObject({
      bodyBytes: utf8Length(box.bodies.get(id) ?? ''),
      head: { editedby: 'admin' },
    })
    const receipt = box.receipt(id)
    expect(receipt.edits).toMatchObject({
      original: { data: { city: 'Ulm' } },
      made: [{ by: 'admin', life: 1, data: true }],
    })
    expect(receipt.steps.find((s) => s.step === 'edited')?.detail).toBe('admin changed its data')
  })

  it('repeated under its token changes nothing any more (A95)', () => {
    const { box, id, text } = dead()
    const other = text.replace('Ulm', 'Bonn')
    expect(box.redrive(id, 'letter', { by: 'admin', body: other }).status).toBe('redriven')
    const again = box.redrive(id, 'letter', { by: 'admin', body: text.replace('Ulm', 'Rome') })
    expect([again.status, box.bodies.get(id), box.receipt(id).edits?.made.length]).toEqual(['redriven', other, 1])
  })

  it('that another redrive came before is told so, and a repeat of that other is not (A95)', () => {
    const { box, id, text } = dead()
    const [bonn, rome] = [{ data: { city: 'Bonn' } }, { data: { city: 'Rome' } }]
    const body = text.replace('Ulm', 'Bonn')
    const ask = (asked: EditInput) => box.redrive(id, 'letter', { by: 'admin', body, asked: askedOf(asked, 1) }).status
    const late = { status: 'not_edited', life: 1 }
    expect([ask(bonn), ask(rome), ask(bonn), box.bodies.get(id)]).toEqual(['redriven', late.status, 'redriven', body])
    box.run(id, fail())
    expect(box.redrive(id, 'next').status).toBe('redriven')
    expect([ask(bonn), ask(rome)]).toEqual(['redriven', late.status])
    expect(box.redrive(id, 'next', { by: 'admin', asked: askedOf(bonn, 2) })).toEqual({ ...late, life: 2 })
    expect(box.receipt(id).edits?.made).toEqual([{ at: expect.any(String), by: 'admin', life: 1, data: true }])
  })

  it('and one more keeps the first original: what its publisher sent (A95)', () => {
    const { box, id } = dead()
    for (let i = 0; i < limits.editsKept + 2; i++) {
      redriven(box, id, { patch: { city: `city ${i}` } })
      box.run(id, fail())
    }
    const { edits } = box.receipt(id)
    expect(edits?.original?.data).toEqual({ city: 'Ulm' })
    expect([edits?.made.length, edits?.made.at(-1)?.life]).toEqual([limits.editsKept, limits.editsKept + 2])
  })

  it('is forgotten with the body: a purge leaves of the original its size and its digest (A95)', () => {
    const { box, id } = dead()
    redriven(box, id, { data: 'x' })
    box.run(id, fail())
    box.step((draft) => purge(draft, id, box.stored))
    expect(Object.keys(box.receipt(id).edits?.original ?? {})).toEqual(['bytes', 'digest'])
  })

  it('to another agent leaves for it, and is not released here (A95)', () => {
    const { box, id } = dead()
    redriven(box, id, { to: 'bob' })
    expect(box.receipt(id)).toMatchObject({ status: 'held', because: 'on its way to `bob`' })
    expect([box.released(), box.receipt(id).edits]).toEqual([
      [],
      { made: [expect.objectContaining({ to: 'bob', data: false })] },
    ])
  })
})

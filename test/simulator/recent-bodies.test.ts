/** The bodies that a mailbox remembers are bounded, and never other than what is stored. */
import { describe, expect, it } from 'vitest'
import { RecentBodies } from '../../durable-objects/recent-bodies.ts'
import { Scene } from './scene.ts'

const half = 'x'.repeat(131_072)

describe('bodies that were stored last', () => {
  it('are there until those after them fill the room, the oldest first', () => {
    const recent = new RecentBodies()
    for (const id of ['a', 'b', 'c']) recent.keep(id, half)
    expect(['a', 'b', 'c'].map((id) => recent.get(id)?.length)).toEqual([undefined, half.length, half.length])
  })

  it('count once however often they are stored, and not at all once dropped', () => {
    const recent = new RecentBodies()
    for (let i = 0; i < 10; i++) recent.keep('a', half)
    recent.keep('b', half)
    expect(recent.get('a')).toBe(half)
    recent.drop('a')
    recent.drop('a')
    recent.keep('c', half)
    expect([recent.get('b'), recent.get('c')]).toEqual([half, half])
  })

  it('are not kept when one alone is larger than all may be, and push nothing out', () => {
    const recent = new RecentBodies()
    recent.keep('a', half)
    recent.keep('b', half + half + half)
    expect([recent.get('a'), recent.get('b')]).toEqual([half, undefined])
  })
})

it('a message that was edited before its redrive comes with the new body', async () => {
  const scene = new Scene()
  const bodies: string[] = []
  await scene.webhook('ada', ({ body }) => {
    bodies.push(body)
    return { status: bodies.length === 1 ? 400 : 200 }
  })
  const id = await scene.send('ada', { data: 'first' })
  await scene.pass(1_000)
  const body = JSON.stringify({ ...JSON.parse(bodies[0] ?? ''), data: 'second' })
  const { agent } = scene.platform()
  expect(await scene.done(agent('ada').redrive(id, 'token', { by: 'admin', body }))).toMatchObject({
    status: 'redriven',
  })
  await scene.pass(120_000)
  expect(bodies.map((body) => JSON.parse(body).data)).toEqual(['first', 'second'])
})

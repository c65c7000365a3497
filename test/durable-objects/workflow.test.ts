/** WorkflowObject in real workerd: its bounds, eviction in the middle, and that nothing is stored for what does not exist. */

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import type { WorkflowObject } from '../../durable-objects/workflow.ts'
import { limits } from '../../shared/limits.ts'
import type { Opening } from '../../shared/workflow.ts'
import { contentOf, operationId } from '../../shared/workflow-history.ts'

const admin = { source: 'admin', permitted: true }
const permissions = { send: ['*'], publish: ['*'], subscribe: [], readState: ['*'], writeState: ['*'], sources: [] }

function object(id = `w-${crypto.randomUUID().slice(0, 8)}`) {
  const stub = env.WORKFLOWS.getByName(id)
  const inside = <T>(work: (workflow: WorkflowObject, sql: SqlStorage) => T) =>
    runInDurableObject(stub, (workflow, state) => work(workflow as WorkflowObject, state.storage.sql))
  const create = (definition?: object, state: object = {}) => {
    const named = definition === undefined ? {} : { definition: {} }
    const opening: Opening = {
      id,
      by: 'admin',
      permissions,
      creation: 'c',
      ...named,
      state: { ...state },
      keptMs: 60_000,
    }
    return inside((w) => w.create(opening, definition))
  }
  return { stub, inside, create }
}

const event = (type: string, key: string) => ({
  happening: { type, by: 'admin' },
  operation: { id: operationId('admin', key), content: contentOf(type) },
})
const write = (value: unknown, key: string) => {
  const change = { kind: 'merge' as const, patch: { value } }
  const expectation = { version: 'any' as const }
  return [
    change,
    { operation: { id: operationId('admin', key), content: contentOf(change) }, by: 'admin', expectation },
  ] as const
}

const send = { type: 'send', params: { to: 'nobody', type: 'x' } }
const loop = { initial: 'a', states: { a: { entry: send, on: { again: { target: 'a', reenter: true } } } } }

describe('a workflow’s object', () => {
  it('stores nothing for a workflow that nobody made', async () => {
    const { inside } = object()
    const answers = await inside((w) => [
      w.read(admin).status,
      w.receive(admin, event('x', 'k')).status,
      w.unfinished(0),
    ])
    expect(answers).toEqual(['unknown', 'unknown', undefined])
    expect(
      await inside((_, sql) =>
        sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
      ),
    ).toEqual([])
  })

  it('goes on where it was after an eviction in the middle, and repeats are still known', async () => {
    const definition = { initial: 'a', states: { a: { on: { go: 'b' } }, b: { on: { go: 'c' } }, c: {} } }
    const { stub, inside, create } = object()
    await create(definition)
    const first = await inside((w) => w.receive(admin, event('go', '1')))
    await evictDurableObject(stub)
    const [again, next] = await inside((w) => [w.receive(admin, event('go', '1')), w.receive(admin, event('go', '2'))])
    expect(again).toEqual({ ...first, repeated: true })
    expect(next).toMatchObject({ status: 'taken', version: 3, value: 'c' })
  })

  it('forgets what old commits replaced when that grows too large, and still knows who is late', async () => {
    const { inside, create } = object()
    await create()
    const large = (i: number) => `${i}${'x'.repeat(200_000)}`
    const writes = Math.ceil((limits.historyBytes * 1.5) / 200_000)
    await inside((w) => {
      for (let i = 0; i < writes; i++) w.write(admin, ...write(large(i), String(i)))
    })
    const sum = await inside((_, sql) =>
      Number(sql.exec('SELECT total(length(replaced)) AS sum FROM history').one()['sum']),
    )
    expect(sum).toBeLessThan(limits.historyBytes + 1_000_000)
    const states = await inside((w) => [1, writes, writes + 1].map((version) => w.state(admin, version).status))
    expect(states).toEqual(['forgotten', 'found', 'found'])
    const [change, asked] = write('late', 'late')
    const late = await inside((w) =>
      [2, writes].map((version) => w.write(admin, change, { ...asked, expectation: { version } })),
    )
    expect(late).toMatchObject([{ status: 'stale' }, { status: 'stale', changedFields: ['value'] }])
    expect(late[0]).not.toHaveProperty('changedFields')
  }, 30_000)

  it('counts its own past alone, when it has the id of one that was forgotten', async () => {
    const { inside, create } = object()
    const grow = (times: number, by: number) =>
      inside((w) => {
        for (let i = 0; i < times; i++) w.write(admin, ...write(`${i}${'x'.repeat(by)}`, String(i)))
      })
    await create()
    await grow(Math.floor(limits.historyBytes / 200_000), 200_000)
    const forgotten = await inside((w) => {
      w.cancel(admin, 'x')
      w.purge(admin)
      return w.forget()
    })
    expect(forgotten).toBe(true)
    await create()
    await grow(60, 10_000)
    expect(await inside((w) => w.state(admin, 1).status)).toBe('found')
  }, 30_000)

  it('keeps so many entries, and with them so many operations', async () => {
    const { inside, create } = object()
    await create()
    const entries = limits.historyEntries + 500
    await inside((w) => {
      for (let i = 0; i < entries; i++) w.write(admin, ...write(i, String(i)))
    })
    const kept = await inside((_, sql) => Number(sql.exec('SELECT count(*) AS n FROM history').one()['n']))
    expect(kept).toBeGreaterThanOrEqual(limits.historyEntries)
    expect(kept).toBeLessThan(limits.historyEntries + 250)
    expect(await inside((w) => w.write(admin, ...write(entries - 1, String(entries - 1))))).toMatchObject({
      version: entries + 1,
    })
  }, 60_000)

  it('keeps the last of the messages that it sent', async () => {
    const { inside, create } = object()
    const { incarnation } = (await create(loop)).workflow.record
    const count = limits.effectsKept + 500
    await inside((w) => {
      for (let i = 0; i < count; i++) {
        w.receive(admin, event('again', String(i)))
        const carried = { status: 'carried' as const, deliveries: [] }
        w.performed({ incarnation, effects: [{ n: i + 1, state: carried }] })
      }
    })
    const kept = await inside((_, sql) => Number(sql.exec('SELECT count(*) AS n FROM effects').one()['n']))
    expect(kept).toBeGreaterThanOrEqual(limits.effectsKept)
    expect(kept).toBeLessThan(limits.effectsKept + 250)
  }, 60_000)

  it('has an alarm as soon as it owes something, and is not forgotten before its last message left', async () => {
    const { stub, inside, create } = object()
    const { incarnation } = (await create(loop)).workflow.record
    expect(await runInDurableObject(stub, (_, state) => state.storage.getAlarm())).not.toBeNull()
    const owed = () => inside((w) => w.unfinished(0))
    await inside((w) => w.cancel(admin, 'x'))
    await inside((w) => w.purge(admin))
    expect(await owed()).toMatchObject({ forgettable: false, effects: [{ n: 1 }] })
    expect(await inside((w) => w.forget())).toBe(false)
    await inside((w) =>
      w.performed({
        incarnation,
        effects: [{ n: 1, state: { status: 'carried', deliveries: [] } }],
        listed: 'cancelled',
      }),
    )
    expect(await owed()).toMatchObject({ forgettable: true })
    expect(await inside((w) => w.forget())).toBe(true)
    expect(await owed()).toBeUndefined()
    expect(await runDurableObjectAlarm(stub)).toBe(false)
  })
})

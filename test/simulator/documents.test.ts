/** Documents through trouble, by virtual time: uploads that stop half-way or race, and the end of each (A109). */
import { expect, it } from 'vitest'
import { DocumentObject } from '../../durable-objects/document.ts'
import { documentId, type Sealing } from '../../shared/document.ts'
import { limits } from '../../shared/limits.ts'
import { Scene } from './scene.ts'
import { SimStorage } from './storage.ts'

const id = documentId('admin', 'k')
const sealing = (upload: string, more: Partial<Sealing> = {}): Sealing => ({
  ...{
    upload,
    owner: 'admin',
    contentType: 'text/plain',
    bytes: 2,
    sha256: 'ab',
    chunks: 2,
    secret: '00',
    keptMs: 60_000,
  },
  ...more,
})
const byte = (value: number) => Uint8Array.of(value)

it('of two uploads under one key the one begun last is kept, whole; of the other nothing is taken (A109)', async () => {
  const scene = new Scene()
  const document = scene.platform().document(id)
  await scene.done(document.begin('one'))
  expect(await scene.done(document.write('one', 0, byte(1)))).toBe(true)
  await scene.done(document.begin('two'))
  expect(await scene.done(document.write('one', 1, byte(1)))).toBe(false)
  await scene.done(document.write('two', 0, byte(2)))
  expect(await scene.done(document.seal(sealing('one')))).toBeUndefined()
  expect(await scene.done(document.seal(sealing('two')))).toBeUndefined()
  await scene.done(document.write('two', 1, byte(3)))
  const kept = await scene.done(document.seal(sealing('two')))
  expect(kept).toMatchObject({ id, sha256: 'ab', chunks: 2 })
  // Said again it is the same answer; another upload finds it kept and takes nothing.
  expect(await scene.done(document.seal(sealing('two')))).toEqual(kept)
  expect(await scene.done(document.begin('three'))).toEqual(kept)
  expect(await scene.done(document.write('three', 0, byte(9)))).toBe(false)
  expect([...((await scene.done(document.chunk(0, 'two'))) ?? [])]).toEqual([2])
})

it('that was deleted and stored anew is no part of the one that somebody reads (A109)', async () => {
  const scene = new Scene()
  const document = scene.platform().document(id)
  const store = async (upload: string, value: number) => {
    await scene.done(document.begin(upload))
    for (const n of [0, 1]) await scene.done(document.write(upload, n, byte(value)))
    return scene.done(document.seal(sealing(upload)))
  }
  const read = (upload: string, n: number) => scene.done(document.chunk(n, upload))
  expect(await store('one', 1)).toMatchObject({ upload: 'one' })
  expect(await read('one', 0)).toEqual(byte(1))
  await scene.done(document.remove())
  expect(await store('two', 2)).toMatchObject({ upload: 'two' })
  expect([await read('one', 1), await read('two', 1)]).toEqual([undefined, byte(2)])
})

it('ends at its time, whoever reads it then, and leaves nothing; kept longer, it stays (A109, M6)', async () => {
  const scene = new Scene()
  const document = scene.platform().document(id)
  await scene.done(document.begin('u'))
  await scene.done(document.write('u', 0, byte(1)))
  await scene.done(document.seal(sealing('u', { chunks: 1 })))
  await scene.done(document.keep(120_000))
  await scene.pass(90_000)
  expect(await scene.done(document.find())).toMatchObject({ id })
  await scene.pass(31_000)
  expect(await scene.done(document.find())).toBeUndefined()
  expect(await scene.done(document.chunk(0, 'u'))).toBeUndefined()
  expect(await scene.done(document.keep(1))).toBeUndefined()
})

it('that never became whole is forgotten after an hour (M6)', async () => {
  const scene = new Scene()
  const document = scene.platform().document(id)
  await scene.done(document.begin('u'))
  await scene.done(document.write('u', 0, byte(1)))
  await scene.pass(limits.uploadSeconds * 1_000 + 1_000)
  expect(await scene.done(document.seal(sealing('u', { chunks: 1 })))).toBeUndefined()
  expect(await scene.done(document.write('u', 0, byte(1)))).toBe(false)
})

it('has its alarm at its end in every transaction, and the alarm leaves nothing behind (M6)', async () => {
  const storage = new SimStorage()
  let now = 0
  const state = { id: { name: id }, storage } as unknown as DurableObjectState
  const object = new DocumentObject(state, {}, { now: () => now })
  object.begin('u')
  expect(storage.alarmAt).toBe(limits.uploadSeconds * 1_000)
  object.write('u', 0, byte(1))
  object.seal(sealing('u', { chunks: 1 }))
  expect(storage.alarmAt).toBe(60_000)
  object.keep(90_000)
  expect(storage.alarmAt).toBe(90_000)
  await object.alarm()
  expect(storage.alarmAt).toBe(90_000)
  now = 90_000
  await object.alarm()
  expect(storage.sql.exec("SELECT name FROM sqlite_master WHERE type = 'table'").toArray()).toEqual([])
})

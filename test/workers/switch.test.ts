/** The deployment's switch over HTTP, in the real runtime. It stops everything: a file of its own. */
import { afterEach, describe, expect, it } from 'vitest'
import { call, leaseOne, pullAgent, receipt, sendId } from './gateway.ts'

const put = (json: unknown, key?: string) => call('PUT', '/v1/switch', { json, ...(key === undefined ? {} : { key }) })
afterEach(async () => void (await put({ state: 'running' })))

describe('(TC5) the switch', () => {
  it('is turned by an admin, seen by everybody, and told in the figures', async () => {
    const ann = await pullAgent()
    expect((await call('GET', '/v1/switch', { key: ann.key })).body).toEqual({ state: 'running' })
    expect((await put({ state: 'stopped' }, ann.key)).body.code).toBe('forbidden')
    const { body } = await put({ state: 'stopped', reason: 'a bad model' })
    expect(body).toEqual({ state: 'stopped', reason: 'a bad model', by: 'admin', since: expect.any(String) })
    // Turned to where it is, it stays as it was.
    expect((await put({ state: 'stopped', reason: 'a bad model' })).body).toEqual(body)
    expect((await call('GET', '/v1/switch', { key: ann.key })).body).toEqual(body)
    expect((await call('GET', '/v1/stats')).body.stopped).toBe('the deployment is stopped: a bad model')
    expect((await call('GET', '/metrics')).body).toContain('switchboard_stopped 1\n')
    expect((await put({ state: 'off' })).body.code).toBe('invalid_request')
  })

  it('lets nobody lease while it is stopped, and whoever waited when it runs again', async () => {
    const ann = await pullAgent()
    await put({ state: 'stopped' })
    const id = await sendId(ann.name)
    expect(await leaseOne(ann)).toBeUndefined()
    expect(await receipt(id)).toMatchObject({ status: 'held', attempt: 0 })
    await put({ state: 'running' })
    expect(await leaseOne(ann)).toMatchObject({ id, attempt: 1 })
  })
})

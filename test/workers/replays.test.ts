/** Replays over HTTP, in real workerd: by an admin alone, shown, sent, and forgotten data said to be so (TC9). */
import { describe, expect, it } from 'vitest'
import { call, leaseOne, pullAgent, receipt, sendId } from './gateway.ts'

describe('a replay', () => {
  it('is shown and sent by an admin alone, and what its agent asks for is on the receipt, withheld (TC9)', async () => {
    const [agent, substitute] = await Promise.all([pullAgent(), pullAgent()])
    const id = await sendId(agent.name, { data: { n: 1 } })
    const { token } = await leaseOne(agent)
    await call('POST', `/v1/deliveries/${id}/nack`, { key: agent.key, json: { token, terminal: true } })
    const path = `/v1/deliveries/${id}/replay`
    expect((await call('POST', path, { key: agent.key, json: {} })).body.code).toBe('forbidden')
    const json = { substituteAgent: substitute.name }
    const shown = await call('POST', path, { json: { ...json, dryRun: true } })
    expect([shown.status, shown.body]).toMatchObject([
      200,
      { dryRun: true, to: substitute.name, message: { data: { n: 1 } } },
    ])
    const sent = await call('POST', path, { json })
    expect([sent.status, sent.headers.get('Location')]).toEqual([202, `/v1/deliveries/${sent.body.delivery}`])
    expect(sent.body.recorded.status).toBe('dead_lettered')
    const leased = await leaseOne(substitute)
    expect(leased.message).toMatchObject({ replayof: id, data: { n: 1 } })
    const effects = { messages: [{ to: agent.name, type: 'x' }] }
    await call('POST', `/v1/deliveries/${leased.id}/ack`, {
      key: substitute.key,
      json: { token: leased.token, effects },
    })
    expect((await receipt(leased.id)).effects).toMatchObject([{ kind: 'message', state: { status: 'withheld' } }])
  })

  it('of what is forgotten, or was never there, says which (TC9)', async () => {
    const agent = await pullAgent()
    const id = await sendId(agent.name)
    const { token } = await leaseOne(agent)
    await call('POST', `/v1/deliveries/${id}/ack`, { key: agent.key, json: { token } })
    const { status, body } = await call('POST', `/v1/deliveries/${id}/replay`, { json: {} })
    expect([status, body.code]).toEqual([410, 'data_forgotten'])
    const gone = await call('POST', `/v1/deliveries/${agent.name}_${'a'.repeat(26)}/replay`, { json: {} })
    expect(gone.body.code).toBe('not_found')
  })
})

/** Agents that run inside the Worker are registered by their code. */
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import type { Platform } from '../../shared/ports.ts'
import { type AnyAgent, defineAgent } from '../../workers/define.ts'
import { ensureEnrolled, handlersOf } from '../../workers/handlers.ts'
import { freshName } from './gateway.ts'
import { type OwnCall, ownSwitchboard } from './switchboard.ts'

const handler = (name: string, more: Partial<AnyAgent> = {}): AnyAgent =>
  defineAgent({ name, accepts: z.unknown(), handle: async () => 'done', ...more })

const listed = async (call: OwnCall, capability: string) =>
  (await call('GET', `/v1/agents?capability=${capability}`)).body.items.map((one: { agent: string }) => one.agent)

describe('a list of agents', () => {
  it('becomes a map by name', () => {
    expect([...handlersOf([handler('ann'), handler('bob')]).keys()]).toEqual(['ann', 'bob'])
  })

  it.each([
    ['two agents of one name', [handler('ann'), handler('ann')], /`ann`.*same name/],
    ['a name that is none', [handler('Ann!')], /`Ann!`.*a-z/],
    ['a policy that is none', [handler('ann', { policy: { concurrency: 0 } })], /`ann`.*policy\.concurrency/],
  ])('does not start with %s', (_, agents, says) => {
    expect(() => ownSwitchboard({ agents })).toThrow(says)
  })
})

describe('an agent in the code', () => {
  it('can be read, listed and sent to before anybody registered it (A93)', async () => {
    const [read, list, sent] = [freshName('read'), freshName('list'), freshName('sent')]
    const skill = freshName('skill')
    const own = ownSwitchboard({ agents: [read, list, sent].map((name) => handler(name, { capabilities: [skill] })) })
    expect(await own('GET', `/v1/agents/${read}`)).toMatchObject({
      status: 200,
      body: { kind: 'handler', verified: true, policy: { timeoutSeconds: 300 } },
    })
    expect((await own('POST', '/v1/messages', { json: { to: sent, type: 't' } })).status).toBe(202)
    expect((await listed(own, skill)).sort()).toEqual([read, list, sent].sort())
  })

  it('says which types it takes, so that a chain passes it over for others (A60)', async () => {
    const name = freshName()
    const own = ownSwitchboard({ agents: [handler(name, { types: ['ticket.*'] })] })
    expect((await own('GET', `/v1/agents/${name}`)).body.accepts).toEqual(['ticket.*'])
  })

  it('has the policy and permissions of its newest code, and keeps a pause', async () => {
    const name = freshName()
    const first = ownSwitchboard({ agents: [handler(name, { policy: { concurrency: 2 } })] })
    await first('POST', `/v1/agents/${name}/pause`, { json: { reason: 'night' } })
    const next = ownSwitchboard({ agents: [handler(name, { policy: { concurrency: 3 }, permissions: { send: [] } })] })
    await next('GET', '/v1/agents')
    expect((await next('GET', `/v1/agents/${name}`)).body).toMatchObject({
      policy: { concurrency: 3 },
      permissions: { send: [] },
      paused: { reason: 'night' },
    })
    const last = ownSwitchboard({ agents: [handler(name, {})] })
    await last('GET', '/v1/agents')
    expect((await last('GET', `/v1/agents/${name}`)).body.permissions.send).toEqual(['*'])
  })

  it('gets a key by PUT, and nothing else: what a PUT changed would not outlast the isolate', async () => {
    const name = freshName()
    const own = ownSwitchboard({ agents: [handler(name, { policy: { concurrency: 2 } })] })
    const put = (json: unknown) => own('PUT', `/v1/agents/${name}`, { json })
    const { body } = await put({ kind: 'handler' })
    expect(body).toMatchObject({ key: expect.stringContaining(name), policy: { concurrency: 2 } })
    expect(await put({ kind: 'handler', policy: {} })).toMatchObject({
      status: 400,
      body: { issues: [{ path: 'policy' }] },
    })
    expect(await put({ kind: 'pull' })).toMatchObject({ status: 400, body: { issues: [{ path: 'kind' }] } })
    expect(await own('DELETE', `/v1/agents/${name}`)).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
  })

  it('cannot be registered where no code is: a misspelt name would dead-letter its mail', async () => {
    const answered = await ownSwitchboard()('PUT', `/v1/agents/${freshName()}`, { json: { kind: 'handler' } })
    expect(answered).toMatchObject({ status: 400, body: { issues: [{ path: 'kind' }] } })
  })

  it('can be deleted once the code is gone', async () => {
    const name = freshName()
    await ownSwitchboard({ agents: [handler(name)] })('GET', `/v1/agents/${name}`)
    expect((await ownSwitchboard()('DELETE', `/v1/agents/${name}`)).status).toBe(204)
  })
})

describe('seeing to the agents in the code', () => {
  it('changes nothing when nothing changed, and heals an index that lacks the agent', async () => {
    const name = freshName()
    const agent = handler(name, { capabilities: ['x'] })
    const calls: string[] = []
    let platform: Platform | undefined
    const own = ownSwitchboard({
      ports: (given) => {
        platform = {
          ...given,
          agent: (of) =>
            new Proxy(given.agent(of), {
              get: (port, method) => {
                calls.push(String(method))
                return Reflect.get(port, method)
              },
            }),
        }
        return {}
      },
    })
    await own('GET', '/v1/agents')
    await ensureEnrolled(platform!, agent)
    expect(calls).toEqual(['describe', 'enrol'])
    await platform!.directory().removeAgent(name)
    await ensureEnrolled(platform!, agent)
    expect(calls).toEqual(['describe', 'enrol', 'describe'])
    expect(await platform!.directory().findAgent(name)).toMatchObject({ agent: name, capabilities: ['x'] })
  })

  it('is done once per isolate when the index is listed', async () => {
    const name = freshName()
    let described = 0
    const own = ownSwitchboard({
      agents: [handler(name)],
      ports: ({ agent }) => ({
        agent: (of) => {
          if (of === name) described += 1
          return agent(of)
        },
      }),
    })
    await own('GET', '/v1/agents')
    const once = described
    await own('GET', '/v1/agents')
    expect([once > 0, described]).toEqual([true, once])
  })
})

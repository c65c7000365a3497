/** An agent's record as it goes with its mail: nothing of it is lost, and it is read once for as long as it stays the same. */
import { describe, expect, it } from 'vitest'
import { enrol } from '../../shared/agent.ts'
import { agentIn, agentText } from '../../shared/agent-text.ts'
import { agentRecord, start } from './mailbox-fixtures.ts'

const renamed = (url: string) =>
  enrol(agentRecord(), {
    name: 'ada',
    registration: { kind: 'webhook', url, headers: { authorization: 'Bearer x' }, resources: ['openai/gpt-5'] },
    freshIncarnation: 'second',
    freshSecret: 'whsec_c2VjcmV0c2VjcmV0c2VjcmV0',
    trusted: true,
    now: start,
  })

describe('an agent as text', () => {
  it.each([agentRecord(), agentRecord({ kind: 'pull' }), renamed('https://ada.example/other')])(
    'is the whole record',
    (agent) => {
      expect(agentIn(agentText(agent))).toEqual(agent)
    },
  )

  it('is nobody where there is nobody', () => {
    expect([agentText(undefined), agentIn(undefined)]).toEqual([undefined, undefined])
  })

  it('is one record for as long as it says the same, so that what is made of it may be kept with it', () => {
    const first = agentIn(agentText(agentRecord()))
    expect(agentIn(agentText(agentRecord()))).toBe(first)
    expect(agentIn(agentText(renamed('https://ada.example/new')))).not.toBe(first)
  })

  it('is another one when anything about it changed', () => {
    const urls = Array.from({ length: 700 }, (_, n) => `https://ada.example/${n}`)
    const texts = urls.map((url) => agentText(renamed(url)))
    // More than are remembered, and each still says its own.
    for (const pass of [1, 2])
      expect(
        texts.map((text) => agentIn(text).url),
        `pass ${pass}`,
      ).toEqual(urls)
  })
})

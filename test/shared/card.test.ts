/** An agent's card: what a registration may say, what is filled in, and when its etag changes. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { agentRecord, enrol, isRegisteredAs, publicAgent, registration } from '../../shared/agent.ts'
import { abilitiesOf, cardOf, etagOf, type Skill } from '../../shared/card.ts'
import { indexEntry } from '../../shared/directory.ts'
import { limits } from '../../shared/limits.ts'

const enrolled = (more: object) =>
  enrol(undefined, {
    name: 'ann',
    registration: registration.parse({ kind: 'pull', ...more }),
    freshIncarnation: 'i',
    freshSecret: 's',
    trusted: true,
    now: 1_000,
  })

const skill: Skill = {
  id: 'summarise',
  name: 'Summarise',
  description: 'Makes long texts short.',
  tags: ['text'],
  inputModes: ['text/plain'],
  outputModes: ['application/json'],
  schema: { type: 'object' },
}

describe('a registration', () => {
  it('that says nothing of versions speaks 1.0, has no skills, and the broker answers for it (A46)', () => {
    expect(publicAgent(enrolled({}), 0, false)).toMatchObject({
      protocolVersions: ['1.0'],
      skills: [],
      handshake: 'registration',
    })
  })

  it('keeps its skills as they were given, whole (A47)', () => {
    const agent = enrolled({ skills: [skill], protocolVersions: ['1.0', '2.1'], handshake: 'agent' })
    expect(publicAgent(agentRecord.parse(agent), 0, false)).toMatchObject({
      skills: [skill],
      protocolVersions: ['1.0', '2.1'],
      handshake: 'agent',
    })
  })

  it('is found by its skills as by its capabilities', () => {
    const agent = enrolled({ capabilities: ['write', 'summarise'], skills: [skill, { id: 'translate', name: 'T' }] })
    expect(indexEntry(agent).capabilities).toEqual(['write', 'summarise', 'translate'])
  })

  it('that says the same again changes nothing; another version does', () => {
    const asked = registration.parse({ kind: 'pull', protocolVersions: ['1.0'] })
    const agent = enrolled({ protocolVersions: ['1.0'] })
    expect(isRegisteredAs(agent, asked)).toBe(true)
    expect(isRegisteredAs(agent, { ...asked, protocolVersions: ['1.1'] })).toBe(false)
  })

  it.each([
    ['protocolVersions', { protocolVersions: [] }],
    ['protocolVersions.0', { protocolVersions: ['v1'] }],
    ['protocolVersions.0', { protocolVersions: ['01.0'] }],
    ['protocolVersions.0', { protocolVersions: ['1.0.'] }],
    ['protocolVersions.0', { protocolVersions: ['1.2.3.4.5'] }],
    ['skills', { skills: [skill, { ...skill, name: 'Another' }] }],
    ['skills.0.name', { skills: [{ id: 'x' }] }],
    ['skills.0.description', { skills: [{ ...skill, description: 'x'.repeat(limits.skillDescriptionLength + 1) }] }],
    ['skills', { skills: [{ ...skill, schema: { description: 'x'.repeat(limits.cardBytes) } }] }],
    ['handshake', { handshake: 'nobody' }],
  ])('is refused at %s: %j', (path, more) => {
    const parsed = registration.safeParse({ kind: 'pull', ...more })
    expect(parsed.error?.issues[0]?.path.join('.')).toBe(path)
  })
})

describe('the etag of a card (A48)', () => {
  const card = cardOf({ capabilities: ['a', 'b'], protocolVersions: ['1.0', '2.0'], skills: [skill] })

  it.each([
    ['a version', { protocolVersions: ['1.0'] }],
    ['a capability', { capabilities: ['a'] }],
    ['a skill', { skills: [] }],
    ['what a skill takes', { skills: [{ ...skill, schema: { type: 'string' } }] }],
    ['who negotiates', { handshake: 'agent' as const }],
  ])('changes with %s', (_, change) => {
    expect(etagOf({ ...card, ...change })).not.toBe(etagOf(card))
  })

  it('does not change with the order in which its parts are listed', () => {
    const other = { id: 'another', name: 'A' }
    fc.assert(
      fc.property(
        fc.shuffledSubarray(['a', 'b', 'c'], { minLength: 3 }),
        fc.shuffledSubarray(['1', '2'], { minLength: 2 }),
        fc.shuffledSubarray([skill, other], { minLength: 2 }),
        (capabilities, protocolVersions, skills) => {
          const straight = cardOf({
            capabilities: ['a', 'b', 'c'],
            protocolVersions: ['1', '2'],
            skills: [skill, other],
          })
          expect(etagOf(cardOf({ capabilities, protocolVersions, skills }))).toBe(etagOf(straight))
        },
      ),
    )
  })

  it('does not change with anything else of the agent', () => {
    const agent = enrolled({ capabilities: ['a'] })
    const paused = { ...agent, paused: { since: 5, reason: 'x' }, updatedAt: 9 }
    expect(publicAgent(paused, 0, false).etag).toBe(publicAgent(agent, 0, false).etag)
  })
})

describe('abilities', () => {
  it('name nothing twice', () => {
    expect(abilitiesOf({ capabilities: ['summarise', 'summarise'], skills: [skill] })).toEqual(['summarise'])
  })
})

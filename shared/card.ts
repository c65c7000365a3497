/**
 * An agent's card: what it says of itself to whoever wants to work with it. The protocol versions it speaks, what it is able to
 * do, and whether it negotiates itself. Part of its registration. Never here: a handshake over it (shared/handshake.ts).
 */
import * as z from 'zod'
import { digest } from './ids.ts'
import { canonical, utf8Length } from './json.ts'
import { limits } from './limits.ts'

const label = z.string().min(1).max(limits.typeLength)
const modes = z.array(label).max(limits.skillModes)

/** Numbers and dots, without leading zeros, so that one version has few spellings: `2`, `1.0`, `1.10.3`. */
export const protocolVersion = z
  .string()
  .regex(/^(?:0|[1-9]\d{0,8})(?:\.(?:0|[1-9]\d{0,8})){0,3}$/, 'a version is 1 to 4 numbers with dots, such as 1.0')

/** As an A2A agent card has it, and the JSON Schema of what the skill takes. */
export const skillSchema = z.strictObject({
  id: label,
  name: label,
  description: z.string().max(limits.skillDescriptionLength).exactOptional(),
  tags: z.array(label).max(limits.skillTags).exactOptional(),
  inputModes: modes.exactOptional(),
  outputModes: modes.exactOptional(),
  schema: z.record(z.string(), z.unknown()).exactOptional(),
})
export type Skill = z.infer<typeof skillSchema>

/** Who answers a handshake: the broker, from the registration, or the agent itself. */
export const negotiator = z.enum(['registration', 'agent'])

export const capabilityList = z.array(label).max(limits.capabilitiesPerAgent)

/** What a registration may say of it beside `capabilities`; left out, the agent speaks 1.0 and the broker answers for it. */
export const cardParts = {
  protocolVersions: z.array(protocolVersion).min(1).max(limits.protocolVersions).exactOptional(),
  skills: z
    .array(skillSchema)
    .max(limits.skillsPerAgent)
    .refine((skills) => new Set(skills.map((skill) => skill.id)).size === skills.length, 'two skills have the same id')
    .refine((skills) => utf8Length(JSON.stringify(skills)) <= limits.cardBytes, `at most ${limits.cardBytes} bytes`)
    .exactOptional(),
  handshake: negotiator.exactOptional(),
}

/** What is kept of it: records that were written before there were cards have none of it. */
export const cardRecord = {
  protocolVersions: z.array(z.string()).exactOptional(),
  skills: z.array(skillSchema).exactOptional(),
  handshake: negotiator.exactOptional(),
}

/** The parts as a registration gave them, and no more: what was left out is filled in when it is read. */
export function cardPartsOf({ protocolVersions, skills, handshake }: Partial<Pick<Card, keyof typeof cardParts>>) {
  return {
    ...(protocolVersions === undefined ? {} : { protocolVersions: [...protocolVersions] }),
    ...(skills === undefined ? {} : { skills: [...skills] }),
    ...(handshake === undefined ? {} : { handshake }),
  }
}

export interface Card {
  readonly protocolVersions: readonly string[]
  readonly capabilities: readonly string[]
  readonly skills: readonly Skill[]
  readonly handshake: z.infer<typeof negotiator>
}

export const defaultVersions: readonly string[] = ['1.0']

/** The card of an agent, with what its registration left out filled in. */
export function cardOf(agent: Pick<Card, 'capabilities'> & Partial<Card>): Card {
  const { protocolVersions = defaultVersions, capabilities, skills = [], handshake = 'registration' } = agent
  return { protocolVersions, capabilities, skills, handshake }
}

/** What it can be asked for by name: its capabilities, and its skills by their ids. */
export function abilitiesOf({
  capabilities,
  skills = [],
}: Pick<Card, 'capabilities'> & Partial<Card>): readonly string[] {
  return [...new Set([...capabilities, ...skills.map((skill) => skill.id)])]
}

/** Changes when the card does, and only then: in which order its parts were listed says nothing. */
export function etagOf(card: Card): string {
  const { protocolVersions, capabilities, skills, handshake } = card
  const sorted = [...skills].sort((a, b) => (a.id < b.id ? -1 : 1))
  return digest(canonical([[...protocolVersions].sort(), [...capabilities].sort(), sorted, handshake]))
}

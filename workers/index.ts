/** The composition root: this deployment's agents, and the object classes that wrangler.toml names. No logic. */
import { agents } from '../agents/index.ts'
import { createSwitchboard } from './switchboard.ts'

export { AgentObject } from '../durable-objects/agent.ts'
export { DeadLettersObject } from '../durable-objects/dead-letters.ts'
export { DirectoryObject } from '../durable-objects/directory.ts'
export { PublicationObject } from '../durable-objects/publication.ts'

export default createSwitchboard({ agents })

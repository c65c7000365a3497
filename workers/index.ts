/** The composition root: this deployment's agents and workflows, and the object classes that wrangler.toml names. No logic. */
import { agents, workflows } from '../agents/index.ts'
import { createSwitchboard } from './switchboard.ts'

export { AgentObject } from '../durable-objects/agent.ts'
export { ApprovalsObject } from '../durable-objects/approvals.ts'
export { DeadLettersObject } from '../durable-objects/dead-letters.ts'
export { DirectoryObject } from '../durable-objects/directory.ts'
export { DocumentObject } from '../durable-objects/document.ts'
export { GatherObject } from '../durable-objects/gather.ts'
export { PromiseObject } from '../durable-objects/promise.ts'
export { PublicationObject } from '../durable-objects/publication.ts'
export { RequestsObject } from '../durable-objects/requests.ts'
export { ResourceObject } from '../durable-objects/resource.ts'
export { SchedulesObject } from '../durable-objects/schedules.ts'
export { WorkflowObject } from '../durable-objects/workflow.ts'
export { WorkflowIndexObject } from '../durable-objects/workflow-index.ts'

export default createSwitchboard({ agents, workflows })

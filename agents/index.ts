/**
 * The agents that run inside the Worker, and the workflows that they take part in. Add a file and list it here. Never here: code.
 */
import type { AnyAgent } from '../workers/define.ts'
import { analyst } from './analyst.ts'
import { research } from './research/workflow.ts'
import { researcher } from './researcher.ts'
import { synthesizer } from './synthesizer.ts'

export const agents: readonly AnyAgent[] = [researcher, analyst, synthesizer]

/** By name: `POST /v1/workflows { "definition": "research", … }`. */
export const workflows: Readonly<Record<string, unknown>> = { research }

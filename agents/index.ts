/**
 * The agents that run inside the Worker. Add a file beside this one and list it here. Never here: code.
 */
import type { AnyAgent } from '../workers/define.ts'
import { analyst } from './analyst.ts'
import { researcher } from './researcher.ts'
import { synthesizer } from './synthesizer.ts'

export const agents: readonly AnyAgent[] = [researcher, analyst, synthesizer]

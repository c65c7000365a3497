/**
 * Terms: what a workflow lays down for the messages that belong to it, its guards and whether it has a budget. Remembered by the
 * isolate for a few seconds, so that a busy workflow is not asked for every message. Never here: what they mean (shared/lineage.ts,
 * shared/budget.ts).
 */
import type { Isolate, Platform } from '../shared/ports.ts'
import { workflowId } from '../shared/workflow.ts'
import type { Terms } from '../shared/workflow-budget.ts'
import { Recent } from './recent.ts'

/** How long other terms may go unnoticed. */
const rememberedMs = 5_000
const capacity = 1_000

const memories = new WeakMap<Isolate, Recent<Terms>>()

/** Nothing is laid down by what is no workflow, or none that there is. */
const none: Terms = { budgeted: false }

/** The terms of the workflow that a message names. */
export async function termsOf(platform: Platform, named: unknown): Promise<Terms> {
  const parsed = workflowId.safeParse(named)
  if (!parsed.success) return none
  const { isolate } = platform
  const memory = memories.get(isolate) ?? new Recent<Terms>(capacity)
  memories.set(isolate, memory)
  const known = memory.get(parsed.data, platform.now())
  if (known !== undefined) return known
  const terms = (await platform.workflow(parsed.data).terms()) ?? none
  memory.set(parsed.data, terms, platform.now() + rememberedMs)
  return terms
}

/** What this isolate did itself it must not overlook. */
export function forgetTerms(platform: Platform, workflow: string): void {
  memories.get(platform.isolate)?.set(workflow, none, 0)
}

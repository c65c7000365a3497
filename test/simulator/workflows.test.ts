/**
 * Workflows in virtual time: through crashes between any two lines, lost queues and failing agents their versions have no gaps
 * (W1), who is late changes nothing (W2), and every step is committed whole (W3).
 */
import { describe, expect, it } from 'vitest'
import { outgoingName } from '../../shared/outgoing.ts'
import type { Scene } from './scene.ts'
import { WorkflowStory } from './workflow-story.ts'

const only = process.env['SEED']
const from = Number(process.env['STORIES_FROM'] ?? 1)
const seeds = only === undefined ? Array.from({ length: 12 }, (_, i) => from + i) : [Number(only)]

describe('workflows, through every crash', () => {
  it('W1 W2 W3 E1 M2 M6: no write is lost or doubled, no step is half, everything comes to rest (A22, A28)', async () => {
    const told = { written: 0, late: 0, ticked: 0, remedied: 0, deferred: 0, timers: 0, completed: 0, failed: 0 }
    for (const seed of seeds) {
      const story = new WorkflowStory(seed)
      await story.tell()
      const receipts = await allMessages(story.scene)
      for (const id of story.ids) {
        const { record, state, entries, effects } = story.found(id)
        const { written, ticked, late } = story.tally.get(id)!
        const where = `seed ${seed}: ${id}`
        expect(['completed', 'failed'], where).toContain(record.status)
        expect([state['n'], state['ticks']], where).toEqual([written, ticked])
        expect(
          effects.filter((e) => e.state.status === 'pending'),
          where,
        ).toEqual([])
        for (const { n, state: s } of effects)
          expect(
            receipts.filter((m) => outgoingName(id, m)?.n === n),
            `${where}-${n}`,
          ).toHaveLength(s.status === 'carried' ? 1 : 0)
        const listed = await story.scene.done(story.scene.platform().workflowIndex().list({}, undefined, 100))
        expect(listed.items.find((w) => w.id === id)?.status, where).toBe(record.status)
        const kinds = entries.map((e) => e.entry.kind)
        told.written += written
        told.ticked += ticked
        told.late += late
        told.remedied += kinds.filter((k) => k === 'remedy').length
        told.deferred += kinds.filter((k) => k === 'deferred').length
        told.timers += entries.filter((e) => e.entry.by === 'timer').length
        told[record.status === 'completed' ? 'completed' : 'failed'] += 1
      }
    }
    // Stories in which nothing happened would hold as well.
    if (only === undefined)
      for (const [what, n] of Object.entries(told)) expect(n, what).toBeGreaterThan(seeds.length / 10)
  }, 300_000)

  it('the same seed tells the same story', async () => {
    const stories = [new WorkflowStory(3), new WorkflowStory(3)]
    for (const story of stories) await story.tell()
    const [first, second] = stories.map((s) => s.ids.map((id) => s.found(id)))
    expect(second).toEqual(first)
  })
})

async function allMessages(scene: Scene): Promise<string[]> {
  const ids: string[] = []
  for (const agent of ['ada', 'bob', 'cyd']) {
    const { object } = await scene.sim.inspect(agent)
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = object.list(undefined, cursor, 100)
      ids.push(...page.items.map((r) => r.message.id))
      cursor = page.cursor
    }
  }
  return ids
}

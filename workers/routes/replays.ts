/** Replays over HTTP: an admin has an agent do once more what one was given, and nothing follows. Never here: how (workers/replay.ts). */
import { Hono } from 'hono'
import { digest } from '../../shared/ids.ts'
import { ownSource } from '../../shared/permissions.ts'
import { replayInput } from '../../shared/replay.ts'
import type { App } from '../context.ts'
import { idempotencyKeyOf } from '../idempotency-key.ts'
import { readJson, refuse, unwrap } from '../problem.ts'
import { replay } from '../replay.ts'

export const replays = new Hono<App>()

replays.post('/deliveries/:id/replay', async (c) => {
  const principal = c.get('principal')
  const id = c.req.param('id')
  if (principal.kind !== 'admin') return refuse({ code: 'forbidden', action: 'replay', subject: id })
  const input = await readJson(c, replayInput)
  const platform = c.get('platform')
  const key = digest('replay', idempotencyKeyOf(c) ?? platform.token()).slice(0, 12)
  const { original, to, message, delivery } = unwrap(
    await replay(platform, id, input, { by: ownSource(principal), key }),
  )
  const { status, result, effects } = original
  const recorded = { status, ...(result === undefined ? {} : { result }), effects: [...(effects ?? [])] }
  const answer = { replayof: id, to, message, recorded }
  if (delivery === undefined) return c.json({ ...answer, dryRun: true }, 200)
  c.header('Location', `/v1/deliveries/${delivery}`)
  return c.json({ ...answer, delivery }, 202)
})

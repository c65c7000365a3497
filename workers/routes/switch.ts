/** The deployment's switch over HTTP: who has a key may see it, an admin turns it. Never here: what it stops (workers/take.ts). */
import { Hono } from 'hono'
import { switchRequest } from '../../shared/api-switch.ts'
import { ownSource } from '../../shared/permissions.ts'
import { publicSwitch } from '../../shared/switch.ts'
import type { App } from '../context.ts'
import { readJson, refuse } from '../problem.ts'
import { turn } from '../switch.ts'

export const deploymentSwitch = new Hono<App>()

deploymentSwitch.get('/switch', async (c) => c.json(publicSwitch(await c.get('platform').directory().turned()), 200))

deploymentSwitch.put('/switch', async (c) => {
  const principal = c.get('principal')
  if (principal.kind !== 'admin') refuse({ code: 'forbidden', action: 'turn', subject: 'the switch' })
  const { state, reason } = await readJson(c, switchRequest)
  const asked = { state, by: ownSource(principal), ...(reason === undefined ? {} : { reason }) }
  return c.json(publicSwitch(await turn(c.get('platform'), asked)), 200)
})

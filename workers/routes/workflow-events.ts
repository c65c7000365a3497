/**
 * Events of a workflow's statechart over HTTP, and the chart itself as a diagram. Never here: what the chart makes of an event
 * (shared/workflow-events.ts).
 */
import { Hono } from 'hono'
import { eventRequest } from '../../shared/api-definitions.ts'
import { mermaid } from '../../shared/chart-diagram.ts'
import { limits } from '../../shared/limits.ts'
import { unreachable } from '../../shared/result.ts'
import { parseDefinition } from '../../shared/statechart.ts'
import { contentOf, operationId } from '../../shared/workflow-history.ts'
import type { App } from '../context.ts'
import { performSoon } from '../perform.ts'
import { readJson, refuse } from '../problem.ts'
import { operationOf, permitted, requestOf } from '../workflow-access.ts'

export const workflowEvents = new Hono<App>()

workflowEvents.post('/workflows/:workflow/events', async (c) => {
  const asked = await readJson(c, eventRequest)
  const request = requestOf(c, 'writeState')
  const { asker, port, id: workflow } = request
  const mustTake = 'transition' in asked
  const type = 'transition' in asked ? asked.transition : asked.type
  const happening = {
    ...{ type, by: asker.source },
    ...(asked.data === undefined ? {} : { data: asked.data }),
    ...(asked.id === undefined ? {} : { id: asked.id }),
  }
  // The event's own id names it, where the call brings no key.
  const byKey = operationOf(c, asked)
  const byId = asked.id !== undefined && c.req.header('idempotency-key') === undefined
  const operation = byId ? { id: operationId(asker.source, `event/${asked.id}`), content: contentOf(asked) } : byKey
  const arrival = { happening, operation, strict: true, ...(mustTake ? { mustTake: true as const } : {}) } as const
  const received = permitted(request, await port.receive(asker, arrival))
  switch (received.status) {
    case 'taken':
    case 'ignored': {
      const { status: reception, version, value, workflow: status } = received
      if (reception === 'taken') performSoon(c.get('platform'), workflow)
      return c.json({ reception, version, ...(value === undefined ? {} : { value }), status }, 200)
    }
    case 'deferred':
      return c.json({ reception: 'deferred' }, 200)
    case 'illegal':
      return refuse({
        code: 'illegal_transition',
        workflow,
        from: received.from,
        event: type,
        allowed: received.allowed,
      })
    case 'over':
      return refuse({ code: 'workflow_over', workflow, ended: received.ended })
    case 'full':
      return refuse({ code: 'workflow_full', workflow, max: limits.deferredEvents, retryAfterSeconds: 5 })
    case 'conflict':
      return refuse({ code: 'operation_reused', workflow })
    case 'no_chart':
      return refuse({ code: 'no_statechart', workflow })
    case 'reserved':
      return refuse({
        code: 'invalid_request',
        issues: [{ path: 'type', message: '`xstate.` is for the statechart itself' }],
      })
    default:
      return unreachable(received)
  }
})

workflowEvents.get('/workflows/:workflow/diagram', async (c) => {
  const request = requestOf(c, 'readState')
  const { asker, port } = request
  const found = permitted(request, await port.definition(asker))
  const parsed = parseDefinition(found.definition)
  if (!parsed.ok) return refuse({ code: 'no_statechart', workflow: request.id })
  return c.text(mermaid(parsed.value, found.marks), 200)
})

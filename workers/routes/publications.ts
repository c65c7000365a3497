/**
 * Publications over HTTP: what became of a publish to many, leg by leg. Its sender and an admin may read it: it names the
 * others who were reached (S2). Never here: what a leg's mailbox knows (workers/report.ts).
 */
import { Hono } from 'hono'
import { type LegFate, parseAckMode, satisfied } from '../../shared/ack-mode.ts'
import { publicationQuery } from '../../shared/api-topics.ts'
import { maySpeakFor } from '../../shared/permissions.ts'
import { isCaught, isPublicationId, whyOf } from '../../shared/publication.ts'
import type { App } from '../context.ts'
import { refuse, validate } from '../problem.ts'
import { fatesOf } from '../report.ts'

export const publications = new Hono<App>()

publications.get('/publications/:id', async (c) => {
  const id = c.req.param('id')
  const { ackmode } = validate(publicationQuery, c.req.query())
  const platform = c.get('platform')
  const publication = isPublicationId(id) ? await platform.publication(id).report() : undefined
  if (publication === undefined) return refuse({ code: 'not_found', what: 'publication', id })
  const { head, openedAt, fanout, accepted, refused, closedAt, legs } = publication
  const why = whyOf(publication)
  if (!maySpeakFor(c.get('principal'), { source: head.source, at: openedAt }))
    refuse({ code: 'forbidden', action: 'read', subject: id })

  const fates = await fatesOf(platform, legs)
  const mode = ackmode === undefined ? undefined : parseAckMode(ackmode)
  const verdict = mode === undefined ? undefined : satisfied(mode, publication, fates)
  return c.json(
    {
      id,
      message: head,
      openedAt: new Date(openedAt).toISOString(),
      ...(why === undefined ? {} : { why }),
      ...(isCaught(publication) && { caught: true }),
      fanout,
      accepted,
      refused,
      open: closedAt === undefined,
      legs: fates.map(shown),
      ...(verdict === undefined ? {} : { satisfied: verdict }),
    },
    200,
  )
})

function shown({ leg: { agent, state }, receipt }: LegFate) {
  return { agent, ...state, ...(receipt === undefined ? {} : { deliveryStatus: receipt }) }
}

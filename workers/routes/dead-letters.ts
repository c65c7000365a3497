/**
 * Dead letters over HTTP: list, read, redrive, purge. An admin sees all; an agent sees and redrives its own mailbox's.
 * Never here: how one is brought back (workers/exhume.ts).
 */
import { type Context, Hono } from 'hono'
import { groupsQuery, lettersQuery, redriveManyRequest } from '../../shared/api-letters.ts'
import type { DeadLetter, DeadLetterFilter } from '../../shared/dead-letter.ts'
import { problemOf } from '../../shared/fault.ts'
import { parseDeadLetterId } from '../../shared/ids.ts'
import { mayOperate } from '../../shared/permissions.ts'
import { isPublicationId } from '../../shared/publication.ts'
import type { App } from '../context.ts'
import { purge, redrive, redriveMany } from '../exhume.ts'
import { readJson, refuse, unwrap, validate } from '../problem.ts'

export const deadLetters = new Hono<App>()

deadLetters.get('/dead-letters', async (c) => {
  const { cursor, limit, ...filter } = validate(lettersQuery, c.req.query())
  const page = await c.get('platform').deadLetters().list(confined(c, filter), cursor, limit)
  return c.json({ ...page, items: page.items.map(shown) }, 200)
})

// Before the single ones: no letter has this id.
deadLetters.get('/dead-letters/groups', async (c) => {
  const { cursor, limit, ...filter } = validate(groupsQuery, c.req.query())
  const page = await c.get('platform').deadLetters().groups(confined(c, filter).agent, cursor, limit)
  const items = page.items.map((g) => ({ ...g, newestAt: iso(g.newestAt), oldestAt: iso(g.oldestAt) }))
  return c.json({ ...page, items }, 200)
})

deadLetters.get('/dead-letters/:id', async (c) => {
  const id = operable(c)
  const letter = await c.get('platform').deadLetters().get(id)
  return letter === undefined ? notFound(id) : c.json(shown(letter), 200)
})

deadLetters.post('/dead-letters/redrive', async (c) => {
  const { max, cursor, ...filter } = await readJson(c, redriveManyRequest)
  const { refused, ...told } = await redriveMany(c.get('platform'), confined(c, filter), max, cursor)
  const problems = refused.map(({ id, fault }) => ({ id, problem: problemOf(fault, `/v1/dead-letters/${id}`).body }))
  return c.json({ ...told, refused: problems }, 200)
})

deadLetters.post('/dead-letters/:id/redrive', async (c) =>
  c.json(unwrap(await redrive(c.get('platform'), operable(c))), 200),
)

deadLetters.delete('/dead-letters/:id', async (c) => {
  unwrap(await purge(c.get('platform'), operable(c)))
  return c.body(null, 204)
})

/** The filter, held to what the caller may see. */
function confined(c: Context<App>, filter: DeadLetterFilter): DeadLetterFilter {
  const principal = c.get('principal')
  if (principal.kind === 'admin') return filter
  if (principal.kind !== 'agent') return forbid('read', 'dead letters')
  if (filter.agent !== undefined && filter.agent !== principal.name)
    return forbid('read the dead letters of', filter.agent)
  return { ...filter, agent: principal.name }
}

// The id says whose mailbox it is, so that a stranger is told nothing, not even whether it exists.
function operable(c: Context<App>): string {
  const id = c.req.param('id') ?? ''
  // It was for nobody in particular, so it is nobody's but an admin's.
  if (isPublicationId(id))
    return c.get('principal').kind === 'admin' ? id : forbid('read the dead letters of', 'publications')
  const name = parseDeadLetterId(id)
  if (name === undefined) return notFound(id)
  return mayOperate(c.get('principal'), name.agent) ? id : forbid('read the dead letters of', name.agent)
}

const forbid = (action: string, subject: string): never => refuse({ code: 'forbidden', action, subject })
const notFound = (id: string): never => refuse({ code: 'not_found', what: 'dead letter', id })

const iso = (at: number) => new Date(at).toISOString()

function shown({ v: _v, at, attempts, ...letter }: DeadLetter) {
  return {
    ...letter,
    at: iso(at),
    attempts: attempts.map((a) => ({ ...a, startedAt: iso(a.startedAt), endedAt: iso(a.endedAt) })),
  }
}

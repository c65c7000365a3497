/**
 * Dead letters over HTTP: list, read, redrive, purge. An admin sees all; an agent sees and redrives its own mailbox's.
 * Never here: how one is brought back (workers/exhume.ts).
 */
import { type Context, Hono } from 'hono'
import { groupsQuery, lettersQuery, ndjson, redriveManyRequest, redriveRequest } from '../../shared/api-letters.ts'
import { wireBytes } from '../../shared/api-messages.ts'
import type { DeadLetter, DeadLetterFilter } from '../../shared/dead-letter.ts'
import { type EditInput, isEdit, publicEdits } from '../../shared/edit.ts'
import { problemOf } from '../../shared/fault.ts'
import { parseDeadLetterId } from '../../shared/ids.ts'
import { isOfPredecessor, mayOperate, ownSource } from '../../shared/permissions.ts'
import { isPublicationId } from '../../shared/publication.ts'
import type { App } from '../context.ts'
import { type Edition, purge, redrive, redriveMany } from '../exhume.ts'
import { exportLetters } from '../export-letters.ts'
import { readJson, refuse, unwrap, validate } from '../problem.ts'

export const deadLetters = new Hono<App>()

deadLetters.get('/dead-letters', async (c) => {
  const { cursor, limit, ...filter } = validate(lettersQuery, c.req.query())
  if (c.req.header('accept')?.includes(ndjson) === true) {
    const lines = exportLetters(c.get('platform'), confined(c, filter), cursor, (letter) => shown(letter))
    return c.body(lines, 200, { 'Content-Type': ndjson, 'Cache-Control': 'no-store' })
  }
  const page = await c.get('platform').deadLetters().list(confined(c, filter), cursor, limit)
  return c.json({ ...page, items: page.items.map(shown) }, 200)
})

// Before the single ones: no letter has this id.
deadLetters.get('/dead-letters/groups', async (c) => {
  const { cursor, limit, ...filter } = validate(groupsQuery, c.req.query())
  const page = await c.get('platform').deadLetters().groups(confined(c, filter), cursor, limit)
  const items = page.items.map((g) => ({ ...g, newestAt: iso(g.newestAt), oldestAt: iso(g.oldestAt) }))
  return c.json({ ...page, items }, 200)
})

deadLetters.get('/dead-letters/:id', async (c) => {
  const id = operable(c)
  const letter = await c.get('platform').deadLetters().get(id)
  return letter === undefined || isOthers(c, letter) ? notFound(id) : c.json(shown(letter), 200)
})

deadLetters.post('/dead-letters/redrive', async (c) => {
  const { max, cursor, edit, ...filter } = await readJson(c, redriveManyRequest)
  const confines = confined(c, filter)
  const { refused, ...told } = await redriveMany(c.get('platform'), confines, max, cursor, editionOf(c, edit))
  const problems = refused.map(({ id, fault }) => ({ id, problem: problemOf(fault, `/v1/dead-letters/${id}`).body }))
  return c.json({ ...told, refused: problems }, 200)
})

deadLetters.post('/dead-letters/:id/redrive', async (c) => {
  // Whether there is such a letter is told before what is wrong with the change.
  const id = await own(c)
  const edition = editionOf(c, await readJson(c, redriveRequest, wireBytes))
  return c.json(unwrap(await redrive(c.get('platform'), id, edition)), 200)
})

deadLetters.delete('/dead-letters/:id', async (c) => {
  unwrap(await purge(c.get('platform'), await own(c)))
  return c.body(null, 204)
})

/** The filter, held to what the caller may see. */
function confined(c: Context<App>, filter: DeadLetterFilter): DeadLetterFilter {
  const principal = c.get('principal')
  if (principal.kind === 'admin') return filter
  if (principal.kind !== 'agent') return forbid('read', 'dead letters')
  if (filter.agent !== undefined && filter.agent !== principal.name)
    return forbid('read the dead letters of', filter.agent)
  return { ...filter, agent: principal.name, since: principal.since }
}

/** Is it of another agent, that had the caller's name? */
const isOthers = (c: Context<App>, { agent, at }: DeadLetter) =>
  isOfPredecessor(c.get('principal'), { source: agent, at })

/** The letter's id, if the caller may change it. */
async function own(c: Context<App>): Promise<string> {
  const id = operable(c)
  // Only of an agent it is asked whether it is its own.
  if (c.get('principal').kind === 'admin') return id
  const letter = await c.get('platform').deadLetters().get(id)
  return letter !== undefined && isOthers(c, letter) ? notFound(id) : id
}

/**
 * What the caller changes, if anything. An agent may change what it is given itself; to give it to another, under its sender's
 * name, is an admin's (S1).
 */
function editionOf(c: Context<App>, asked: EditInput = {}): Edition | undefined {
  const principal = c.get('principal')
  if (asked.to !== undefined && principal.kind !== 'admin') forbid('move a dead letter to', asked.to)
  return isEdit(asked) ? { asked, by: ownSource(principal) } : undefined
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

function shown({ v: _v, at, attempts, edits, ...letter }: DeadLetter) {
  return {
    ...letter,
    at: iso(at),
    ...(edits === undefined ? {} : { edits: publicEdits(edits) }),
    attempts: attempts.map((a) => ({ ...a, startedAt: iso(a.startedAt), endedAt: iso(a.endedAt) })),
  }
}

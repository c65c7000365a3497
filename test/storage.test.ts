/**
 * docs/storage.md names every table, column and index that the objects make, and every record with its version. Never here: what
 * is in them.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { AgentObject } from '../durable-objects/agent.ts'
import { ApprovalsObject } from '../durable-objects/approvals.ts'
import { DeadLettersObject } from '../durable-objects/dead-letters.ts'
import { DirectoryObject } from '../durable-objects/directory.ts'
import { DocumentObject } from '../durable-objects/document.ts'
import { GatherObject } from '../durable-objects/gather.ts'
import { PromiseObject } from '../durable-objects/promise.ts'
import { PublicationObject } from '../durable-objects/publication.ts'
import { RequestsObject } from '../durable-objects/requests.ts'
import { ResourceObject } from '../durable-objects/resource.ts'
import { SchedulesObject } from '../durable-objects/schedules.ts'
import { WorkflowObject } from '../durable-objects/workflow.ts'
import { WorkflowIndexObject } from '../durable-objects/workflow-index.ts'
import { SimStorage } from './simulator/storage.ts'

const root = join(import.meta.dirname, '..')
const page = readFileSync(join(root, 'docs/storage.md'), 'utf8')

function section(title: string): string {
  const [, text] = new RegExp(`^## ${title}\\n([\\s\\S]*?)(?=^## |$(?![\\s\\S]))`, 'm').exec(page) ?? []
  if (text === undefined) throw new Error(`docs/storage.md has no section "${title}"`)
  return text
}

type Tables = Record<string, string[]>

/** Every table of a section with its columns, in order: a heading with its names, then rows that begin with a name. */
function told(title: string): Tables {
  const tables: Tables = {}
  for (const part of section(title).split(/^### /m).slice(1)) {
    const [heading = '', ...lines] = part.split('\n')
    const columns = lines.flatMap((line) => /^\| `([a-z_]+)` \|/.exec(line)?.[1] ?? [])
    for (const [, name = ''] of heading.matchAll(/`([^`]+)`/g)) tables[name] = columns
  }
  return tables
}

function made(storage: SimStorage): { readonly tables: Tables; readonly indexes: readonly string[] } {
  const all = storage.sql.exec("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").toArray()
  const tables: Tables = {}
  for (const { name } of all.filter((row) => row['type'] === 'table')) {
    const columns = storage.sql.exec(`SELECT name FROM pragma_table_info('${String(name)}')`).toArray()
    tables[String(name).replace(/\d+$/, '<n>')] = columns.map((column) => String(column['name']))
  }
  return { tables, indexes: all.filter((row) => row['type'] === 'index').map((row) => String(row['name'])) }
}

/** An object of each class, used enough to have made all its tables. */
function built(title: string): SimStorage {
  const storage = new SimStorage()
  const state = {
    id: { name: 'ada' },
    storage,
    blockConcurrencyWhile: (work: () => Promise<unknown>) => work(),
    abort: () => undefined,
  } as unknown as DurableObjectState
  const clock = { now: () => 0, random: () => 0 }
  const queue = { send: () => Promise.resolve() }
  const env = { DELIVERIES: queue, WORK: queue }
  const head = {
    specversion: '1.0',
    id: 'm',
    source: 'admin',
    type: 'x',
    time: '',
    correlationid: 'm',
    to: 'ada',
  } as const
  switch (title) {
    case 'AgentObject': {
      const verdict = { status: 'accepted' as const, version: '1.0', agreed: [] }
      const offer = { protocolVersions: ['1.0'], capabilities: [] }
      const asked = { id: 'h', agent: 'ada', incarnation: 'i', source: 'admin', offer, verdict, etag: 'e' }
      const shaken = { v: 1, ...asked, answeredBy: 'registration' } as const
      const agent = new AgentObject(state, env, clock)
      agent.enrol({ kind: 'pull' }, { name: 'ada', incarnation: 'i', secret: 's', trusted: true })
      const incoming = { message: head, body: '{}', key: 'm', contentHash: 'h', hops: 0, brokerMade: false }
      agent.accept([incoming], 'token')
      const opening = {
        id: 'r-q_ada',
        owner: 'admin',
        contentHash: 'h',
        head,
        hops: 0,
        timeoutMs: 1,
        path: [],
        agents: ['ada'],
      }
      const { key: _, ...question } = incoming
      const asking = { ...question, message: { ...question.message, id: 'r-q_ada-1' } }
      agent.ask({ ...opening, join: { kind: 'all' }, onTimeout: { kind: 'error' } }, asking)
      agent.shake(shaken, 1_000)
      agent.spend('ada_root', 'journal', 1, 1_000)
      break
    }
    case 'DirectoryObject':
      new DirectoryObject(state, {} as Env, clock)
      break
    case 'SchedulesObject':
      new SchedulesObject(state, env, clock)
      break
    case 'ApprovalsObject':
      new ApprovalsObject(state, env, clock)
      break
    case 'DocumentObject':
      new DocumentObject(state, env, clock).begin('u')
      break
    case 'PromiseObject': {
      const opening = { id: 'p', owner: 'admin', creator: { kind: 'admin' }, contentHash: 'h', resolvers: [] } as const
      new PromiseObject(state, env, clock).open({ ...opening, resolvers: [], waitsMs: 1 })
      break
    }
    case 'DeadLettersObject':
      new DeadLettersObject(state, {} as Env, clock)
      break
    case 'PublicationObject': {
      const publication = new PublicationObject(state, env, clock)
      const opening = { id: 'p', head, key: 'm', contentHash: 'h', hops: 0, told: false, renewable: true }
      publication.open({ ...opening, agents: ['ada'], fanout: 1 }, '{}')
      break
    }
    case 'GatherObject': {
      const gather = new GatherObject(state, env, clock)
      const asked = {
        id: 'g',
        owner: 'admin',
        contentHash: 'h',
        head,
        hops: 0,
        timeoutMs: 1_000,
        path: [],
        agents: ['ada'],
      }
      gather.open('g', { ...asked, join: { kind: 'all' }, onTimeout: { kind: 'error' }, scatter: {} }, ['{}'])
      break
    }
    case 'RequestsObject':
      new RequestsObject(state, env, clock).put({ id: 'g', openedAt: 0, deadlineAt: 1 })
      break
    case 'ResourceObject': {
      const resource = new ResourceObject(state, env, clock)
      resource.force({ to: 'open', by: 'admin' })
      break
    }
    case 'WorkflowObject': {
      const permissions = { send: [], publish: [], subscribe: [], readState: [], writeState: [], sources: [] }
      const opening = { id: 'w', by: 'admin', permissions, creation: 'c', state: {}, keptMs: 1, budget: {} }
      new WorkflowObject(state, env, clock).create(opening)
      break
    }
    case 'WorkflowIndexObject':
      new WorkflowIndexObject(state, {}, clock)
  }
  return storage
}

describe.each([
  'AgentObject',
  'DirectoryObject',
  'DeadLettersObject',
  'PublicationObject',
  'SchedulesObject',
  'ApprovalsObject',
  'PromiseObject',
  'DocumentObject',
  'ResourceObject',
  'GatherObject',
  'RequestsObject',
  'WorkflowObject',
  'WorkflowIndexObject',
])('%s', (title) => {
  let storage: SimStorage
  beforeAll(() => {
    storage = built(title)
  })

  it('makes the tables that docs/storage.md names, column by column, and no other', () => {
    expect(made(storage).tables).toEqual(told(title))
  })

  it('has each of its indexes named', () => {
    for (const index of made(storage).indexes) expect(section(title)).toContain(`\`${index}\``)
  })
})

describe('records', () => {
  const rows = [...section('Records').matchAll(/^\| ([a-z ]+) \| (\d+) \| `([^`]+)` `([^`]+)` \|/gm)]

  it('are those whose schemas have a version, each with that version', () => {
    expect(rows.length).toBeGreaterThan(8)
    for (const [, name, version, file = '', schema = ''] of rows) {
      const text = readFileSync(join(root, file), 'utf8')
      const [, stands] = new RegExp(`const ${schema} = z\\.\\w+\\(\\{\\s*v: z\\.literal\\((\\d+)\\)`).exec(text) ?? []
      expect(stands, `${name}: ${schema} in ${file}`).toBe(version)
    }
  })

  it('leave out no schema of shared/ that has one, but what travels in the queues', () => {
    for (const name of readdirSync(join(root, 'shared'))) {
      if (name === 'reference.ts') continue
      const versions = readFileSync(join(root, 'shared', name), 'utf8').match(/\bv: z\.literal\(/g)?.length ?? 0
      expect(rows.filter(([, , , file]) => file === `shared/${name}`).length, name).toBe(versions)
    }
  })
})

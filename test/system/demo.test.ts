/** `npm run demo`, whole: real processes, the real platform, real files; the only fake is the model provider's side of its API. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFailed } from 'vitest'
import { freePort } from '../../scripts/local.ts'
import { startFakeModel, wellBehaved } from '../agents/fake-model.ts'
import { stands } from '../agents/stands.ts'
import { type Ground, leftOn, newGround, run } from './processes.ts'

// A machine may be slow, and busy with everything else.
const limitMs = 180_000
const question = 'Which bird waits in shallow water, and what does it eat?'
const files = {
  'birds/heron.md':
    '# Herons\n\nThe heron waits in shallow water\nfor a long time. It eats fish and frogs.\n\n## Young\n\nA young heron eats what its parents bring.\n',
  'birds/gull.txt': 'The gull follows the plough. A gull eats worms, and whatever a town leaves.\n',
}

let ground: Ground
beforeEach(() => {
  ground = newGround()
  mkdirSync(join(ground.dir, 'birds'))
  for (const [path, text] of Object.entries(files)) writeFileSync(join(ground.dir, path), text)
})
afterEach(() => ground.remove())

function demo(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const running = run('demo.ts', args, { ...ground.env, INIT_CWD: ground.dir, SWITCHBOARD_URL: '', ...env })
  onTestFailed(() => {
    // One that was not waited for to the end says how far it came, and does not stay.
    console.log(running.output())
    running.child.kill('SIGTERM')
  })
  return running
}

function nothingIsLeft() {
  expect(leftOn(ground)).toEqual([])
  expect(readdirSync(ground.temporary).filter((name) => name.startsWith('switchboard'))).toEqual([])
}

const asked = [
  ['research.request', 'researcher'],
  ['analysis.request', 'analyst'],
  ['synthesis.request', 'synthesizer'],
]

const statesInOrder = [
  ...['research_pending', 'research_complete', 'analysis_pending', 'analysis_complete'],
  ...['synthesis_pending', 'synthesis_complete'],
]

/** The lines under a heading of the printout. */
function shown(output: string, heading: string | RegExp): string[] {
  const lines = output.split('\n')
  const from = lines.findIndex((line) => line.startsWith('── ') && line.slice(3).match(heading)?.index === 0)
  const rest = lines.slice(from + 1)
  return rest
    .slice(
      0,
      rest.findIndex((line) => line.startsWith('── ')),
    )
    .filter((line) => line !== '')
}

/** The path of states as it is shown: each with a time that is not before the one above it. */
function statesShown(output: string): string[] {
  const lines = shown(output, 'Path of states').map((line) => /^([\d:.]{12}) {2}(\w+)/.exec(line))
  const times = lines.map((found) => found![1]!)
  expect(times).toEqual(times.toSorted())
  return lines.map((found) => found![2]!)
}

/** What the breaker did, without times and causes; a probe that failed in between opened it again. */
function breakerMoves(output: string): string[] {
  const moves = shown(output, /Breaker of /).map((line) => / {2}(\w+ → \w+) {2}/.exec(line)?.[1] ?? line)
  // Each failed probe is a pair: it opened again, and was let through again when its time was over.
  return moves.filter(
    (move, i) => !(move === 'half_open → open' || (move === 'open → half_open' && moves[i + 1] === 'half_open → open')),
  )
}
const recovery = ['closed → open', 'open → half_open', 'half_open → closed']

/** Statements of a report with their citations, read as a person reads them. */
function statementsOf(markdown: string) {
  const told = markdown.replace(/\*\*Short answer\.\*\* /g, '')
  return [...told.matchAll(/(?:^- |^|(?<=\] ))([^\]\n]+?) \[([^\s\]]+):(\d+)\]/gm)].map(([, text, path, line]) => {
    return { text: text!, path: path!, line: Number(line), lastLine: Number(line) + 1 }
  })
}

describe('the demo', () => {
  it(
    'answers over the files of a folder, cites them truly, shows its path and receipts, and leaves nothing behind (A21, A23, A38)',
    async () => {
      const out = join(ground.dir, 'report.md')
      const { ended, output } = demo(['--question', question, '--out', 'report.md', 'birds'])
      expect(await ended, output()).toBe(0)
      const statements = statementsOf(readFileSync(out, 'utf8'))
      expect(statements.map((s) => s.text)).toContain('The heron waits in shallow water for a long time.')
      expect(statements.length).toBeGreaterThan(1)
      for (const s of statements) {
        const text = files[s.path as keyof typeof files]
        expect(stands(s, text) || stands({ ...s, lastLine: s.line }, text), `${s.path}:${s.line} ${s.text}`).toBe(true)
      }
      const workflow = /workflow\/(demo-[0-9a-f]{12}) → researcher/.exec(output())?.[1]
      for (const [type, to] of asked) {
        expect(output()).toMatch(new RegExp(`^\\d\\d:\\d\\d:\\d\\d\\.\\d{3}  ${type} +${to} +completed$`, 'm'))
        expect(output()).toMatch(
          new RegExp(`^${type}  workflow/${workflow} → ${to}  completed, 1 attempt\\n  ${to}_[a-z2-7]{26}$`, 'm'),
        )
      }
      expect(statesShown(output())).toEqual(statesInOrder)
      expect(
        output()
          .split('\n')
          .filter((line) => line.length > 100),
      ).toEqual([])
      nothingIsLeft()
    },
    limitMs,
  )

  it(
    'with a model says what the model said and the files bear out, and shows the try that was refused',
    async () => {
      const fake = await startFakeModel((prompt, number) =>
        number === 0 ? { kind: 'refuse', status: 429, retryAfter: '1' } : wellBehaved(prompt),
      )
      const model = { OPENAI_BASE_URL: fake.url, OPENAI_API_KEY: 'sk-test-1', OPENAI_MODEL: 'test-model' }
      const { ended, output } = demo(['--question', question, '--out', 'report.md', 'birds'], model)
      expect(await ended, output()).toBe(0)
      await fake.close()
      const markdown = readFileSync(join(ground.dir, 'report.md'), 'utf8')
      expect(markdown).toContain('Written with the model test-model')
      expect(statementsOf(markdown).length).toBeGreaterThan(1)
      expect(output().replace(/\s+/g, ' ')).toContain('answered 429: too many requests and asks to wait 1 s')
      expect(output()).toMatch(/→ analyst {2}completed, 2 attempts/)
      expect(output()).not.toContain('sk-test-1')
      expect(fake.seen.every((s) => s.authorization === 'Bearer sk-test-1' && s.model === 'test-model')).toBe(true)
      nothingIsLeft()
    },
    limitMs,
  )

  it(
    'fails with the reason when the provider refuses the key (A24)',
    async () => {
      const fake = await startFakeModel(() => ({ kind: 'refuse', status: 401 }))
      const { ended, output } = demo(['--question', question, 'birds'], {
        OPENAI_BASE_URL: fake.url,
        OPENAI_API_KEY: 'sk-test-1',
      })
      expect(await ended, output()).toBe(1)
      await fake.close()
      const said = output().replace(/\s+/g, ' ')
      // The workflow asked once more, before it gave up.
      expect(fake.seen.length).toBe(2)
      expect(said).toContain('The demo did not finish: the workflow ended in failed: analyst gave up (terminal)')
      expect(said).toContain('it does not accept OPENAI_API_KEY')
      nothingIsLeft()
    },
    limitMs,
  )

  it(
    'leaves nothing behind when it is told to end in the middle of the work',
    async () => {
      const fake = await startFakeModel(() => ({ kind: 'hang' }))
      const { child, ended, output, says } = demo(['--question', question, 'birds'], {
        OPENAI_BASE_URL: fake.url,
        OPENAI_API_KEY: 'sk-test-1',
      })
      await says(/analysis\.request +analyst +dispatched/)
      child.kill('SIGTERM')
      expect(await ended, output()).toBe(1)
      await fake.close()
      expect(output()).toContain('The demo did not finish: stopped by SIGTERM')
      nothingIsLeft()
    },
    limitMs,
  )

  it(
    'by events on a platform that others use too, has a desk of its own, and takes away what it made',
    async () => {
      const key = 'key-of-this-test'
      const port = await freePort()
      const own = { PORT: String(port), STATE_DIR: join(ground.dir, 'state'), SWITCHBOARD_ADMIN_KEY: key }
      const platform = run('start.ts', [], { ...ground.env, ...own })
      await platform.says('Switchboard is ready at')
      const url = `http://127.0.0.1:${port}/`
      const { ended, output } = demo(['--pattern', 'events', '--question', question, 'birds'], {
        SWITCHBOARD_URL: url,
        SWITCHBOARD_ADMIN_KEY: key,
      })
      expect(await ended, output()).toBe(0)
      expect(output()).toMatch(/^synthesis\.complete {2}synthesizer → desk-[0-9a-f]{8} {2}completed, 1 attempt$/m)
      const items = async (what: string): Promise<{ agent: string }[]> => {
        const answer = await fetch(`${url}v1/${what}`, { headers: { authorization: `Bearer ${key}` } })
        return ((await answer.json()) as { items: { agent: string }[] }).items
      }
      expect((await items('agents')).map((i) => i.agent)).toEqual(['analyst', 'researcher', 'synthesizer'])
      expect(await items('subscriptions')).toEqual([])
      platform.child.kill('SIGTERM')
      expect(await platform.ended).toBe(0)
      nothingIsLeft()
    },
    limitMs,
  )

  it(
    'by shared state lets three agents race for one list: who is late is told 412 and writes again, and no update is lost (A27, A29, A31, A38, TC16)',
    async () => {
      const { ended, output } = demo(['--pattern', 'state', '--question', question, '--out', 'report.md', 'birds'])
      expect(await ended, output()).toBe(0)
      const writes = [...output().matchAll(/^[\d:.]{12} {2}(\S+) +If-Match "(\d+)" {2}(\d+)/gm)].map((m) => m.slice(1))
      const written = writes.filter(([, , status]) => status === '200')
      const late = writes.filter(([, , status]) => status === '412')
      expect(written.map(([who]) => who).toSorted()).toEqual(
        ['analyst-1', 'analyst-2', 'analyst-3', 'researcher', 'synthesizer'].toSorted(),
      )
      // Each version that was written under was written under once.
      expect(written.map(([, version]) => Number(version))).toEqual([1, 2, 3, 4, 5])
      expect(late.length).toBeGreaterThan(0)
      for (const [who] of late) expect(who).toMatch(/^analyst-[123]$/)
      expect(shown(output(), 'Versions').filter((line) => /version \d+ /.test(line))).toHaveLength(6)
      expect(output()).toContain('Writers of one list 3, updates lost 0, written twice 0, versions skipped 0')
      expect(output()).toContain('Shared state: ')
      expect(statementsOf(readFileSync(join(ground.dir, 'report.md'), 'utf8')).length).toBeGreaterThan(1)
      nothingIsLeft()
    },
    limitMs,
  )

  it(
    'by events has its report while an auditor is down, whose breaker opens, and who gets what it missed (A34, A37, A38)',
    async () => {
      const { ended, output } = demo(['--pattern', 'events', '--question', question, '--out', 'report.md', 'birds'])
      expect(await ended, output()).toBe(0)
      expect(statementsOf(readFileSync(join(ground.dir, 'report.md'), 'utf8')).length).toBeGreaterThan(1)
      const lines = output().split('\n')
      const reportAt = lines.findIndex((line) => line.startsWith('The report is there; the auditor is not'))
      const heardAt = lines.findIndex((line) => /complete +auditor-[0-9a-f]{8} +completed/.test(line))
      expect(reportAt).toBeGreaterThan(0)
      expect(heardAt).toBeGreaterThan(reportAt)
      expect(breakerMoves(output())).toEqual(recovery)
      for (const type of ['research.complete', 'analysis.complete', 'synthesis.complete'])
        expect(output()).toMatch(new RegExp(`^${type}  \\w+ → auditor-[0-9a-f]{8}  completed, \\d+ attempts?$`, 'm'))
      expect(output()).toContain('Events with breakers: ')
      nothingIsLeft()
    },
    limitMs,
  )

  it(
    'in chaos loses and doubles nothing: the analyst killed at work, the runtime killed with mail parked, all of it completed (M1, M2, A24, A36)',
    async () => {
      const { ended, output } = demo(['--chaos', '--question', question, '--out', 'report.md', 'birds'])
      expect(await ended, output()).toBe(0)
      expect(statementsOf(readFileSync(join(ground.dir, 'report.md'), 'utf8')).length).toBeGreaterThan(1)
      expect(statesShown(output())).toEqual(statesInOrder)
      expect(breakerMoves(output())).toEqual(recovery)
      const progress = shown(output(), 'Progress').join('\n')
      const inTurn = [/analyst-outside killed/, /analyst-outside open \(parked \d+\)/, /runtime +killed \(SIGKILL/]
      const places = [...inTurn, /runtime +back \(after/, /analyst-outside back/].map((said) => progress.search(said))
      expect(places.every((place) => place >= 0)).toBe(true)
      expect(places).toEqual(places.toSorted((a, b) => a - b))
      const parked = shown(output(), 'Parked')
      expect(parked.length).toBe(7)
      expect(parked.at(-1)).toBe(`parked ${parked.length - 1}`)
      for (const line of parked.slice(0, -1)) expect(line).toMatch(/^analyst-outside_[a-z2-7]{26} {2}completed after /)
      expect(shown(output(), 'Ledger').at(-1)).toBe(
        'workflows 6, accepted 18, completed 18, failed 0, lost 0, doubled 0',
      )
      nothingIsLeft()
    },
    limitMs,
  )

  it.each([
    [['--pattern', 'wish'], 'there is no pattern wish'],
    [['--chaos', '--pattern', 'state'], '--chaos is for the workflow'],
  ])('refuses %s, and starts nothing', async (args, why) => {
    const { ended, output } = demo([...args, 'birds'])
    expect(await ended).toBe(1)
    expect(output()).toContain(why)
    expect(output()).not.toContain('Platform')
  })

  it(
    'says what it needs, and starts nothing, when there is nothing to read',
    async () => {
      const { ended, output } = demo(['nowhere'])
      expect(await ended).toBe(1)
      expect(output()).toContain('nowhere')
      expect(output()).not.toContain('Platform')
      expect(existsSync(join(ground.dir, 'report.md'))).toBe(false)
    },
    limitMs,
  )
})

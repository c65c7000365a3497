/** `npm run demo`, whole: real processes, the real platform, real files; the only fake is the model provider's side of its API. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { tryPort } from '../../scripts/local.ts'
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

const demo = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  run('demo.ts', args, { ...ground.env, INIT_CWD: ground.dir, SWITCHBOARD_URL: '', ...env })

function nothingIsLeft() {
  expect(leftOn(ground)).toEqual([])
  expect(readdirSync(ground.temporary).filter((name) => name.startsWith('switchboard'))).toEqual([])
}

/** Statements of a report with their citations, read as a person reads them. */
function statementsOf(markdown: string) {
  const told = markdown.replace(/\*\*Short answer\.\*\* /g, '')
  return [...told.matchAll(/(?:^- |^|(?<=\] ))([^\]\n]+?) \[([^\s\]]+):(\d+)\]/gm)].map(([, text, path, line]) => {
    return { text: text!, path: path!, line: Number(line), lastLine: Number(line) + 1 }
  })
}

describe('the demo', () => {
  it(
    'answers over the files of a folder, cites them truly, shows its receipts, and leaves nothing behind',
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
      for (const [type, from, to] of [
        ['research.request', 'admin', 'researcher'],
        ['analysis.request', 'researcher', 'analyst'],
        ['synthesis.request', 'analyst', 'synthesizer'],
        ['report', 'synthesizer', 'desk'],
      ]) {
        expect(output()).toMatch(new RegExp(`^\\d\\d:\\d\\d:\\d\\d\\.\\d{3}  ${type} +${to} +completed$`, 'm'))
        expect(output()).toMatch(
          new RegExp(`^${type}  ${from} → ${to}  completed, 1 attempt\\n  ${to}_[a-z2-7]{26}$`, 'm'),
        )
      }
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
      expect(output()).toContain('researcher → analyst  completed, 2 attempts')
      expect(output()).not.toContain('sk-test-1')
      expect(fake.seen.every((s) => s.authorization === 'Bearer sk-test-1' && s.model === 'test-model')).toBe(true)
      nothingIsLeft()
    },
    limitMs,
  )

  it(
    'fails with the reason when the provider refuses the key',
    async () => {
      const fake = await startFakeModel(() => ({ kind: 'refuse', status: 401 }))
      const { ended, output } = demo(['--question', question, 'birds'], {
        OPENAI_BASE_URL: fake.url,
        OPENAI_API_KEY: 'sk-test-1',
      })
      expect(await ended, output()).toBe(1)
      await fake.close()
      const said = output().replace(/\s+/g, ' ')
      expect(said).toContain('The demo did not finish: analysis.request at analyst ended as dead_lettered')
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
    'on a platform that others use too, has a desk of its own and takes it away again',
    async () => {
      const key = 'key-of-this-test'
      const port = (await tryPort(0)) ?? 0
      const own = { PORT: String(port), STATE_DIR: join(ground.dir, 'state'), SWITCHBOARD_ADMIN_KEY: key }
      const platform = run('start.ts', [], { ...ground.env, ...own })
      await platform.says('Switchboard is ready at')
      const url = `http://127.0.0.1:${port}/`
      const { ended, output } = demo(['--question', question, 'birds'], {
        SWITCHBOARD_URL: url,
        SWITCHBOARD_ADMIN_KEY: key,
      })
      expect(await ended, output()).toBe(0)
      expect(output()).toMatch(/^report {2}synthesizer → desk-[0-9a-f]{8} {2}completed, 1 attempt$/m)
      const answer = await fetch(`${url}v1/agents`, { headers: { authorization: `Bearer ${key}` } })
      const { items } = (await answer.json()) as { items: { agent: string }[] }
      expect(items.map((i) => i.agent)).toEqual(['analyst', 'researcher', 'synthesizer'])
      platform.child.kill('SIGTERM')
      expect(await platform.ended).toBe(0)
      nothingIsLeft()
    },
    limitMs,
  )

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

/** The development key: made once, kept, and nobody else's lines touched. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ensureAdminKey, parseVars } from '../../scripts/dev-vars.ts'
import { passedOnLines } from '../../scripts/local.ts'

let dir: string
let path: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dev-vars-'))
  path = join(dir, '.dev.vars')
})
afterEach(() => rmSync(dir, { recursive: true }))

describe('the admin key', () => {
  it('is made when there is no file, readable by its owner only', () => {
    const made = ensureAdminKey(path, {})
    expect(made.origin).toBe('made')
    expect(made.key).toMatch(/^dev_[\w-]{32}$/)
    expect(readFileSync(path, 'utf8')).toBe(`SWITCHBOARD_ADMIN_KEY=${made.key}\n`)
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('is found again, and no second one is made', () => {
    const { key } = ensureAdminKey(path, {})
    expect(ensureAdminKey(path, {})).toEqual({ key, origin: 'file' })
  })

  it('is added after other lines, which stay as they are, even without a last line break', () => {
    writeFileSync(path, '# mine\nOPENAI_API_KEY="sk-1"', { mode: 0o644 })
    const { key } = ensureAdminKey(path, {})
    expect(readFileSync(path, 'utf8')).toBe(`# mine\nOPENAI_API_KEY="sk-1"\nSWITCHBOARD_ADMIN_KEY=${key}\n`)
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('of the environment wins, and then nothing is written', () => {
    expect(ensureAdminKey(path, { SWITCHBOARD_ADMIN_KEY: 'mine' })).toEqual({ key: 'mine', origin: 'environment' })
    expect(() => statSync(path)).toThrow('ENOENT')
  })

  it('that is there but empty counts as none, and the new one wins over that line', () => {
    writeFileSync(path, 'SWITCHBOARD_ADMIN_KEY=\n')
    const { key, origin } = ensureAdminKey(path, {})
    expect(origin).toBe('made')
    expect(parseVars(readFileSync(path, 'utf8')).get('SWITCHBOARD_ADMIN_KEY')).toBe(key)
  })
})

describe('variables', () => {
  it.each([
    ['A=1', '1'],
    ['A = "x y" # why', 'x y'],
    ["export A='#1'", '#1'],
    ['A=x # why', 'x'],
    ['A=1\nA=2', '2'],
    ['#A=1', undefined],
    ['A=', ''],
  ])('%j is read as %j', (text, value) => expect(parseVars(text).get('A')).toBe(value))

  it('are passed on only when they are the Worker’s business, quoted so that nothing in them is expanded', () => {
    const lines = passedOnLines({ PATH: '/bin', OPENAI_API_KEY: 'a$b"c', OPENAI_MODEL: "it's", OPENAI_BASE_URL: '' })
    expect(lines).toBe("OPENAI_API_KEY='a\\$b\"c'\nOPENAI_MODEL=`it's`\n")
  })
})

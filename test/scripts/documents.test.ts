/** What the demo reads, what it leaves out, and what it sends of too much. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readDocuments } from '../../scripts/demo/documents.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'documents-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

function write(path: string, content: string | Uint8Array): string {
  mkdirSync(dirname(join(dir, path)), { recursive: true })
  writeFileSync(join(dir, path), content)
  return join(dir, path)
}

const read = (paths: readonly string[] = [dir], question = 'heron') => readDocuments(paths, dir, question, 900_000)

describe('documents', () => {
  it('are the text files of a folder, without binaries, packages, dot folders and other kinds', () => {
    write('a.md', 'A')
    write('sub/deep/b.ts', '// B')
    write('README', 'R')
    write('sub/image.md', new Uint8Array([0xff, 0xfe, 0x00]))
    write('zero.txt', 'a\0b')
    write('empty.md', '  \n')
    write('node_modules/c.md', 'C')
    write('.git/d.md', 'D')
    write('.env.txt', 'E')
    write('photo.jpg', 'F')
    const { documents, summary } = read()
    expect(documents.map((d) => d.path)).toEqual(['a.md', 'README', 'sub/deep/b.ts'])
    expect(summary).toBe('3 documents, 1 kB')
  })

  it('that are named are read whatever they are called', () => {
    const file = write('notes.log', 'A heron.')
    expect(read([file]).documents).toEqual([{ path: 'notes.log', text: 'A heron.', firstLine: 1 }])
  })

  it('outside of where the asker is are cited from the root', () => {
    const file = write('a.md', 'A')
    expect(readDocuments([file], join(dir, 'elsewhere'), 'q', 900_000).documents[0]?.path).toBe(file)
  })

  it('that are not there, or hold no text, are an error that names them', () => {
    expect(() => read([join(dir, 'none.md')])).toThrow('none.md')
    expect(() => read()).toThrow(`no text to read in ${dir}`)
  })

  it('too large for one message are cut to the parts that share most words with the question, which is said', () => {
    const filler = `${'Gulls cry over the grey harbour all day long.\n'.repeat(12_000)}`
    write('one.md', `${filler}The heron waits.\n${filler}`)
    write('two.md', filler)
    write('small.md', 'A heron is a bird.')
    const { documents, summary } = read()
    expect(Buffer.byteLength(JSON.stringify(documents))).toBeLessThan(1_000_000)
    expect(summary).toMatch(
      /^3 documents, 16\d\d kB\. That is more than is sent at once, so only the parts .* are: \d+ kB of/,
    )
    const part = documents.find((d) => d.path === 'one.md' && d.text.includes('heron'))
    const at = part?.text.split('\n').indexOf('The heron waits.') ?? -1
    expect((part?.firstLine ?? 0) + at).toBe(12_001)
    expect(documents.some((d) => d.path === 'small.md')).toBe(true)
  })
})

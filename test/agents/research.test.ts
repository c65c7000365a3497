/** The classical work, from question to report, over real documents: this project's own. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { agents } from '../../agents/index.ts'
import {
  analysisRequest,
  type Document,
  type Finding,
  report as reportShape,
  type Term,
} from '../../agents/research/messages.ts'
import { passagesOf } from '../../agents/research/passages.ts'
import { rank } from '../../agents/research/rank.ts'
import { extractAnswer, writeReport } from '../../agents/research/report.ts'
import { retrieve } from '../../agents/research/retrieve.ts'
import { askedWords, stem } from '../../agents/research/terms.ts'
import { runAgent, runChain } from './run-agent.ts'
import { stands } from './stands.ts'

const root = join(import.meta.dirname, '../..')

function own(folder: string, ending: string): Document[] {
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith(ending))
    .map((name) => ({ path: `${folder}/${name}`, text: readFileSync(join(root, folder, name), 'utf8'), firstLine: 1 }))
}

const documents = [...own('shared', '.ts'), ...own('workers', '.ts'), ...own('docs', '.md'), ...own('.', '.toml')]
const sourceOf = (path: string) => documents.find((d) => d.path === path)?.text ?? ''

const ask = async (question: string, over: readonly Document[] = documents) => {
  const last = await runChain(agents, { question, documents: over })
  expect(last.type).toBe('synthesis.complete')
  return reportShape.parse(last.data)
}

const book: Document[] = [
  {
    path: 'bees.md',
    firstLine: 1,
    text: '# Bees\n\nA bee hive has one queen. The queen lays eggs all summer.\n\n## Winter\n\nIn winter the bees keep the queen warm.\n',
  },
  { path: 'cats.md', firstLine: 1, text: '# Cats\n\nA cat sleeps most of the day. Cats keep warm in winter.\n' },
  { path: 'copy.md', firstLine: 1, text: 'A bee hive has one queen.\n' },
]

describe('words', () => {
  it.each([
    ['delivery deliveries delivered deliver', 'deliver'],
    ['retry retries retried retrying', 'retry'],
    ['release released releases releasing', 'releas'],
    ['drop dropped dropping drops', 'drop'],
    ['redrive redriven redrives', 'redriv'],
    ['policy policies', 'polic'],
    ['status', 'status'],
    ['queue queues queued', 'queu'],
  ])('%s meet as %s', (forms, key) => expect(new Set(forms.split(' ').map(stem))).toEqual(new Set([key])))

  it('that build a question are not asked about, and names are asked about by their parts', () => {
    expect(askedWords('What happens when an `agent_record` is deliveredLate?').map((w) => w.word)).toEqual([
      'agent',
      'record',
      'delivered',
      'late',
    ])
  })
})

describe('the report', () => {
  const questions = [
    'What happens to a message when the agent it is for is down?',
    'How are duplicates recognised?',
    'Who may read a receipt?',
    'What does a lease have to do with a token?',
    'When is a delivery released again?',
    'How many bytes may a message have?',
  ]

  it.each(questions)('says only what stands at its citation: %s', async (question) => {
    const report = await ask(question)
    expect(report.statements.length).toBeGreaterThan(1)
    for (const s of report.statements) expect(stands(s, sourceOf(s.path)), `${s.path}:${s.line} ${s.text}`).toBe(true)
    for (const s of report.statements) expect(report.markdown).toContain(`${s.text} [${s.path}:${s.line}]`)
    expect(report.markdown.match(/\[[^\s\]]+:\d+\]/g)).toHaveLength(report.statements.length)
  })

  it('draws on several files, and says nothing twice', async () => {
    const report = await ask('When is a delivery released again?')
    expect(new Set(report.statements.map((s) => s.path)).size).toBeGreaterThan(1)
    expect(new Set(report.statements.map((s) => s.text)).size).toBe(report.statements.length)
  })

  it('is written in one way: answer, findings by theme, what was not found, and how it was made', async () => {
    const report = await ask('Does a queen bee sleep in winter?', book)
    expect(report.markdown).toBe(`# Does a queen bee sleep in winter?

**Short answer.** In winter the bees keep the queen warm. [bees.md:7]

## Findings

### Cats

- A cat sleeps most of the day. [cats.md:3]

### Bees

- A bee hive has one queen. [bees.md:3]

## Not found

Nothing is missing: every word that was asked for is spoken of above.

## How this was made

Extracted without a model: 3 sentences ranked highest among 4 passages of 3 documents, quoted word for word.
`)
  })

  it('names the words of the question that no document has, and does NOT pretend to answer them', async () => {
    const report = await ask('Do bees pay taxes?', book)
    expect(report.unsupported).toEqual(['pay', 'taxes'])
    expect(report.markdown).toContain('- `taxes`: no document has this word.')
  })

  it('says so when there is nothing to say at all', async () => {
    const report = await ask('zygomorphic quasars', book)
    expect(report.statements).toEqual([])
    expect(report.markdown).toContain('The documents say nothing that answers this.')
    expect(report.unsupported).toEqual(['zygomorphic', 'quasars'])
  })

  it('tells a word that stands elsewhere from one that stands nowhere, and names what stands in for it', () => {
    const term = (word: string, more: Partial<Term>): Term => {
      return { word, stem: stem(word), weight: 1, origin: 'asked', passages: 2, ...more }
    }
    const finding: Finding = { text: 'It is offline.', path: 'a.md', line: 1, lastLine: 1, theme: 'A', score: 1 }
    const terms = [term('down', {}), term('offline', { origin: 'kin', of: 'down' })]
    const synthesis = { question: 'down?', searched: { documents: 1, passages: 3 }, terms, findings: [finding] }
    const { markdown } = writeReport({ ...synthesis, dropped: 0, notes: [] }, [], 0)
    expect(markdown).toContain('- `down`: no statement above has it; 2 passages elsewhere do.')
    expect(markdown).toContain('The statements above speak of `offline` instead.')
  })

  it('leads with the name of the row when a statement is the cell of a table', async () => {
    const text = '# Words\n\n| word | means |\n|---|---|\n| heron | A tall grey bird that stands in shallow water. |\n'
    const report = await ask('Which bird stands in water?', [{ path: 'birds.md', text, firstLine: 1 }])
    expect(report.markdown).toContain('heron, means: A tall grey bird that stands in shallow water. [birds.md:5]')
  })

  it('cites the lines of the whole file when only a part of it was sent', async () => {
    const report = await ask('Who lays eggs?', [
      { path: 'bees.md', text: 'The queen lays eggs all summer.', firstLine: 90 },
    ])
    expect(report.markdown).toContain('[bees.md:90]')
  })
})

describe('the search', () => {
  it('spreads over files (so that one long file cannot fill the list)', () => {
    const long = Array.from({ length: 60 }, (_, i) => `## Part ${i}\n\nThe heron waits, says page ${i}.`).join('\n\n')
    const passages = [
      { path: 'long.md', text: long, firstLine: 1 },
      {
        path: 'short.md',
        text: 'A heron once waited among many other birds of the long and quiet shore.',
        firstLine: 1,
      },
    ].flatMap((d) => passagesOf(d))
    const { passages: best } = retrieve('heron waits', passages)
    expect(best).toHaveLength(20)
    expect(best.some((p) => p.path === 'short.md')).toBe(true)
  })

  it('finds what is said in other words, and does NOT quote code', () => {
    const text = 'When an agent is offline its mail is parked.\n\n```\nthe agent is down\n```\n'
    const { terms, passages } = retrieve('Is it down?', passagesOf({ path: 'a.md', text, firstLine: 1 }))
    expect(rank(passages, terms).map((f) => f.text)).toEqual(['When an agent is offline its mail is parked.'])
  })

  it('does NOT quote the same sentence from two files', async () => {
    const report = await ask('How many queens has a hive?', book)
    expect(report.statements.filter((s) => s.text === 'A bee hive has one queen.')).toHaveLength(1)
  })

  it('does NOT quote what only shares words with other answers', () => {
    const text = 'The shore is long and quiet at dusk.\n\nThe heron waits at dusk.\n'
    const passages = passagesOf({ path: 'a.md', text, firstLine: 1 }).map((p) => ({ ...p, score: 1 }))
    const term = (word: string, origin: Term['origin']): Term => ({
      word,
      stem: stem(word),
      weight: 1,
      origin,
      passages: 1,
    })
    const terms = [term('heron', 'asked'), term('shore', 'added'), term('quiet', 'added'), term('dusk', 'added')]
    expect(rank(passages, terms).map((f) => f.text)).toEqual(['The heron waits at dusk.'])
  })

  it('takes seconds at most over a whole message of documents', async () => {
    const words = documents.map((d) => d.text).join('\n')
    const text = words.repeat(Math.ceil(900_000 / words.length)).slice(0, 900_000)
    const startedAt = performance.now()
    await runAgent(agents[0]!, { question: 'What is a lease?', documents: [{ path: 'all.ts', text }] })
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  })

  it('hands on what fits a message and a workflow, in any script', async () => {
    const long = `# Of leases\n\n${Array.from({ length: 400 }, (_, i) => `lease ${i} ${'租约'.repeat(1_500)}\n\n`).join('')}`
    for (const over of [documents, [{ path: 'long.md', firstLine: 1, text: long }]]) {
      const { published } = await runAgent(agents[0]!, { question: 'What is a lease?', documents: over })
      expect(Buffer.byteLength(JSON.stringify(published))).toBeLessThan(200_000)
      const { passages } = analysisRequest.parse(published[0]?.data)
      expect(passages.length).toBeGreaterThan(5)
      expect(passages.length).toBeLessThanOrEqual(20)
    }
  })
})

describe('the answer', () => {
  it('is chosen for what each sentence adds, and stays short', () => {
    const term = (word: string): Term => ({ word, stem: stem(word), weight: 1, origin: 'asked', passages: 1 })
    const say = (text: string, score: number): Finding => ({
      text,
      path: 'a.md',
      line: 1,
      lastLine: 1,
      theme: 'A',
      score,
    })
    const findings = [say('The queen lays eggs.', 1), say('The queen is big.', 0.9), say('A drone sleeps.', 0.8)]
    const answer = extractAnswer({ findings, terms: ['queen', 'eggs', 'drone'].map(term) })
    expect(answer.map((a) => a.text).slice(0, 2)).toEqual(['The queen lays eggs.', 'A drone sleeps.'])
  })
})

describe('the agents', () => {
  it.each([
    ['researcher', 'research.complete'],
    ['analyst', 'analysis.complete'],
    ['synthesizer', 'synthesis.complete'],
  ])('%s answers whoever asked with %s, and tells it to whoever listens where nobody did', async (name, event) => {
    const at = agents.findIndex((agent) => agent.name === name)
    const { data } = await runChain(agents.slice(0, at), { question: 'What is a queen?', documents: book })
    const asked = await runAgent(agents[at]!, data, { replyto: 'desk' })
    const alone = await runAgent(agents[at]!, data)
    expect([asked.reply?.type, asked.published, asked.sent]).toEqual([event, [], []])
    expect([alone.published[0]?.topic, alone.published[0]?.type, alone.reply]).toEqual([event, event, null])
    expect(alone.published[0]?.data).toEqual(asked.reply?.data)
  })

  it('leave the report as a result where nobody waits', async () => {
    const { data } = await runChain(agents.slice(0, 2), { question: 'What is a queen?', documents: book })
    expect(reportShape.parse((await runAgent(agents[2]!, data)).result).markdown).toContain('A bee hive has one queen.')
    expect((await runAgent(agents[2]!, data, { replyto: 'desk' })).result).toMatchObject({ unsupported: [] })
  })

  it('refuse what is no question or has no documents', () => {
    const [researcher] = agents
    expect(researcher?.accepts.safeParse({ question: '', documents: book }).success).toBe(false)
    expect(researcher?.accepts.safeParse({ question: 'What?', documents: [] }).success).toBe(false)
    expect(researcher?.accepts.safeParse({ question: 'What?', documents: [{ path: 'a' }] }).success).toBe(false)
  })
})

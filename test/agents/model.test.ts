/** The same agents with a model, against a peer that speaks its API and goes wrong as providers do. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { agents } from '../../agents/index.ts'
import { modelFrom, UnusableAnswer } from '../../agents/model.ts'
import { isSupported, locate } from '../../agents/research/citations.ts'
import { type Document, type Finding, type Passage, report as reportShape } from '../../agents/research/messages.ts'
import { TerminalError } from '../../workers/define.ts'
import { type FakeModel, startFakeModel, wellBehaved } from './fake-model.ts'
import { type Circumstances, runAgent, runChain } from './run-agent.ts'
import { stands } from './stands.ts'

const text =
  '# Bees\n\n- A hive has one queen.\n- The queen lays up to 2000 eggs\n  each day.\n\n## Winter\n\nThe queen is kept warm in winter.\n'
const documents: Document[] = [{ path: 'bees.md', text, firstLine: 1 }]
const question = 'How many queens has a hive, and what does a queen do?'
const key = 'sk-test-0123456789'

let fake: FakeModel
beforeAll(async () => {
  fake = await startFakeModel(wellBehaved)
})
afterAll(() => fake.close())

const env = () => ({ OPENAI_BASE_URL: fake.url, OPENAI_API_KEY: key, OPENAI_MODEL: 'test-model' })
const asked = async (around: Circumstances = {}) => {
  const last = await runChain(agents, { question, documents }, { env: env(), ...around })
  return reportShape.parse(last.data)
}
const analysis = async () => (await runAgent(agents[0]!, { question, documents })).published[0]?.data
const analyse = async (around: Circumstances = {}) => runAgent(agents[1]!, await analysis(), { env: env(), ...around })

describe('with a model', () => {
  it('the report is the model’s, every quotation looked up, every sentence of the answer cited', async () => {
    fake.behave = wellBehaved
    fake.seen.length = 0
    const report = await asked()
    expect(report.markdown).toContain('Written with the model test-model')
    expect(report.dropped).toBe(0)
    expect(report.statements).toHaveLength(2)
    for (const s of report.statements) expect(stands(s, text), s.text).toBe(true)
    expect(fake.seen.map((s) => [s.path, s.model, s.authorization])).toEqual([
      ['/v1/chat/completions', 'test-model', `Bearer ${key}`],
      ['/v1/chat/completions', 'test-model', `Bearer ${key}`],
    ])
  })

  it('a quotation that stands nowhere is dropped and counted, and a wrong passage number does not help it', async () => {
    fake.behave = (prompt) => {
      if (!prompt.includes('"quote"')) return wellBehaved(prompt)
      const quotes = [
        'A hive has one queen.',
        'A hive has two queens, at least.',
        'The queen lays up to 2000 eggs each day.',
      ]
      return { kind: 'json', answer: { findings: quotes.map((quote) => ({ passage: 1, quote, theme: 'T' })) } }
    }
    const report = await asked()
    expect(report.dropped).toBe(1)
    expect(report.markdown).not.toContain('two queens')
    expect(report.markdown).toContain('1 statement of the model left out: the citation did not hold.')
    expect(report.statements.map((s) => `${s.line}-${s.lastLine}`)).toEqual(['3-3', '4-5'])
    fake.behave = () => ({
      kind: 'json',
      answer: { findings: [{ passage: 9, quote: 'A hive has one queen.', theme: '' }] },
    })
    expect((await analyse()).result).toMatchObject({ findings: 0, dropped: 1 })
  })

  it('a sentence of the answer that says more than its findings is dropped, and its paraphrase is not', async () => {
    fake.behave = (prompt) => {
      if (prompt.includes('"quote"')) return wellBehaved(prompt)
      const answer = [
        { text: 'One queen lives in each hive.', findings: [1] },
        { text: 'Wasps build paper nests under roofs and attack passing tourists.', findings: [1] },
        { text: 'A hive has 7 queens.', findings: [1] },
        { text: 'A hive has one queen.', findings: [] },
        { text: 'A hive has one queen.', findings: [1, 99] },
      ]
      return { kind: 'json', answer: { answer } }
    }
    const report = await asked()
    expect(report.dropped).toBe(4)
    expect(report.markdown).toContain('### Said outright')
    expect(report.markdown).toContain('**Short answer.** One queen lives in each hive. [bees.md:3]')
    expect(report.statements[0]).toEqual({
      text: 'One queen lives in each hive.',
      quote: 'A hive has one queen.',
      path: 'bees.md',
      line: 3,
      lastLine: 3,
    })
  })

  it('the answer is quoted when nothing of the model’s can be kept', async () => {
    fake.behave = (prompt) =>
      prompt.includes('"quote"')
        ? wellBehaved(prompt)
        : { kind: 'json', answer: { answer: [{ text: 'Wasps sting.', findings: [1] }] } }
    const report = await asked()
    expect(report.dropped).toBe(1)
    expect(report.markdown).toContain('The short answer is quoted')
    expect(report.statements.every((s) => s.quote === undefined)).toBe(true)
  })

  it('takes an answer in a code fence, as models without a JSON mode give it', async () => {
    fake.behave = (prompt) => {
      const good = wellBehaved(prompt)
      return good.kind === 'json'
        ? { kind: 'text', content: `\`\`\`json\n${JSON.stringify(good.answer)}\n\`\`\`` }
        : good
    }
    expect((await asked()).markdown).toContain('Written with the model')
  })
})

describe('a model that goes wrong', () => {
  it.each([
    ['prose', { kind: 'text', content: 'Sure! Here are your findings.' }, 'not the shape asked for'],
    ['another shape', { kind: 'json', answer: { findings: 'all of them' } }, 'not the shape asked for'],
    ['something that is no completion', { kind: 'garbage' }, 'no chat completion'],
    ['half an answer', { kind: 'cut' }, 'ran out of room'],
  ] as const)(
    'by answering %s is tried again, and at the last try done without, which is said',
    async (_, behaviour, reason) => {
      fake.behave = () => behaviour
      const error = await analyse().catch((e: unknown) => e)
      expect(error).toBeInstanceOf(UnusableAnswer)
      expect(String(error)).toContain(reason)
      const report = await asked({ isLast: true })
      expect(report.markdown).toContain('The findings were ranked without the model')
      for (const s of report.statements) expect(stands(s, text), s.text).toBe(true)
    },
  )

  it('by 429 is tried again (and the error says how long it asks to wait)', async () => {
    fake.behave = () => ({ kind: 'refuse', status: 429, retryAfter: '20' })
    const error = await analyse().catch((e: unknown) => e)
    expect(error).not.toBeInstanceOf(TerminalError)
    expect(String(error)).toMatch(/429: too many requests and asks to wait 20 s; this will be tried again/)
    // A busy provider is no reason to answer without it, even at the last try: the dead letter can be redriven.
    await expect(analyse({ isLast: true })).rejects.toThrow('429')
  })

  it.each([500, 502, 503, 408])('by %d is tried again', async (status) => {
    fake.behave = () => ({ kind: 'refuse', status })
    const error = await analyse().catch((e: unknown) => e)
    expect(error).not.toBeInstanceOf(TerminalError)
    expect(String(error)).toContain(`answered ${status}; this will be tried again`)
  })

  it.each([
    [400, 'Check OPENAI_MODEL'],
    [401, 'OPENAI_API_KEY'],
    [403, 'OPENAI_API_KEY'],
    [404, 'OPENAI_BASE_URL ends in /v1'],
  ])('by %d ends the message with advice (because trying again cannot help)', async (status, advice) => {
    fake.behave = () => ({ kind: 'refuse', status })
    const error = await analyse().catch((e: unknown) => e)
    expect(error).toBeInstanceOf(TerminalError)
    expect(String(error)).toContain(advice)
  })

  it('never has its key repeated in an error, even when it repeats it itself', async () => {
    fake.behave = () => ({ kind: 'refuse', status: 401, echoKey: true })
    const error = await analyse().catch((e: unknown) => e)
    expect(String(error)).toContain('Incorrect key: Bearer (key)')
    expect(String(error)).not.toContain(key)
  })

  it('by silence ends at the deadline, which the error names', async () => {
    const deadline = new AbortController()
    fake.behave = () => {
      deadline.abort()
      return { kind: 'hang' }
    }
    await expect(analyse({ signal: deadline.signal })).rejects.toThrow('did not answer before the deadline')
  })

  it('by not being there is tried again', async () => {
    const gone = await startFakeModel(wellBehaved)
    await gone.close()
    const error = await analyse({ env: { ...env(), OPENAI_BASE_URL: gone.url } }).catch((e: unknown) => e)
    expect(error).not.toBeInstanceOf(TerminalError)
    expect(String(error)).toContain('could not be reached')
  })
})

describe('the variables', () => {
  it('name a model only when base URL and key are both set', () => {
    expect(modelFrom({})).toBeUndefined()
    expect(modelFrom({ OPENAI_API_KEY: key })).toBeUndefined()
    expect(modelFrom({ OPENAI_BASE_URL: 'http://x', OPENAI_API_KEY: '' })).toBeUndefined()
    expect(modelFrom({ OPENAI_BASE_URL: 'http://x', OPENAI_API_KEY: key, OPENAI_MODEL: '' })?.name).toBe('gpt-5-mini')
  })

  it('that are no URL end the message and say what one looks like', () => {
    expect(() => modelFrom({ OPENAI_BASE_URL: 'api.openai.com', OPENAI_API_KEY: key })).toThrow(TerminalError)
    expect(() => modelFrom({ OPENAI_BASE_URL: 'ftp://x', OPENAI_API_KEY: key })).toThrow('https://api.openai.com/v1')
  })
})

describe('a citation', () => {
  const passage: Passage = {
    path: 'a.md',
    first: 10,
    last: 12,
    kind: 'prose',
    heading: '',
    section: '',
    score: 1,
    text: '- The queue carries\n  what is released, and\n- nothing else at all.',
  }

  it('is found across lines, whatever the white space, and told its own lines', () => {
    expect(locate('“queue carries what  is released”', passage)).toEqual({
      text: 'queue carries what is released',
      line: 10,
      lastLine: 11,
    })
  })

  it('from a table is what one of its cells says', () => {
    const text = '| **M2** | Done once, and never again. | `a.test.ts` |'
    const row: Passage = { ...passage, kind: 'table', first: 7, last: 7, text }
    expect(locate('| **M2** | Done once, and never again. |', row)).toEqual({
      text: 'Done once, and never again.',
      line: 7,
      lastLine: 7,
    })
  })

  it.each(['the queue loses what is released', 'queue', ''])('is NOT found for %j', (quote) => {
    expect(locate(quote, passage)).toBeUndefined()
  })

  it('bears out no number and no name that it does not have', () => {
    const finding: Finding = { text: 'At most 4 wait in `held`.', path: 'a', line: 1, lastLine: 1, theme: '', score: 1 }
    expect(isSupported('At most 4 wait.', [finding], [])).toBe(true)
    expect(isSupported('At most 40 wait.', [finding], [])).toBe(false)
    expect(isSupported('At most 4 wait.', [{ ...finding, text: 'At most 40 wait.' }], [])).toBe(false)
    expect(isSupported('They wait in `parked`.', [finding], [])).toBe(false)
  })
})

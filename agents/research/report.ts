/**
 * Writes the report: title, short answer, findings by theme, what was not found, and how it was made. Every statement is
 * followed by its citation `[path:line]`. Never here: choosing the findings (rank.ts, or a model).
 */
import type { Finding, Report, Statement, Synthesis, Term } from './messages.ts'
import { stems } from './terms.ts'

/** One sentence of the short answer, with the findings it rests on. */
export interface Answer {
  readonly text: string
  readonly cited: readonly Finding[]
}

/** The short answer without a model: up to three findings, each for the asked words that it adds. */
export function extractAnswer({ findings, terms }: Pick<Synthesis, 'findings' | 'terms'>): Answer[] {
  const top = Math.max(...findings.map((f) => f.score), 0)
  const rest = findings.filter((f) => f.score >= top * 0.5)
  const chosen: Finding[] = []
  const spoken = new Set<string>()
  while (chosen.length < 3 && rest.length > 0) {
    const gain = rest.map((f) => f.score / top + 2 * news(f, terms, spoken))
    const [next] = rest.splice(gain.indexOf(Math.max(...gain)), 1)
    if (next === undefined) break
    if (chosen.length > 0 && [...chosen, next].map((f) => f.text).join(' ').length > 500) continue
    chosen.push(next)
    for (const key of spokenOf(next, terms)) spoken.add(key)
  }
  return chosen.map((f) => ({ text: f.text, cited: [f] }))
}

function news(finding: Finding, terms: readonly Term[], spoken: ReadonlySet<string>): number {
  const total = terms.reduce((sum, t) => sum + t.weight, 0) || 1
  const fresh = spokenOf(finding, terms).filter((key) => !spoken.has(key))
  return terms.filter((t) => fresh.includes(t.stem)).reduce((sum, t) => sum + t.weight, 0) / total
}

function spokenOf(finding: Finding, terms: readonly Term[]): string[] {
  const own = new Set(stems(`${finding.label ?? ''} ${finding.text}`))
  return terms.filter((t) => own.has(t.stem)).map((t) => t.stem)
}

export function writeReport(synthesis: Synthesis, answer: readonly Answer[], dropped: number): Report {
  const { question, findings } = synthesis
  const quoted = new Set(answer.filter((a) => a.cited.some((f) => f.text === a.text)).flatMap((a) => a.cited))
  const further = findings.filter((f) => !quoted.has(f))
  const missing = missingOf(synthesis)
  const sections = [
    `# ${question}`,
    answerSection(answer),
    further.length === 0 ? '' : `## Findings\n\n${groups(further).map(groupSection).join('\n\n')}`,
    `## Not found\n\n${missing.lines.join('\n')}`,
    `## How this was made\n\n${method(synthesis, dropped)}`,
  ]
  return {
    question,
    markdown: `${sections.filter((s) => s !== '').join('\n\n')}\n`,
    statements: [...answer.flatMap(answerStatements), ...further.map(quotation)],
    unsupported: missing.words,
    dropped,
  }
}

const cite = (f: Finding) => `[${f.path}:${f.line}]`
const quotation = ({ text, path, line, lastLine }: Finding): Statement => ({ text, path, line, lastLine })

function answerStatements({ text, cited }: Answer): Statement[] {
  return cited.map((f) => (f.text === text ? quotation(f) : { ...quotation(f), text, quote: f.text }))
}

function answerSection(answer: readonly Answer[]): string {
  if (answer.length === 0) return '**Short answer.** The documents say nothing that answers this.'
  return `**Short answer.** ${answer.map((a) => `${lead(a)}${a.text} ${a.cited.map(cite).join(' ')}`).join(' ')}`
}

// A cell of a table says little without the name of its row.
function lead({ text, cited }: Answer): string {
  const [only] = cited
  return only?.label !== undefined && only.text === text ? `${only.label}: ` : ''
}

interface Group {
  readonly theme: string
  readonly findings: readonly Finding[]
}

/** By theme, the theme of the best finding first; within one by file and line, as a reader would meet them. */
function groups(findings: readonly Finding[]): Group[] {
  const byTheme = new Map<string, Finding[]>()
  for (const f of findings) {
    const theme = f.theme || f.path
    byTheme.set(theme, [...(byTheme.get(theme) ?? []), f])
  }
  return [...byTheme]
    .map(([theme, all]) => ({
      theme,
      best: Math.max(...all.map((f) => f.score)),
      findings: all.toSorted((a, b) => a.path.localeCompare(b.path) || a.line - b.line),
    }))
    .sort((a, b) => b.best - a.best)
}

function groupSection({ theme, findings }: Group): string {
  const items = findings.map((f) => `- ${f.label === undefined ? '' : `${f.label}: `}${f.text} ${cite(f)}`)
  return `### ${theme}\n\n${items.join('\n')}`
}

/** Says word by word what of the question nothing cited speaks of, and whether the documents do at all. */
function missingOf({ terms, findings }: Synthesis): { lines: string[]; words: string[] } {
  const spoken = new Set(findings.flatMap((f) => stems(`${f.theme} ${f.label ?? ''} ${f.text}`)))
  const missing = terms.filter((t) => t.origin === 'asked' && !spoken.has(t.stem))
  const lines = missing.map((t) => {
    const instead = terms.filter((k) => k.of === t.stem && spoken.has(k.stem)).map((k) => `\`${k.word}\``)
    const nearest = instead.length === 0 ? '' : ` The statements above speak of ${instead.join(', ')} instead.`
    return t.passages === 0
      ? `- \`${t.word}\`: no document has this word.${nearest}`
      : `- \`${t.word}\`: no statement above has it; ${plural(t.passages, 'passage')} elsewhere ${t.passages === 1 ? 'does' : 'do'}.${nearest}`
  })
  return {
    lines: lines.length > 0 ? lines : ['Nothing is missing: every word that was asked for is spoken of above.'],
    words: missing.map((t) => t.word),
  }
}

function method({ searched, findings, model, notes }: Synthesis, dropped: number): string {
  const from = `${plural(searched.passages, 'passage')} of ${plural(searched.documents, 'document')}`
  const extracted =
    findings.length === 0
      ? `No sentence among ${from} speaks of it.`
      : `${plural(findings.length, 'sentence')} ranked highest among ${from}, quoted word for word.`
  const how =
    model === undefined
      ? `Extracted without a model: ${extracted}`
      : `Written with the model ${model} from ${plural(findings.length, 'quotation')} out of ${from}; each quotation was checked against its source.`
  const left =
    dropped === 0 ? [] : [`${plural(dropped, 'statement')} of the model left out: the citation did not hold.`]
  return [how, ...left, ...notes].join(' ')
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

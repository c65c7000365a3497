/**
 * docs/patterns.md as a test reads it: its sections, the calls and handlers in their blocks, and whether an answer is the one that
 * the page shows. Never here: calling anything (test/system/patterns.test.ts).
 */

// --- the page ---------------------------------------------------------------------------------------------------------

export interface Block {
  readonly kind: string
  readonly text: string
}

export interface Section {
  readonly title: string
  readonly text: string
  readonly blocks: readonly Block[]
}

/** What stands before the first `## ` has the title ''. */
export function sectionsOf(page: string): readonly Section[] {
  return page.split(/^## /m).map((text, at) => ({
    title: at === 0 ? '' : text.slice(0, text.indexOf('\n')).trim(),
    text,
    blocks: [...text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(([, kind = '', inside = '']) => ({
      kind: kind.trim(),
      text: inside,
    })),
  }))
}

export const linesOf = (block: Block): number => block.text.split('\n').filter((line) => line.trim() !== '').length

// --- the calls --------------------------------------------------------------------------------------------------------

export type Step =
  | {
      readonly kind: 'call'
      readonly method: string
      readonly path: string
      readonly headers: Readonly<Record<string, string>>
      readonly body: string | undefined
      readonly answer: { readonly status: number; readonly body: unknown } | undefined
    }
  /** What a webhook answers from here on. */
  | {
      readonly kind: 'webhook'
      readonly path: string
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      readonly body: string | undefined
    }
  /** What a webhook got. */
  | { readonly kind: 'got'; readonly path: string; readonly body: unknown }

/** Throws at the first line that is not of this form. */
export function stepsOf(text: string): readonly Step[] {
  const steps: Step[] = []
  for (const line of wholeLines(text)) {
    const [, status, shown] = /^→ (\d{3})(?:\s+(\S.*))?$/.exec(line) ?? []
    if (status === undefined) {
      steps.push(stepOf(line))
      continue
    }
    const last = steps.pop()
    if (last?.kind !== 'call' || last.answer !== undefined) throw new Error(`an answer to nothing: ${line}`)
    steps.push({ ...last, answer: { status: Number(status), body: patternOf(shown) } })
  }
  return steps
}

/** An indented line goes on with the one before it. */
function wholeLines(text: string): string[] {
  const joined = text.replaceAll(/\n\s+(?=\S)/g, ' ')
  return joined.split('\n').filter((line) => line.trim() !== '')
}

function stepOf(line: string): Step {
  const [, got, pattern] = /^← (\/\S*)\s+(\S.*)$/.exec(line) ?? []
  if (got !== undefined) return { kind: 'got', path: got, body: patternOf(pattern) }
  const [, method, path, rest = ''] = /^(GET|PUT|POST|PATCH|DELETE|WEBHOOK) (\S+)(.*)$/.exec(line) ?? []
  if (method === undefined || path === undefined) throw new Error(`neither a call nor an answer: ${line}`)
  if (method !== 'WEBHOOK') return { kind: 'call', method, path, ...partsOf(rest), answer: undefined }
  const [, status, more = ''] = /^\s+(\d{3})(.*)$/.exec(rest) ?? []
  if (status === undefined) throw new Error(`a webhook without a status: ${line}`)
  return { kind: 'webhook', path, status: Number(status), ...partsOf(more) }
}

/** Headers and a body, each with two spaces before it. */
function partsOf(rest: string): { headers: Record<string, string>; body: string | undefined } {
  const headers: Record<string, string> = {}
  let left = rest
  for (;;) {
    const [whole, name, value] = /^ {2,}([A-Za-z-]+): (.*?)(?= {2}|$)/.exec(left) ?? []
    if (whole === undefined || name === undefined || value === undefined) break
    headers[name] = value
    left = left.slice(whole.length)
  }
  const body = left.trim()
  return { headers, body: body === '' ? undefined : body }
}

/** The text with every `{name}` that is known in its place. Throws at one that is not. */
export function filled(text: string, known: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\{([a-z]\w*)\}/gi, (_, name: string) => {
    const value = known.get(name)
    if (value === undefined) throw new Error(`{${name}} is not known yet in: ${text}`)
    return value
  })
}

// --- the answers ------------------------------------------------------------------------------------------------------

const rest = '…'
const absent = '(absent)'

function patternOf(shown: string | undefined): unknown {
  if (shown === undefined) return undefined
  // Between two parts of an array it stands for any number of them; within a text it is a text.
  return JSON.parse(shown.replaceAll(/(?<=[[,]\s*)…(?=\s*[\],])/g, JSON.stringify(rest)))
}

/**
 * Why the answer is not what the page shows; undefined when it is. An object may have more members than are shown, an array has
 * those shown and no others but where `…` stands; `(absent)` is not there. A text `{name}` is any text, and from then on that one: what is new is put into
 * `known`, also when the rest does not fit.
 */
export function difference(
  shown: unknown,
  actual: unknown,
  known: Map<string, string>,
  where = 'the answer',
): string | undefined {
  if (shown === absent) return actual === undefined ? undefined : said(where, shown, actual)
  if (typeof shown === 'string') return textDifference(shown, actual, known, where)
  if (Array.isArray(shown)) return arrayDifference(shown, actual, known, where)
  if (typeof shown !== 'object' || shown === null) return shown === actual ? undefined : said(where, shown, actual)
  if (typeof actual !== 'object' || actual === null || Array.isArray(actual)) return said(where, shown, actual)
  for (const [name, part] of Object.entries(shown)) {
    const wrong = difference(part, (actual as Record<string, unknown>)[name], known, `${where}.${name}`)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

function textDifference(shown: string, actual: unknown, known: Map<string, string>, where: string): string | undefined {
  const [, name] = /^\{([a-z]\w*)\}$/i.exec(shown) ?? []
  if (name === undefined || known.has(name))
    return filled(shown, known) === actual ? undefined : said(where, filled(shown, known), actual)
  if (typeof actual !== 'string') return said(where, 'a text', actual)
  known.set(name, actual)
  return undefined
}

function arrayDifference(
  shown: readonly unknown[],
  actual: unknown,
  known: Map<string, string>,
  where: string,
): string | undefined {
  if (!Array.isArray(actual)) return said(where, shown, actual)
  const gap = shown.indexOf(rest)
  const [head, tail] = gap === -1 ? [shown, []] : [shown.slice(0, gap), shown.slice(gap + 1)]
  const enough = head.length + tail.length
  if (gap === -1 ? actual.length !== enough : actual.length < enough) return said(where, shown, actual)
  const pairs = [
    ...head.map((part, at) => [part, at] as const),
    ...tail.map((part, at) => [part, actual.length - tail.length + at] as const),
  ]
  for (const [part, at] of pairs) {
    const wrong = difference(part, actual[at], known, `${where}[${at}]`)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

const said = (where: string, shown: unknown, actual: unknown) =>
  `${where} is ${JSON.stringify(actual)}, and the page shows ${JSON.stringify(shown)}`

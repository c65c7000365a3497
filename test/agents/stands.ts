/**
 * Looks a statement up in its source without any of the code that made it: the cited lines, less the marks before their
 * words, must hold the text word for word, and it must begin on the first of them. Never here: the agents' own code.
 */

export interface Cited {
  readonly text: string
  readonly path: string
  readonly line: number
  readonly lastLine: number
  readonly quote?: string | undefined
}

export function stands(statement: Cited, source: string): boolean {
  const lines = source.split(/\r\n|\n|\r/).slice(statement.line - 1, statement.lastLine)
  const text = statement.quote ?? statement.text
  const isThere = squeeze(lines).includes(text)
  const beginsThere = lines.length === 1 || !squeeze(lines.slice(1)).includes(text)
  return isThere && beginsThere
}

function squeeze(lines: readonly string[]): string {
  const own = lines.map((line) => line.replace(/^\s*(?:(?:>|[-*+]|\/\/+|\/\*+|#+|\d+[.)])\s+)*/, '').trim())
  return own.join(' ').replace(/\s+/g, ' ')
}

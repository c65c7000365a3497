/**
 * The demo's output for a terminal: lines of at most `width` columns, no colour. Never here: deciding what to show.
 */
import type { Receipt } from './client.ts'
import type { Change } from './follow.ts'

export function widthOf(columns: number | undefined): number {
  return Math.max(60, Math.min(100, columns ?? 100))
}

/** Breaks a text at spaces; later lines are indented. A word longer than a line stays whole, so that it can be copied. */
export function wrap(text: string, width: number, indent = ''): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const room = lines.length === 0 ? width : width - indent.length
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].map((l, i) => (i === 0 ? l : indent + l)).join('\n')
}

/** Markdown stays Markdown, wrapped. */
export function markdownPage(markdown: string, width: number): string {
  return markdown
    .split('\n')
    .map((line) => (line.startsWith('#') ? line : wrap(line, width, line.startsWith('- ') ? '  ' : '')))
    .join('\n')
}

export function title(text: string, width: number): string {
  return `── ${text} ${'─'.repeat(Math.max(3, width - text.length - 4))}`
}

export function changeLine({ at, type, agent, status, detail }: Change, width: number): string {
  const start = `${clock(at)}  ${type.padEnd(18)} ${agent.padEnd(12)} ${status}`
  return detail === undefined ? start : wrap(`${start} (${detail})`, width, ' '.repeat(14))
}

export function receiptPage(receipts: readonly Receipt[], width: number): string {
  return receipts.map((receipt) => onePage(receipt, width)).join('\n\n')
}

function onePage({ id, agent, message, status, attempts, steps }: Receipt, width: number): string {
  const tries = `${attempts.length} attempt${attempts.length === 1 ? '' : 's'}`
  const begin = Date.parse(steps[0]?.at ?? '')
  const times = steps.map(({ step, at }, i) =>
    i === 0 ? `${step} ${clock(at)}` : `${step} +${((Date.parse(at) - begin) / 1_000).toFixed(3)}`,
  )
  return [
    `${message.type}  ${message.source} → ${agent}  ${status}, ${tries}`,
    `  ${id}`,
    // The parts stay whole when the line is broken.
    `  ${wrap(times.map((t) => t.replaceAll(' ', '\u00a0')).join(' · '), width - 2, '  ').replaceAll('\u00a0', ' ')}`,
  ].join('\n')
}

function clock(at: string): string {
  const date = new Date(at)
  const two = (n: number) => String(n).padStart(2, '0')
  const ms = String(date.getMilliseconds()).padStart(3, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`
}

/**
 * The demo's output for a terminal: lines of at most `width` columns, no colour. Never here: deciding what to show.
 */
import type { BreakerSeen, HistoryEntry, Receipt } from './answers.ts'
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

/** The states in the order in which they were entered: when, how long after the one before, and what led there. */
export function pathPage(entries: readonly HistoryEntry[]): string {
  const moves = entries.flatMap(({ at, by, path }) => path.map((move) => ({ at, by, ...move })))
  return moves
    .map(({ at, by, to, event }, i) => {
      const after = `+${seconds(moves[i - 1]?.at ?? at, at)}`
      const because = event === '' || event === 'xstate.init' ? '' : `  ${event}, of ${by}`
      return `${clock(at)}  ${String(to).padEnd(20)} ${after}${because}`
    })
    .join('\n')
}

export function breakerPage(history: BreakerSeen['history']): string {
  return history.map(({ at, from, to, cause }) => `${clock(at)}  ${from} → ${to}  ${cause}`).join('\n')
}

/** Deliveries that were seen parked, as they are now: how they ended, with how many attempts, how long after they were accepted. */
export function parkedPage(receipts: readonly Receipt[]): string {
  const lines = receipts.map(({ id, status, steps, attempts }) => {
    const [begin, end] = [steps[0]?.at ?? '', steps.at(-1)?.at ?? '']
    return `${id}  ${status} after ${seconds(begin, end)} s, ${count(attempts.length, 'attempt')}`
  })
  return [...lines, `parked ${receipts.length}`].join('\n')
}

const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? '' : 's'}`
const seconds = (from: string, to: string) => ((Date.parse(to) - Date.parse(from)) / 1_000).toFixed(3)

export function receiptPage(receipts: readonly Receipt[], width: number): string {
  return receipts.map((receipt) => onePage(receipt, width)).join('\n\n')
}

function onePage({ id, agent, message, status, attempts, steps }: Receipt, width: number): string {
  const tries = count(attempts.length, 'attempt')
  const begin = steps[0]?.at ?? ''
  const times = steps.map(({ step, at }, i) => (i === 0 ? `${step} ${clock(at)}` : `${step} +${seconds(begin, at)}`))
  return [
    `${message.type}  ${message.source} → ${agent}  ${status}, ${tries}`,
    `  ${id}`,
    // The parts stay whole when the line is broken.
    `  ${wrap(times.map((t) => t.replaceAll(' ', '\u00a0')).join(' · '), width - 2, '  ').replaceAll('\u00a0', ' ')}`,
  ].join('\n')
}

export function clock(at: string): string {
  const date = new Date(at)
  const two = (n: number) => String(n).padStart(2, '0')
  const ms = String(date.getMilliseconds()).padStart(3, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`
}

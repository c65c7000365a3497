/**
 * What every form of the demo works on and prints with. Never here: how the work is done.
 */
import type { Document } from '../../agents/research/messages.ts'
import type { Client } from './client.ts'
import type { Change } from './follow.ts'
import { changeLine, markdownPage, title, wrap } from './page.ts'

export interface Job {
  readonly question: string
  readonly documents: readonly Document[]
  /** Who analyses, if it is not `analyst`. */
  readonly analyst?: string
}

export interface Page {
  readonly width: number
  print(text: string): void
  heading(text: string): void
  /** A paragraph, broken into lines. */
  say(text: string, indent?: string): void
  tell(change: Change): void
  report(markdown: string): void
}

export function pageOf(width: number, print: (text: string) => void): Page {
  const heading = (text: string) => print(`\n${title(text, width)}\n`)
  return {
    width,
    print,
    heading,
    say: (text, indent = '') => print(wrap(text, width, indent)),
    tell: (change) => print(changeLine(change, width)),
    report: (markdown) => {
      heading('Report')
      print(markdownPage(markdown, width))
    },
  }
}

/** One way of doing the job on a platform. It prints what it does, and gives the report. */
export type Pattern = (around: {
  readonly client: Client
  readonly job: Job
  readonly page: Page
  readonly signal: AbortSignal
  /** What a model is found by: for agents that run in this process. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** A platform of the demo's own can call back to this machine. */
  readonly ownPlatform: boolean
}) => Promise<{ readonly markdown: string }>

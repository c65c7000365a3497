/**
 * What the three research agents are asked and tell: a question with documents, passages (`research.complete`), findings
 * (`analysis.complete`), and the report (`synthesis.complete`). Never here: how any of it is found (the other files of this folder), or who sends it (agents/*.ts).
 */
import * as z from 'zod'

const line = z.int().min(1)

export const document = z.object({
  /** As it will be cited. */
  path: z.string().min(1).max(1_024),
  text: z.string(),
  /** For a part of a larger file: the number of the part's first line in that file. */
  firstLine: line.default(1),
})
export type Document = z.infer<typeof document>

const question = z.string().trim().min(3).max(2_000)

export const researchRequest = z.object({ question, documents: z.array(document).min(1).max(5_000) })

/** Whole source lines `first` to `last` of a file (of a very long line, a piece), with the headings above them. */
export const passage = z.object({
  path: z.string(),
  first: line,
  last: line,
  /** `code` is searched, and shown to a model, but never quoted by the extractive work. */
  kind: z.enum(['prose', 'table', 'code']),
  /** The nearest heading, and the chapter it stands in. */
  heading: z.string(),
  section: z.string(),
  /** Of table rows: what their columns are called. A cell under `never` says the opposite of what it says. */
  columns: z.array(z.string()).optional(),
  text: z.string(),
  score: z.number(),
})
export type Passage = z.infer<typeof passage>

/**
 * A word that was looked for: one that was `asked`, `kin` that may stand in for such a one (`of`, its stem), or one `added`
 * because the first answers have it in common.
 */
export const term = z.object({
  word: z.string(),
  stem: z.string(),
  weight: z.number(),
  origin: z.enum(['asked', 'kin', 'added']),
  of: z.string().optional(),
  /** How many passages of all documents have it. */
  passages: z.int(),
})
export type Term = z.infer<typeof term>

export const searched = z.object({ documents: z.int(), passages: z.int() })

export const analysisRequest = z.object({
  question,
  searched,
  terms: z.array(term),
  passages: z.array(passage),
})
export type Analysis = z.infer<typeof analysisRequest>

/** A quotation: `text` stands in `path` at lines `line` to `lastLine`, word for word. */
export const finding = z.object({
  text: z.string(),
  path: z.string(),
  line,
  lastLine: line,
  /** Of a table's cell: the name of its row and of its column, without which it says little. */
  label: z.string().optional(),
  theme: z.string(),
  score: z.number(),
})
export type Finding = z.infer<typeof finding>

export const synthesisRequest = z.object({
  question,
  searched,
  terms: z.array(term),
  findings: z.array(finding),
  /** Who chose the findings: a model's name, or nothing when it was ranking. */
  model: z.string().optional(),
  /** Quotations that a model gave and that stand nowhere. */
  dropped: z.int().default(0),
  notes: z.array(z.string()).default([]),
})
export type Synthesis = z.infer<typeof synthesisRequest>

/** What the report says, and where it stands. With a `quote`, `text` is a model's wording and the quote is what stands there. */
export const statement = z.object({
  text: z.string(),
  path: z.string(),
  line,
  lastLine: line,
  quote: z.string().optional(),
})
export type Statement = z.infer<typeof statement>

export const report = z.object({
  question,
  markdown: z.string(),
  statements: z.array(statement),
  /** Words of the question that nothing cited speaks of. */
  unsupported: z.array(z.string()),
  /** Statements of a model that were left out because their citations did not hold. */
  dropped: z.int(),
})
export type Report = z.infer<typeof report>

/**
 * Finds where documents speak of a question.   a question and documents → research.complete
 * Never here: deciding what the passages say.
 */
import { defineAgent } from '../workers/define.ts'
import { type Analysis, researchRequest } from './research/messages.ts'
import { passagesOf } from './research/passages.ts'
import { retrieve } from './research/retrieve.ts'
import { tell } from './research/tell.ts'

export const researcher = defineAgent({
  name: 'researcher',
  capabilities: ['research'],
  accepts: researchRequest,
  // Pure computing: what fails once fails again, and more than a few at a time only share one processor.
  policy: { timeoutSeconds: 60, maxAttempts: 2, backoff: 'quick', concurrency: 4 },
  async handle(message, ctx) {
    const { question, documents } = message.data
    const all = documents.flatMap(passagesOf)
    const { terms, passages } = retrieve(question, all)
    const data: Analysis = {
      question,
      searched: { documents: new Set(documents.map((d) => d.path)).size, passages: all.length },
      terms: [...terms],
      passages: [...passages],
    }
    ctx.log('searched', { ...data.searched, chosen: passages.length })
    tell(ctx, message, 'research.complete', data)
    return { ...data.searched, chosen: passages.length }
  },
})

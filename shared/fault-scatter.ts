/**
 * The faults of a scatter. Never here: the other faults (shared/fault.ts).
 */
import { unreachable } from './result.ts'

export type ScatterFault =
  | { readonly code: 'empty_scatter'; readonly what: 'items' | 'agents' }
  | { readonly code: 'scatter_over'; readonly scatter: string; readonly ended: string }

/** The status, and a sentence that tells the caller what to do next. */
export function wireOfScatter(f: ScatterFault) {
  switch (f.code) {
    case 'empty_scatter':
      return {
        status: 422,
        title: 'Nothing to scatter',
        detail:
          f.what === 'items'
            ? 'There are no items, so nobody would be asked. Send one at least.'
            : 'There is nobody to ask: name an agent, or register one that has the skill.',
      }
    case 'scatter_over':
      return {
        status: 409,
        title: 'The scatter is over',
        detail: `This scatter ended as ${f.ended}. GET /v1/scatters/${f.scatter} tells what came of it.`,
      }
    default:
      return unreachable(f)
  }
}

/**
 * Hostile calls to every operation, made of the document that is served: whatever is sent, the answer is one that the document
 * tells, it comes soon, it is never a 500, and what is refused changed nothing. Seeded; `FUZZ_RUNS` and `FUZZ_SEED` ask for
 * more and for others. Never here: how calls are drawn (test/workers/hostile-calls.ts).
 */
import { exports } from 'cloudflare:workers'
import fc from 'fast-check'
import { describe, expect, inject, it } from 'vitest'
import { adminKey, call } from './gateway.ts'
import { figuresOf, prepared } from './ground.ts'
import { type Answer, callsOf, type HostileCall, judgeOf, operationsOf, type Told } from './hostile-calls.ts'

const { runs, seed } = inject('fuzz')
/** Every wait that a call may ask for is far below (test/workers/hostile-calls.ts). */
const hangMs = 10_000

const { body: document } = await call('GET', '/openapi.json', { key: null })
const judge = judgeOf(document)

const callsPerRound = 8

async function fire({ method, path, headers, body }: HostileCall): Promise<Answer & { readonly pathname: string }> {
  const request = new Request(`http://switchboard.test${path}`, {
    method,
    headers: { ...headers, Authorization: `Bearer ${adminKey}` },
    ...(body === undefined || method === 'GET' || method === 'HEAD' ? {} : { body }),
  })
  const hung = new Promise<never>((_, fail) => setTimeout(() => fail(new Error('hung')), hangMs))
  const answered = (async () => {
    const response = await exports.default.fetch(request)
    const { status, headers: got } = response
    // A stream ends when whoever reads it has enough.
    const streams = got.get('Content-Type')?.startsWith('text/event-stream') === true
    if (streams) await response.body?.cancel()
    return { status, headers: got, text: streams ? '' : await response.text() }
  })()
  return { ...(await Promise.race([answered, hung])), pathname: new URL(request.url).pathname }
}

/** One ground for all that only reads. */
const ground = await prepared()

/** What was refused is looked into after every few calls, and ends with the first that was accepted: what follows takes its time. */
async function attack(told: Told, round: number): Promise<void> {
  const changes = told.method !== 'get'
  const met = changes ? await prepared() : ground
  const before = changes ? await figuresOf(met) : ''
  let refused: HostileCall[] | undefined = changes ? [] : undefined
  const requireUnchanged = async () => {
    if (refused !== undefined && refused.length > 0)
      expect(await figuresOf(met), `refused: ${JSON.stringify(refused).slice(0, 2_000)}`).toBe(before)
  }
  const property = fc.asyncProperty(callsOf(document, told, met.hints), async (hostile) => {
    const answer = await fire(hostile)
    expect(answer.status, answer.text.slice(0, 500)).not.toBe(500)
    expect(judge(hostile.method, answer.pathname, answer)).toBeUndefined()
    if (answer.status < 400) refused = undefined
    refused?.push(hostile)
    if (refused !== undefined && refused.length % 4 === 0) await requireUnchanged()
  })
  await fc.assert(property, { seed: seed + round, numRuns: Math.min(runs, callsPerRound), endOnFailure: true })
  await requireUnchanged()
}

describe('whatever is sent', () => {
  it.each(operationsOf(document).map((told) => [told.operation.operationId as string, told] as const))(
    'to %s, the document tells the answer, and what is refused changed nothing (TB25)',
    { timeout: 60_000 + runs * 2_000 },
    async (_, told) => {
      for (let round = 0; round * callsPerRound < runs; round++) await attack(told, round)
    },
  )
})

/**
 * Remember: whom a publish to many is for, as the directory said it at most five seconds ago. One memory per isolate, so that a
 * busy topic asks the one directory object once in that time and not at each publish.
 *
 *   a subscription is heard by every isolate within `staleMs`, by the one that wrote it at once, and by one that is told of the
 *   directory's version since then (`atLeast`) at once too
 *
 * Never here: keys (workers/authorise.ts has its own memory), later pages of a plan, which belong to one version.
 */
import type { DirectoryPort } from '../shared/directory.ts'
import { limits } from '../shared/limits.ts'
import type { Candidates } from '../shared/subscription.ts'
import { staleMs } from './authorise.ts'
import { Recent } from './recent.ts'

/** What one isolate remembers of whom publishes to many are for. */
export class Audiences {
  #recent = new Recent<Candidates>(limits.audiencesRemembered)
  #writes = 0

  find(name: string, now: number, atLeast: number): Candidates | undefined {
    const found = this.#recent.get(name, now)
    return found !== undefined && found.version >= atLeast ? found : undefined
  }

  /** Keeps what `ask` answers, unless this isolate wrote to the directory meanwhile: it may be from before that. */
  async keep(name: string, now: () => number, ask: () => Promise<Candidates>): Promise<Candidates> {
    const writes = this.#writes
    const until = now() + staleMs
    const found = await ask()
    const fits = JSON.stringify(found).length <= limits.audienceCharacters
    if (fits && writes === this.#writes) this.#recent.set(name, found, until)
    return found
  }

  forget(): void {
    this.#writes += 1
    this.#recent = new Recent(limits.audiencesRemembered)
  }
}

const writing: ReadonlySet<string | symbol> = new Set<keyof DirectoryPort>([
  'putAgent',
  'removeAgent',
  'putSubscription',
  'removeSubscription',
])

/** The directory with a memory in front of it. `now` is the isolate's clock. */
export function remembering(directory: DirectoryPort, audiences: Audiences, now: () => number): DirectoryPort {
  const candidates: DirectoryPort['candidates'] = (audience, cursor, limit, version, atLeast) => {
    const ask = () => directory.candidates(audience, cursor, limit, version)
    if (cursor !== undefined || version !== undefined) return ask()
    const name = JSON.stringify([audience, limit])
    const found = audiences.find(name, now(), atLeast ?? 0)
    return found === undefined ? audiences.keep(name, now, ask) : Promise.resolve(found)
  }
  return new Proxy(directory, {
    get: (port, method, receiver) => {
      if (method === 'candidates') return candidates
      const asked: unknown = Reflect.get(port, method, receiver)
      return writing.has(method) && typeof asked === 'function'
        ? (...args: unknown[]) => forgetful(audiences, () => Reflect.apply(asked, port, args))
        : asked
    },
  })
}

// Forgets after the write, and before it too: whoever waits for the answer may be gone when it comes.
async function forgetful(audiences: Audiences, write: () => unknown): Promise<unknown> {
  audiences.forget()
  try {
    return await write()
  } finally {
    audiences.forget()
  }
}

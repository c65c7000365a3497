/**
 * Speaker: as whom something that somebody made speaks when its time has come. Its creator as it is now: who was deleted, or
 * whose last key was revoked, says nothing any more, and who may less says less (S1). Never here: what is said.
 */
import { ownSource, type Principal, permissionsOfAny, permissionsOfBoth } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { err, ok, type Result } from '../shared/result.ts'

/** What is kept of a creator with what it made. */
export interface Maker {
  /** Its own source. */
  readonly owner: string
  readonly creator: Principal
  /** Of an agent: another one of its name is somebody else. */
  readonly incarnation?: string
}

/** The caller, as it is kept; undefined when it is an agent that was deleted meanwhile. */
export async function makerOf(platform: Platform, creator: Principal): Promise<Maker | undefined> {
  const owner = ownSource(creator)
  if (creator.kind !== 'agent') return { owner, creator }
  const agent = (await platform.agent(creator.name).describe())?.agent
  return agent === undefined ? undefined : { owner, creator, incarnation: agent.incarnation }
}

/** Who speaks for it now, or why nobody does. `what` is what it made. */
export async function speakerOf(
  platform: Platform,
  { creator, incarnation, owner }: Maker,
  what: string,
): Promise<Result<Principal, string>> {
  if (creator.kind === 'agent') {
    const agent = (await platform.agent(creator.name).describe())?.agent
    return agent === undefined || agent.incarnation !== incarnation
      ? err(`the agent ${creator.name} that made this ${what} was deleted`)
      : ok({ ...creator, permissions: agent.permissions })
  }
  if (creator.kind === 'app') {
    const keys = await platform.directory().keys(owner)
    const live = keys.filter((key) => (key.expiresAt ?? Number.POSITIVE_INFINITY) > platform.now())
    if (live.length === 0) return err(`every key of ${owner}, which made this ${what}, was revoked or has expired`)
    // Not all that its keys may: whoever holds a narrow one would make something that speaks with a wide one.
    const now = permissionsOfAny(live.map((key) => key.permissions))
    return ok({ ...creator, permissions: permissionsOfBoth(creator.permissions, now) })
  }
  return ok(creator)
}

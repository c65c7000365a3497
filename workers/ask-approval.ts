/**
 * Ask for an approval: may everybody whom it concerns be told by whoever asks? Then it is stored (that write is the 201), and
 * who is asked hears of it. Never here: telling (workers/tell-approval.ts), HTTP (workers/routes/approvals.ts).
 */
import { type Approval, type ApprovalTarget, approvalEndsAt, approvalId, askedThemselves } from '../shared/approval.ts'
import { type ApprovalInput, type Reached, stagesOf } from '../shared/approval-input.ts'
import { callbackAgent } from '../shared/callback.ts'
import type { Fault } from '../shared/fault.ts'
import { digest } from '../shared/ids.ts'
import { canonical } from '../shared/json.ts'
import { keyBytes } from '../shared/keys.ts'
import { limits } from '../shared/limits.ts'
import { replyDestination } from '../shared/message.ts'
import { isOfPredecessor, type Principal } from '../shared/permissions.ts'
import type { Platform } from '../shared/ports.ts'
import { err, ok, type Result } from '../shared/result.ts'
import { prepareCallback } from './callback.ts'
import { prepare } from './route.ts'
import { makerOf } from './speaker.ts'

export interface AskedApproval {
  readonly approval: Approval
  readonly opened: boolean
  /** Of URLs that had none, by URL: told once. */
  readonly secrets: Readonly<Record<string, string>>
}

/** Opens it, or finds the one that its key names. An `ok` means that it is stored. `origin` is where its links lead to. */
export async function askApproval(
  platform: Platform,
  principal: Principal,
  input: ApprovalInput,
  { origin, key }: { readonly origin: string; readonly key?: string },
): Promise<Result<AskedApproval, Fault>> {
  const maker = await makerOf(platform, principal)
  if (maker === undefined)
    return err({ code: 'agent_not_found', agent: principal.kind === 'agent' ? principal.name : '' })
  const id = approvalId(maker.owner, key, platform.token())
  const contentHash = digest(canonical(input))
  // A repeat is answered as the first was, even when the time that it names has passed.
  const known = key === undefined ? undefined : await platform.approvals().find(id)
  if (known !== undefined && isOfPredecessor(principal, { source: known.owner, at: known.openedAt }))
    return err({ code: 'key_reused', key: key ?? id, delivery: id })
  if (known?.contentHash === contentHash) return ok({ approval: known, opened: false, secrets: {} })
  const waitsMs = waitOf(input, platform.now())
  if (waitsMs <= 0) return invalid('expiresAt', 'has passed')
  if (waitsMs > limits.approvalSeconds * 1_000)
    return invalid('expiresAt', `at most ${limits.approvalSeconds} s from now`)
  if (askedThemselves(maker.owner, input)) return invalid('notify', 'nobody decides what they ask themselves')
  const allowed = authoriseAll(platform, principal, input)
  if (!allowed.ok) return allowed
  const now = platform.now()
  const found = await targetsOf(platform, maker.owner, input, approvalEndsAt(input, now + waitsMs, now) - now)
  if (!found.ok) return found
  const { stages, askers, secrets } = found.value
  const opened = await platform.approvals().open(
    {
      ...maker,
      ...{
        id,
        contentHash,
        input: withoutSecrets(input),
        stages,
        askers,
        origin,
        secret: platform.hex(keyBytes),
        waitsMs,
      },
    },
    { max: limits.approvals, maxOfOwner: limits.approvalsPerOwner, keptOfOwner: limits.approvalsKeptPerOwner },
  )
  if (opened.status === 'too_many') return err({ code: 'too_many_approvals', owner: maker.owner, max: opened.max })
  const { approval, status } = opened
  if (status === 'conflict') return err({ code: 'key_reused', key: key ?? approval.id, delivery: approval.id })
  platform.log('approval', { approval: approval.id, by: maker.owner, status })
  return ok({ approval, opened: status === 'opened', secrets })
}

function waitOf({ expiresAt, expiresInSeconds }: ApprovalInput, now: number): number {
  if (expiresAt !== undefined) return Date.parse(expiresAt) - now
  return (expiresInSeconds ?? limits.approvalSeconds) * 1_000
}

// Refused here and not when time is up: whatever can be said of its messages without a mailbox.
function authoriseAll(platform: Platform, principal: Principal, input: ApprovalInput): Result<void, Fault> {
  const { replyto, workflowid } = input
  const outcome = [
    ...(replyto === undefined ? [] : [replyDestination(replyto)]),
    ...(workflowid === undefined ? [] : [{ to: `workflow:${workflowid}` }]),
  ]
  const asked = stagesOf(input).flatMap((stage) => stage.flatMap((to) => (typeof to === 'string' ? [{ to }] : [])))
  for (const to of [...asked, ...outcome]) {
    const prepared = prepare(platform, principal, { ...to, type: 'switchboard.approval' }, {})
    if (!prepared.ok) return prepared
  }
  return ok(undefined)
}

interface Targets {
  readonly stages: ApprovalTarget[][]
  readonly askers: ApprovalTarget[]
  readonly secrets: Readonly<Record<string, string>>
}

async function targetsOf(
  platform: Platform,
  owner: string,
  input: ApprovalInput,
  waitMs: number,
): Promise<Result<Targets, Fault>> {
  const secrets: Record<string, string> = {}
  const stages: ApprovalTarget[][] = []
  const { replyto, workflowid, callback } = input
  for (const stage of [...stagesOf(input), callback === undefined ? [] : [callback]]) {
    const targets: ApprovalTarget[] = []
    for (const reached of stage) {
      const target = await targetOf(platform, owner, reached, waitMs, secrets)
      if (!target.ok) return target
      targets.push(target.value)
    }
    stages.push(targets)
  }
  const addresses = [
    ...(replyto === undefined ? [] : [replyto]),
    ...(workflowid === undefined ? [] : [`workflow:${workflowid}`]),
  ]
  // One who is the other too is told once.
  const askers = [...new Set(addresses)].map((to) => ({ who: to, to }))
  return ok({ stages: stages.slice(0, -1), askers: [...askers, ...(stages.at(-1) ?? [])], secrets })
}

async function targetOf(
  platform: Platform,
  owner: string,
  reached: Reached,
  waitMs: number,
  secrets: Record<string, string>,
): Promise<Result<ApprovalTarget, Fault>> {
  if (typeof reached === 'string') {
    const known = await platform.agent(reached).describe()
    if (known === undefined && !(await platform.enrolHandler(reached)))
      return err({ code: 'agent_not_found', agent: reached })
    return ok({ who: reached, to: reached })
  }
  const prepared = await prepareCallback(platform, owner, reached, waitMs)
  if (!prepared.ok) return prepared
  const { callback, secret } = prepared.value
  if (secret !== undefined) secrets[callback.url] = secret
  return ok({ who: callback.url, to: callbackAgent(owner, callback), callback: true })
}

// They sign, and their mailboxes have them: here nobody needs them.
function withoutSecrets(input: ApprovalInput): ApprovalInput {
  const bare = (reached: Reached) => (typeof reached === 'string' ? reached : { url: reached.url })
  const { onTimeout, callback, notify, ...rest } = input
  const timeout =
    typeof onTimeout === 'string'
      ? onTimeout
      : { ...onTimeout, escalate: onTimeout.escalate.map((s) => ({ ...s, notify: s.notify.map(bare) })) }
  return {
    ...rest,
    ...{ onTimeout: timeout, notify: notify.map(bare) },
    ...(callback === undefined ? {} : { callback: { url: callback.url } }),
  }
}

const invalid = (path: string, message: string): Result<never, Fault> =>
  err({ code: 'invalid_request', issues: [{ path, message }] })

/**
 * What the verbs may ask of the approvals' object, and what it answers. Never here: an implementation
 * (durable-objects/approvals.ts), what becomes of an approval (shared/approval.ts).
 */
import type { Approval, ApprovalNews, ApprovalOpened, ApprovalOpening, Decided, Decision } from './approval.ts'

/** How many there may be: of all with those that ended, of one owner that are pending, and of one owner with those that ended. */
export interface ApprovalRoom {
  readonly max: number
  readonly maxOfOwner: number
  readonly keptOfOwner: number
}

/** The approvals of a deployment. */
export interface ApprovalsPort {
  /** `max`: the bound of its owner that was reached, or the deployment's. */
  open(
    opening: ApprovalOpening,
    room: ApprovalRoom,
  ): Promise<ApprovalOpened | { readonly status: 'too_many'; readonly max: number }>
  find(id: string): Promise<Approval | undefined>
  /** Of whom: who asked or is asked; left out, an admin asks. Oldest first. */
  list(
    of: string | undefined,
    ended: boolean,
    cursor: string | undefined,
    limit: number,
  ): Promise<{ readonly items: readonly Approval[]; readonly cursor?: string }>
  decide(id: string, decision: Decision): Promise<Decided | undefined>
  cancel(id: string, by: string): Promise<Approval | undefined>
  told(id: string, news: readonly Pick<ApprovalNews, 'n' | 'state'>[]): Promise<Approval | undefined>
  /** Hourly: re-arms what is overdue (M6). */
  sweep(): Promise<void>
}

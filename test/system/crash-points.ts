/**
 * Where a process can die, by name, and the work that is under way then: what the test and the Worker it tests have to agree
 * on. Never here: Node or workerd; it is part of both.
 */

/** Each point, and what has happened when the process dies there. */
export const crashPoints = {
  'accept.after': 'the mailbox has stored a message, and its publisher has no answer',
  'enqueue.before': 'between accept and enqueue',
  'take.after': 'a take took effect, and nobody has begun with what it leased',
  'deliver.before': 'a webhook is about to be called',
  'deliver.underway': 'the receiver has done the work, and its answer is not read',
  'handler.underway': 'a handler is in the middle of its work',
  'settle.before': 'the work is done, and its mailbox does not know',
  'settle.underway': 'a settlement is on its way through its mailbox',
  'settle.after': 'between journal and effects',
  'ack.after': 'an ack by token took effect, and its sender has no answer',
  'effects.between': 'after the first of the accepts of one journal',
  'carried.before': 'all effects are accepted, and their journal does not know',
  'bury.before': 'a delivery is dead, and nobody has begun to bury it',
  'bury.after': 'a dead letter is in the index, and its mailbox does not know',
  'alarm.before': 'an alarm has released anew what the queue forgot, and not sent it',
  'alarm.after': 'an alarm has sent what the queue forgot, into a queue that dies with the process',
  'redrive.between': 'the mailbox has redriven a dead letter, and the index still has it',
} as const
export type MessagePoint = keyof typeof crashPoints

/** The same on the way of a request. */
export const requestPoints = {
  'ask.after': 'a request lies with its message in the mailbox of whom it asks, and its asker has no answer',
  'reply.before': 'the work is done, and neither its mailbox nor the request there knows',
  'reply.after': 'the work is done and the request has its reply, in one write, and nobody was told',
  'gather.opened': 'a request is stored, and nobody has been asked',
  'leg.accepted': 'whom it asks has the message, and the request does not know',
  'arrive.before': 'the reply is journaled, and the request does not know',
  'arrive.after': 'the request has its reply, and the replier’s journal does not know',
  'gather.telling': 'nobody replied in time, and what follows from that is about to be noted as done',
} as const
export type RequestPoint = keyof typeof requestPoints

/** The same on the way of a scatter, beside those of a request, which it passes too. */
export const scatterPoints = {
  'scatter.reducing': 'the question to the reducer is stored, and it has not been asked',
  'scatter.reduced': 'the reducer has replied, and its scatter does not know',
  'scatter.told': 'the end is in its listener’s mailbox, and the scatter does not know',
} as const
export type ScatterPoint = keyof typeof scatterPoints

/** The same on the way of a promise. */
export const promisePoints = {
  'promise.ended': 'a promise is resolved, its resolver has no answer, and nobody has been told',
  'promise.telling': 'its end is in its listener’s mailbox, and the promise does not know',
} as const
export type PromisePoint = keyof typeof promisePoints

/** The same on the way of a workflow. */
export const workflowPoints = {
  'workflow.created': 'a workflow has taken its first step, and its creator has no answer',
  'perform.before': 'a step is committed, and nothing of what it sends has left',
  'perform.after': 'what a step sends is accepted, and the workflow does not know',
  'receive.before': 'an agent’s answer is journaled, and the workflow does not know',
  'receive.after': 'the workflow has moved on, the agent’s journal does not know, and nothing has left',
} as const
export type WorkflowPoint = keyof typeof workflowPoints

/** The same on the way of a question to a person. */
export const approvalPoints = {
  'approval.opened': 'a question is stored, and whoever asks it has no answer',
  'approval.telling': 'somebody has been told, and the question does not know',
  'approval.decided': 'a person has decided, and neither they nor the asker have been told',
} as const
export type ApprovalPoint = keyof typeof approvalPoints

/** The same on the way of a schedule. */
export const schedulePoints = {
  'schedule.put': 'a schedule is stored, and its maker has no answer',
  'schedule.due': 'its time has come, and nothing is published',
  'schedule.published': 'its message is accepted, and the schedule does not know',
} as const
export type SchedulePoint = keyof typeof schedulePoints

export type CrashPoint =
  | (MessagePoint | RequestPoint | ScatterPoint | PromisePoint)
  | (WorkflowPoint | ApprovalPoint | SchedulePoint)

/** Which point kills, on which of its calls. */
export interface Armed {
  readonly point: CrashPoint
  readonly nth: number
}

/** The names of the bindings by which a Worker is armed. Without them it is an ordinary one. */
export function bindingsOf(armed: Armed, killUrl: string): Readonly<Record<string, string>> {
  return { CRASH_POINT: armed.point, CRASH_NTH: String(armed.nth), KILL_URL: killUrl }
}

/** What is to become of a message, as its data says: whoever works on it plays along. */
export const fates = ['do', 'die', 'fail_once', 'late_once', 'hang_once', 'twice'] as const
export type Fate = (typeof fates)[number]

/** Who receives what the work sets off: the reply, and two messages. In the order of the effects' numbers. */
export const sinks = ['replies', 'left', 'right'] as const

/** What every piece of work ends with. The nonce says which of several attempts it was. */
export function workDone(nonce: string) {
  return {
    result: { nonce },
    reply: { data: { nonce } },
    messages: [
      { to: 'left', type: 'crash.left', data: { nonce } },
      { to: 'right', type: 'crash.right', data: { nonce } },
    ],
  }
}

/**
 * docs/cost.md: what each path is billed, at list price, beside what others publish. The figures of ours are those that the counting
 * tests hold (test/workers/bills). Never here: reading them or writing the page (scripts/cost.ts).
 */
import { allowed, type Billed, dollarsFor, freeCeiling, freePerDay, price } from './prices.ts'

/** Bills by the name that their test gave them. */
export type Bills = Readonly<Record<string, Billed>>

/** What the page shows, in this order: the path, and the bill that it is. Every bill is shown once. */
const paths: readonly (readonly [name: string, what: string])[] = [
  ['direct-alone', 'a direct message, alone, delivered by the call that publishes it'],
  ['direct-by-queue', 'the same, by the queue'],
  ['direct-ten-in-a-batch', 'one of ten to one agent in one batch'],
  ['direct-one-a-second', 'one a second to one agent'],
  ['direct-one-an-hour', 'one an hour to one agent, with the hourly visit and all clean-up'],
  ['topic-1-leg', 'a topic with 1 subscriber'],
  ['topic-10-legs', 'a topic with 10 subscribers, each delivery'],
  ['topic-1000-legs', 'a topic with 1,000 subscribers, each delivery'],
  ['request-express', 'a request by the express lane, its caller waiting, until it is forgotten'],
  ['request-by-queue', 'a request by the queue, its caller asking once, until it is forgotten'],
  ['workflow-step', 'a workflow’s step: an event, the message it sends, the answer that is the next event'],
  ['schedule-firing', 'a schedule’s firing, with its message'],
]
const beside: readonly (readonly [name: string, what: string])[] = [
  ['waiting-30-seconds', 'a caller who waits 30 s in vain, for a reply or for mail'],
  ['sweep-of-20-agents', 'the hourly sweep, each agent and hour'],
]

const said: Readonly<Record<keyof typeof freePerDay, string>> = {
  workerRequests: 'Worker requests',
  objectRequests: 'object requests',
  rows: 'rows',
  queueOperations: 'queue operations',
}

/** Others' prices in US dollars a million, with where they were read. AWS: us-east-1. */
const others = {
  qstashMessage: 10,
  snsPublish: 0.5,
  sqsRequest: 0.4,
  lambdaRequest: 0.2,
  lambdaGbSecond: 16.67,
}
/** A function of 128 MB that waits so long for the webhook's answer. */
const lambdaWaitMs = 100

const fixed = (n: number, digits = 2) => n.toFixed(digits)
const thousands = (n: number) => String(n).replace(/\B(?=(\d{3})+$)/g, ',')
const figure = (n: number) => (Number.isInteger(n) ? String(n) : fixed(n))

/** Dollars for a million of what one of its messages is billed. */
export const dollarsEach = (billed: Billed): number => dollarsFor(billed) / billed.messages

function row(what: string, billed: Billed | undefined, shownCeiling: boolean): string {
  if (billed === undefined) return `| ${what} | not measured |`
  const { messages, workerRequests, objectRequests, rows, queueOperations } = billed
  const each = [workerRequests, objectRequests, rows, queueOperations].map((n) => figure(n / messages))
  const ceiling = freeCeiling(billed)
  const free = shownCeiling ? [`${thousands(ceiling.messages)} (${said[ceiling.by]})`] : []
  return `| ${[what, ...each, fixed(dollarsEach(billed)), ...free].join(' | ')} |`
}

function comparison(bills: Bills): string[] {
  const bareQueue =
    price.workerRequest +
    allowed.cpuMs * price.cpuMs +
    3 * price.queueOperation +
    (price.workerRequest + allowed.cpuMs * price.cpuMs) / 10
  const lambdaWait = others.lambdaGbSecond * 0.128 * (lambdaWaitMs / 1_000)
  const singly = others.snsPublish + 3 * others.sqsRequest + others.lambdaRequest + lambdaWait
  const batched = others.snsPublish + 1.2 * others.sqsRequest + others.lambdaRequest / 10 + lambdaWait
  const ours = (name: string) => {
    const billed = bills[name]
    return billed === undefined ? 'not measured' : fixed(dollarsEach(billed))
  }
  return [
    '| | $ a million | what it is |',
    '|---|--:|---|',
    `| Switchboard, alone | ${ours('direct-alone')} | stored, deduplicated, leased, retried, with a receipt and a breaker |`,
    `| Switchboard, ten in a batch | ${ours('direct-ten-in-a-batch')} | the same |`,
    `| the bare queue | ${fixed(bareQueue)} | one Worker sends, one calls the webhook, ten to a batch: no dedupe, no receipt, no order, no breaker |`,
    `| SNS + SQS + Lambda, singly | ${fixed(singly)} | a publish, three SQS requests, an invocation of 128 MB that waits ${lambdaWaitMs} ms for the webhook: no receipt, no breaker |`,
    `| SNS + SQS + Lambda, ten to a batch | ${fixed(batched)} | the same; SNS still hands each to SQS by itself |`,
    `| QStash, pay as you go | ${fixed(others.qstashMessage)} | signed webhooks with retries, logs and a dead-letter queue |`,
  ]
}

/** The whole page. */
export function costPage(bills: Bills): string {
  const head = '| | Worker requests | object requests | rows | queue operations | $ a million |'
  return `${[
    '# Cost',
    '',
    'Made by `npm run cost`. What is billed is counted by tests in the real runtime (`test/workers/counting*.test.ts`), in two independent',
    'ways, and a test holds this page to it. It is counted, **not read off a bill**: no live account has been charged for any of it.',
    '',
    '## Each path',
    '',
    'Of one message of half a kilobyte to a webhook that answers at once, with its receipt, everything that is armed for it, and what is',
    'done until it is quiet. Objects and keys are warm. An alarm that rings is an object request, an alarm that is armed is a row.',
    '',
    `${head} free plan, a day |`,
    '|---|--:|--:|--:|--:|--:|--:|',
    ...paths.map(([name, what]) => row(what, bills[name], true)),
    '',
    'The last column is how many of these the free plan lets through in a day if nothing else is done, and what runs out first: it gives',
    `${thousands(freePerDay.workerRequests)} Worker requests, ${thousands(freePerDay.objectRequests)} object requests, ${thousands(freePerDay.rows)} rows and ${thousands(freePerDay.queueOperations)} queue operations a day.`,
    'A receipt that is forgotten costs nothing: its table is dropped whole ([0004](decisions/0004-receipts-in-buckets.md)).',
    '',
    '## Waiting, and what goes on by itself',
    '',
    head,
    '|---|--:|--:|--:|--:|--:|',
    ...beside.map(([name, what]) => row(what, bills[name], false)),
    '',
    'No object is held open while somebody waits: the gateway asks again, after 50 ms at first and every second later. A caller or an',
    'agent that waits around the clock is billed the first line 2,880 times a day. The sweep’s rows are the last audit, one for all',
    'agents; it also reads every receipt that is kept, at a thousandth of the price of a row written. A mailbox at rest has no alarm.',
    '',
    '## Beside others',
    '',
    'One message to one webhook, for each million, without what plans include.',
    '',
    ...comparison(bills),
    '',
    '| price | from | read |',
    '|---|---|---|',
    `| QStash: $1 for 100,000 messages; each leg of a group is one. Whether a retry is one, its pages say differently | upstash.com/docs/qstash/overall/pricing, upstash.com/pricing/qstash.md | stored copies, November 2026 |`,
    `| SQS: $${others.sqsRequest.toFixed(2)} a million requests | cloudburn.io/blog/amazon-sqs-pricing, of March 2026; AWS’s own page could not be read | stored copy, November 2026 |`,
    `| SNS: $${others.snsPublish.toFixed(2)} a million publishes; handing them to SQS is taken for free | awsnegotiations.com/sqs-sns-cost-optimization.html; AWS’s own page could not be read | stored copy, November 2026 |`,
    `| Lambda: $${others.lambdaRequest.toFixed(2)} a million requests, $${(others.lambdaGbSecond / 1_000_000).toFixed(8)} a GB-second | docs.aws.amazon.com/whitepapers/latest/how-aws-pricing-works/lambda.html | stored copy, November 2026 |`,
    '| Cloudflare, below | developers.cloudflare.com: the pricing pages of Workers, Durable Objects and Queues | stored copies, November 2026 |',
    '',
    'What Switchboard costs more than the bare queue is above all its rows: the message, the alarm that stands for it, its end. They are',
    'what it remembers, and what the bare queue does not.',
    '',
    '## The prices',
    '',
    `Cloudflare’s list prices in US dollars for a million: Worker requests ${price.workerRequest}, object requests ${price.objectRequest}, rows written ${price.row}, queue operations`,
    `${price.queueOperation}, milliseconds of processor time ${price.cpuMs}. Two allowances are not measured: ${allowed.cpuMs} ms of processor time for each Worker request,`,
    `and ${allowed.objectMs} ms in which a call keeps an object of 128 MB awake, $${fixed(allowed.objectMs * price.objectMs, 3)}. The paid plan’s 5 dollars a month and what it includes`,
    '(10 million Worker requests, a million each of object requests and queue operations, 50 million rows) are not taken off.',
    '',
    'Not in it: rows read ($0.001 a million), stored bytes ($0.20 a GB and month), logs that are kept, messages over 64 KB that go',
    '`at_most_once` (a queue operation for each 64 KB), retries (each the lease, the call and the queue again), and the model.',
  ].join('\n')}\n`
}

/** Every bill that the page shows. */
export const shownBills: readonly string[] = [...paths, ...beside].map(([name]) => name)

/**
 * A model behind the chat completions API that OpenAI made and many others serve. Set OPENAI_BASE_URL (such as
 * https://api.openai.com/v1) and OPENAI_API_KEY, and OPENAI_MODEL for another than the default. Never here: prompts, and
 * deciding whether to believe an answer. The key is sent to the base URL and appears nowhere else.
 */
import * as z from 'zod'
import { RetryLater, TerminalError } from '../workers/define.ts'

/** The provider answered, but not with what was asked for. Trying again may help; doing without the model does. */
export class UnusableAnswer extends Error {
  override readonly name = 'UnusableAnswer'
}

export interface Answered<T> {
  readonly value: T
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number }
}

export interface Model {
  readonly name: string
  /** Asks for a JSON answer of this shape. */
  ask<T>(shape: z.ZodType<T>, instructions: string, material: string, signal: AbortSignal): Promise<Answered<T>>
}

/** Used when OPENAI_MODEL says nothing. */
export const defaultModel = 'gpt-5-mini'

const settings = z.object({
  OPENAI_BASE_URL: z.string().trim().min(1).optional(),
  OPENAI_API_KEY: z.string().trim().min(1).optional(),
  OPENAI_MODEL: z.string().trim().min(1).default(defaultModel),
})

const completion = z.object({
  choices: z
    .array(z.object({ message: z.object({ content: z.string().nullish() }), finish_reason: z.string().nullish() }))
    .min(1),
  usage: z.object({ prompt_tokens: z.number(), completion_tokens: z.number() }).nullish(),
})

/** The model that the variables name, or nothing when they name none. */
export function modelFrom(env: Readonly<Record<string, unknown>>): Model | undefined {
  // An empty variable is as good as none: that is how shells and .dev.vars files switch things off.
  const given = Object.fromEntries(Object.entries(env).filter(([, v]) => v !== ''))
  const parsed = settings.safeParse(given)
  if (!parsed.success) throw new TerminalError(`OPENAI_* variables: ${z.prettifyError(parsed.error)}`)
  const { OPENAI_BASE_URL: base, OPENAI_API_KEY: key, OPENAI_MODEL: name } = parsed.data
  if (base === undefined || key === undefined) return undefined
  if (!URL.canParse(base) || !/^https?:$/.test(new URL(base).protocol))
    throw new TerminalError('OPENAI_BASE_URL is not an http(s) URL; it should look like https://api.openai.com/v1')
  const url = `${base.replace(/\/+$/, '')}/chat/completions`
  return {
    name,
    ask: async (shape, instructions, material, signal) => {
      const body = JSON.stringify({
        model: name,
        messages: [
          { role: 'system', content: instructions },
          { role: 'user', content: material },
        ],
        response_format: { type: 'json_object' },
      })
      return readAnswer(await post(url, key, body, signal), shape)
    },
  }
}

async function post(url: string, key: string, body: string, signal: AbortSignal): Promise<string> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` }
  let status: number
  let retryAfter: string | null
  let text: string
  try {
    const answer = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'manual' })
    status = answer.status
    retryAfter = answer.headers.get('retry-after')
    text = await answer.text()
  } catch (cause) {
    if (signal.aborted) throw new Error(`the model provider at ${url} did not answer before the deadline`)
    throw new Error(`the model provider at ${url} could not be reached: ${cause instanceof Error ? cause.message : ''}`)
  }
  if (status >= 200 && status < 300) return text
  // Some providers repeat the key they refuse. Errors are kept on receipts, and a key has no business there.
  const said = text.replaceAll(key, '(key)').replace(/\s+/g, ' ').trim().slice(0, 300)
  throw refusal(status, retryAfter, said === '' ? '' : ` It says: ${said}`)
}

/** What cannot heal by itself ends the message with advice; what can is thrown, and tried again. */
function refusal(status: number, retryAfter: string | null, said: string): Error {
  const answered = `the model provider answered ${status}`
  if (status === 401 || status === 403)
    return new TerminalError(`${answered}: it does not accept OPENAI_API_KEY. Set a valid key, then redrive.${said}`)
  if (status === 404)
    return new TerminalError(
      `${answered}: check that OPENAI_BASE_URL ends in /v1 and OPENAI_MODEL exists there.${said}`,
    )
  if (status === 429) {
    const pause = retryAfter === null ? '' : ` and asks to wait ${retryAfter} s`
    return new RetryLater(
      `${answered}: too many requests${pause}; this will be tried again.${said}`,
      Number(retryAfter ?? 0) || 0,
    )
  }
  if (status === 408 || status === 409 || status === 425 || status >= 500)
    return new Error(`${answered}; this will be tried again.${said}`)
  return new TerminalError(
    `${answered}: it does not accept the request. Check OPENAI_MODEL and OPENAI_BASE_URL.${said}`,
  )
}

function readAnswer<T>(text: string, shape: z.ZodType<T>): Answered<T> {
  const outer = completion.safeParse(parseJson(text))
  if (!outer.success) throw new UnusableAnswer('the model provider answered with something that is no chat completion')
  const [choice] = outer.data.choices
  if (choice?.finish_reason === 'length')
    throw new UnusableAnswer('the model ran out of room before its answer was whole')
  // Models without a JSON mode like to wrap their answer in a code fence.
  const content = (choice?.message.content ?? '').trim().replace(/^```(?:json)?\s*|\s*```$/g, '')
  const inner = shape.safeParse(parseJson(content))
  if (!inner.success)
    throw new UnusableAnswer(
      `the model's answer has not the shape asked for: ${z.prettifyError(inner.error).slice(0, 300)}`,
    )
  const { prompt_tokens = 0, completion_tokens = 0 } = outer.data.usage ?? {}
  return { value: inner.data, usage: { inputTokens: prompt_tokens, outputTokens: completion_tokens } }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The header that reports on a resource, and what may be called one. Never here: what a report means (test/shared/blame.test.ts). */
import { describe, expect, it } from 'vitest'
import { readResourceHeader, reportFrom, resourceName, resourceNames } from '../../shared/resource-report.ts'
import { resourceTopic, topicName } from '../../shared/topic.ts'

describe('a resource’s name', () => {
  it.each(['openai/gpt-5', 'anthropic/claude-4.5', 'ollama/llama3:8b', 'search'])(
    'may be %s, and is a topic',
    (name) => {
      expect(resourceName.safeParse(name).success).toBe(true)
      expect(topicName.safeParse(resourceTopic(name)).success).toBe(true)
    },
  )

  it.each(['', '/gpt', 'gpt/', 'a//b', 'a b', 'a,b', 'ä', 'a/*', 'x'.repeat(129)])('may not be %j', (name) => {
    expect(resourceName.safeParse(name).success).toBe(false)
  })

  it('stands once among an agent’s, and they are few, because each is asked for every batch', () => {
    expect(resourceNames.safeParse(['a', 'b']).success).toBe(true)
    expect(resourceNames.safeParse(['a', 'a']).success).toBe(false)
    expect(resourceNames.safeParse(Array.from({ length: 9 }, (_, i) => `r${i}`)).success).toBe(false)
  })
})

describe('switchboard-resource-error', () => {
  it('(A39) tells the resource, its status and the pause it asked for (TC10)', () => {
    expect(readResourceHeader('openai/gpt-5 429 retry-after=20')).toEqual([
      { name: 'openai/gpt-5', status: 429, retryAfterMs: 20_000 },
    ])
  })

  it('tells several, and what cannot be read spoils none of the others', () => {
    expect(readResourceHeader('openai/gpt-5 503, nonsense, a b c, x 99, vectors 504 Retry-After=0.5')).toEqual([
      { name: 'openai/gpt-5', status: 503 },
      { name: 'vectors', status: 504, retryAfterMs: 500 },
    ])
  })

  it.each([null, undefined, '', ',', 'openai/gpt-5', '429', 'openai/gpt-5 429 soon'])(
    'tells nothing when it is %j',
    (value) => {
      expect(readResourceHeader(value)).toEqual([])
    },
  )

  it('tells no more than an agent can declare', () => {
    expect(readResourceHeader(Array.from({ length: 20 }, (_, i) => `r${i} 500`).join(','))).toHaveLength(8)
  })
})

describe('a report of a program', () => {
  it('is cut to a day of pause, because it holds everybody', () => {
    expect(reportFrom('a', 429, 1e9)).toEqual({ name: 'a', status: 429, retryAfterMs: 86_400_000 })
  })

  it.each([
    ['a b', 429],
    ['a', 42],
    ['a', '429'],
    [undefined, 429],
  ])('is none when it says %j %j', (name, status) => {
    expect(reportFrom(name, status)).toBeUndefined()
  })

  it('leaves a pause out that is no number', () => {
    expect(reportFrom('a', 429, 'soon')).toEqual({ name: 'a', status: 429 })
  })
})

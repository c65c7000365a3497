/** Signed webhooks: agreement with the official library in both directions, and what is refused. Never here: HTTP. */
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { newSecret, sign, verify } from '../../shared/signature.ts'
import { anyText } from './arbitraries.ts'

const now = 1_790_000_000_000
const nowSeconds = now / 1_000
const secretOf = (byte: number) => newSecret(new Uint8Array(24).fill(byte))
const [newest, older, foreign] = [secretOf(1), secretOf(2), secretOf(3)]
const body = '{"type":"greeting","data":{"text":"grüß dich 👋"}}'

const signed = (secrets: readonly string[], id = 'writer_abc', at = nowSeconds, text = body) => ({
  id,
  timestamp: String(at),
  signature: sign(secrets, id, at, text),
})

const bytes = fc.uint8Array({ minLength: 24, maxLength: 64 })
const idText = fc.stringMatching(/^[a-z0-9_-]{1,80}$/)
const bodyText = anyText({ maxLength: 200 })

describe('secrets', () => {
  it('a new secret is its bytes in base64 behind whsec_', () => {
    expect(newSecret(new Uint8Array([0, 1, 254, 255]))).toBe('whsec_AAH+/w==')
  })
})

describe('sign', () => {
  it('gives the signature of the specification’s own library test', () => {
    const official = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
    expect(sign([official], 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330, '{"test": 2432232314}')).toBe(
      'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    )
  })

  it('agrees with the official library on any secret, id, time and body', () => {
    fc.assert(
      fc.property(bytes, idText, fc.nat(4_000_000_000), bodyText, (key, id, at, text) => {
        const secret = newSecret(key)
        expect(sign([secret], id, at, text)).toBe(new Webhook(secret).sign(id, new Date(at * 1_000), text))
      }),
    )
  })

  it('signs once per secret, newest first, separated by a space', () => {
    const [first, second] = [sign([newest], 'a', 1, body), sign([older], 'a', 1, body)]
    expect(sign([newest, older], 'a', 1, body)).toBe(`${first} ${second}`)
  })

  it('a secret that is not whsec_ and base64, or is empty, signs nothing (an empty key would sign what anybody can)', () => {
    for (const bad of ['whsec_', 'whsec_%%%', 'c2VjcmV0', '', 'whsec_YQ'])
      expect(sign([bad, newest], 'a', 1, body)).toBe(sign([newest], 'a', 1, body))
  })
})

describe('the official library as the receiver', () => {
  const present = () => Math.floor(Date.now() / 1_000)
  const headersOf = (secrets: readonly string[], text: string) => {
    const { id, timestamp, signature } = signed(secrets, 'writer_abc', present(), text)
    return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature }
  }

  it('verifies what we sign', () => {
    fc.assert(
      fc.property(bytes, fc.json(), (key, text) => {
        const secret = newSecret(key)
        expect(new Webhook(secret).verify(text, headersOf([secret], text))).toEqual(JSON.parse(text))
      }),
    )
  })

  it('verifies during a rotation with either secret, and with no other', () => {
    const headers = headersOf([newest, older], body)
    expect(new Webhook(newest).verify(body, headers)).toEqual(JSON.parse(body))
    expect(new Webhook(older).verify(body, headers)).toEqual(JSON.parse(body))
    expect(() => new Webhook(foreign).verify(body, headers)).toThrow('No matching signature')
  })
})

describe('verify', () => {
  const officialHeaders = (secret: string, at = nowSeconds) => ({
    id: 'msg_1',
    timestamp: String(at),
    signature: new Webhook(secret).sign('msg_1', new Date(at * 1_000), body),
  })

  it('accepts what the official library signs, and tells the id and the time', () => {
    expect(verify([newest], officialHeaders(newest), body, now)).toEqual({ ok: true, value: { id: 'msg_1', at: now } })
  })

  it('accepts either side of a rotation: an old sender here, an old secret there', () => {
    expect(verify([newest, older], officialHeaders(older), body, now).ok).toBe(true)
    expect(verify([newest], signed([newest, older]), body, now).ok).toBe(true)
    expect(verify([older], signed([newest, older]), body, now).ok).toBe(true)
  })

  it('refuses a secret it does not know', () => {
    expect(verify([newest], officialHeaders(foreign), body, now)).toMatchObject({
      ok: false,
      error: { code: 'invalid_signature' },
    })
    expect(verify([], officialHeaders(newest), body, now).ok).toBe(false)
  })

  it('refuses an empty secret, under which anybody could sign', () => {
    const anybody = { id: 'a', timestamp: String(nowSeconds), signature: officialHeaders(newest).signature }
    expect(verify(['whsec_'], anybody, body, now).ok).toBe(false)
  })

  it('refuses any changed byte of the body, the id or the time (because all three are signed)', () => {
    fc.assert(
      fc.property(bytes, idText, bodyText, idText, bodyText, fc.integer({ min: 1, max: 200 }), (...given) => {
        const [key, id, text, otherId, otherText, seconds] = given
        fc.pre(id !== otherId && text !== otherText)
        const secrets = [newSecret(key)]
        const headers = signed(secrets, id, nowSeconds, text)
        expect(verify(secrets, headers, text, now).ok).toBe(true)
        expect(verify(secrets, { ...headers, id: otherId }, text, now).ok).toBe(false)
        expect(verify(secrets, headers, otherText, now).ok).toBe(false)
        expect(verify(secrets, { ...headers, timestamp: String(nowSeconds - seconds) }, text, now).ok).toBe(false)
      }),
    )
  })

  it('refuses a body with one byte changed, wherever it is', () => {
    const headers = signed([newest])
    for (let i = 0; i < body.length; i++) {
      const changed = `${body.slice(0, i)}${body[i] === 'x' ? 'y' : 'x'}${body.slice(i + 1)}`
      expect(verify([newest], headers, changed, now).ok).toBe(false)
    }
  })

  it('refuses a signature with one bit changed, wherever it is', () => {
    const headers = signed([newest])
    const digest = Buffer.from(headers.signature.slice(3), 'base64')
    for (let bit = 0; bit < digest.length * 8; bit++) {
      const forged = Buffer.from(digest)
      forged[bit >> 3]! ^= 1 << (bit & 7)
      expect(verify([newest], { ...headers, signature: `v1,${forged.toString('base64')}` }, body, now).ok).toBe(false)
    }
  })

  it('refuses a dot in the id (because the same signature would fit another cut of id, time and body)', () => {
    const genuine = signed([newest], 'a', nowSeconds, `${nowSeconds}.${body}`)
    expect(verify([newest], genuine, `${nowSeconds}.${body}`, now).ok).toBe(true)
    expect(genuine.signature).toBe(sign([newest], `a.${nowSeconds}`, nowSeconds, body))
    expect(verify([newest], { ...genuine, id: `a.${nowSeconds}` }, body, now)).toMatchObject({
      error: { code: 'invalid_signature', reason: expect.stringContaining('dot') },
    })
  })

  it.each([
    [0, true],
    [limits.signatureToleranceSeconds, true],
    [limits.signatureToleranceSeconds + 1, false],
    [-limits.signatureToleranceSeconds, true],
    [-limits.signatureToleranceSeconds - 1, false],
  ])('a timestamp %d s old is fresh: %s', (ageSeconds, fresh) => {
    const answer = verify([newest], signed([newest], 'a', nowSeconds - ageSeconds), body, now)
    if (fresh) expect(answer.ok).toBe(true)
    else
      expect(answer).toEqual({
        ok: false,
        error: {
          code: 'stale_timestamp',
          toleranceSeconds: limits.signatureToleranceSeconds,
          skewSeconds: ageSeconds,
        },
      })
  })

  it('ignores versions it does not know and takes the v1 that fits, wherever it stands', () => {
    const { signature } = signed([newest])
    const unknown = `v1a,${Buffer.alloc(64, 7).toString('base64')}`
    const wrong = sign([foreign], 'writer_abc', nowSeconds, body)
    for (const header of [`${unknown} ${signature}`, `${signature} ${unknown}`, `${wrong} v2,x ${signature} v1,`])
      expect(verify([newest], { ...signed([newest]), signature: header }, body, now).ok).toBe(true)
    expect(verify([newest], { ...signed([newest]), signature: signature.replace('v1', 'v1a') }, body, now).ok).toBe(
      false,
    )
    for (const prefix of ['', 'v1', 'v1;', 'v1,,'])
      expect(verify([newest], { ...signed([newest]), signature: signature.replace('v1,', prefix) }, body, now).ok).toBe(
        false,
      )
  })

  it('refuses a digest that is cut or padded with zeros', () => {
    const headers = signed([newest])
    const digest = Buffer.from(headers.signature.slice(3), 'base64')
    for (const other of [digest.subarray(0, 31), Buffer.concat([digest, Buffer.alloc(1)]), Buffer.alloc(0)])
      expect(verify([newest], { ...headers, signature: `v1,${other.toString('base64')}` }, body, now).ok).toBe(false)
  })

  it.each(['', ' ', 'now', '1e9', '-1', '1.5', '0x10', `${nowSeconds} `, `+${nowSeconds}`, '9'.repeat(400)])(
    'refuses the timestamp %j (because it is not a number of seconds)',
    (timestamp) => {
      const headers = { id: 'a', timestamp, signature: sign([newest], 'a', nowSeconds, body) }
      expect(verify([newest], headers, body, now)).toMatchObject({ error: { code: 'invalid_signature' } })
    },
  )

  it('answers garbage with a fault and never throws', () => {
    const garbage = fc.oneof(anyText(), fc.string(), fc.constant(`v1,${'A'.repeat(43)}=`))
    fc.assert(
      fc.property(
        fc.array(garbage, { maxLength: 3 }),
        garbage,
        fc.oneof(garbage, fc.constant(String(nowSeconds))),
        garbage,
        garbage,
        (secrets, id, timestamp, signature, text) => {
          expect(verify([...secrets, newest], { id, timestamp, signature }, text, now).ok).toBe(false)
        },
      ),
    )
  })
})

/** Which URLs may be called, as tables: every spelling of an address that is not public is refused. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { limits } from '../../shared/limits.ts'
import { checkWebhookUrl } from '../../shared/webhook-url.ts'
import { anyText } from './arbitraries.ts'

const check = (url: string) => checkWebhookUrl(url, { development: false })
const checkInDevelopment = (url: string) => checkWebhookUrl(url, { development: true })
const refusal = (reason: RegExp) => ({
  ok: false,
  error: { code: 'invalid_url', reason: expect.stringMatching(reason) },
})

describe('public URLs', () => {
  it.each([
    ['https://agent.example.com/hook', 'https://agent.example.com/hook'],
    ['https://agent.example.com', 'https://agent.example.com/'],
    ['https://agent.example.com:8443/hook?team=a&b=%20c', 'https://agent.example.com:8443/hook?team=a&b=%20c'],
    ['https://agent.example.com:443/', 'https://agent.example.com/'],
    ['HTTPS://Agent.Example.COM/Hook', 'https://agent.example.com/Hook'],
    ['https://agent.example.com./hook', 'https://agent.example.com./hook'],
    ['https://büro.example.com/', 'https://xn--bro-hoa.example.com/'],
    ['https://localhost.example.com/', 'https://localhost.example.com/'],
    ['https://internal.example.com/', 'https://internal.example.com/'],
    ['https://my-local.dev/', 'https://my-local.dev/'],
    ['https://8.8.8.8/', 'https://8.8.8.8/'],
    ['https://0x08.8.8.8/', 'https://8.8.8.8/'],
    ['https://[2606:4700:4700::1111]/', 'https://[2606:4700:4700::1111]/'],
    ['https://[2001:4860:4860::8888]:8443/', 'https://[2001:4860:4860::8888]:8443/'],
  ])('%s is taken as %s, the form that fetch would call', (url, normal) => {
    expect(check(url)).toEqual({ ok: true, value: normal })
    expect(checkInDevelopment(url)).toEqual({ ok: true, value: normal })
  })

  it.each([
    '1.0.0.1',
    '9.255.255.255',
    '11.0.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '126.255.255.255',
    '128.0.0.0',
    '168.63.129.15',
    '168.63.129.17',
    '169.253.255.255',
    '169.255.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.0.1.0',
    '192.0.3.0',
    '192.167.255.255',
    '192.169.0.0',
    '198.17.255.255',
    '198.20.0.0',
    '198.51.99.255',
    '198.51.101.0',
    '203.0.112.255',
    '203.0.114.0',
    '223.255.255.255',
  ])('%s is public, though its neighbour is not', (address) => {
    expect(check(`https://${address}/`).ok).toBe(true)
  })

  it.each(['2000::', '2001:200::', '2001:db7:ffff::', '2001:db9::', '2003::', '3ffe::', '3fff:1000::'])(
    '[%s] is public, though its neighbour is not',
    (address) => {
      expect(check(`https://[${address}]/`).ok).toBe(true)
    },
  )
})

describe('what is not a webhook URL at all', () => {
  it.each([
    ['', /absolute URL/],
    ['agent.example.com/hook', /absolute URL/],
    ['/hook', /absolute URL/],
    ['//agent.example.com/hook', /absolute URL/],
    ['https://', /absolute URL/],
    ['https://1.2.3.4.5/', /absolute URL/],
    ['https://256.256.256.256/', /absolute URL/],
    ['https://[fe80::1%25eth0]/', /absolute URL/],
    ['https://agent.example.com:99999/', /absolute URL/],
    ['mailto:agent@example.com', /absolute URL/],
    ['http://agent.example.com/hook', /https/],
    ['ftp://agent.example.com/hook', /https/],
    ['wss://agent.example.com/hook', /https/],
    ['file://agent.example.com/etc/passwd', /https/],
    [' https://agent.example.com/', /spaces or control/],
    ['https://agent.example.com/\n', /spaces or control/],
    ['https://agent.exa\tmple.com/', /spaces or control/],
    ['https://agent.example.com/a b', /spaces or control/],
    ['https://agent.example.com/hook#part', /fragment/],
    ['https://user@agent.example.com/', /user name or password/],
    ['https://user:secret@agent.example.com/', /user name or password/],
    ['https://agent.example.com@127.0.0.1/', /user name or password/],
  ])('%j is refused', (url, reason) => {
    expect(check(url)).toMatchObject(refusal(reason))
    expect(checkInDevelopment(url)).toMatchObject(refusal(reason))
  })

  it('a password is not repeated in the fault (because faults are shown and logged)', () => {
    const answer = check('https://user:secret@agent.example.com/hook')
    expect(JSON.stringify(answer)).not.toContain('secret')
    expect(JSON.stringify(answer)).toContain('agent.example.com/hook')
  })

  it('is bounded in length, and so is the fault', () => {
    const base = 'https://agent.example.com/'
    expect(check(base.padEnd(limits.urlLength, 'a')).ok).toBe(true)
    const answer = check(base.padEnd(limits.urlLength + 1, 'a'))
    expect(answer).toMatchObject(refusal(/2048 characters/))
    expect(JSON.stringify(answer).length).toBeLessThan(400)
  })
})

describe('names that are not public (TB17)', () => {
  it.each([
    'localhost',
    'LOCALHOST',
    'localhost.',
    'api.localhost',
    'a.b.localhost',
    'localhost.localdomain',
    'printer.local',
    'printer.local.',
    'vault.internal',
    'metadata.google.internal',
    'instance-data.ec2.internal',
    'metadata.goog',
    'db.corp',
    'db.intranet',
    'nas.home.arpa',
    'nas.home',
    'router.lan',
    'svc.private',
    'intranet',
    'kubernetes',
    'kubernetes.',
    '%6c%6f%63%61%6c%68%6f%73%74',
    'ｌｏｃａｌｈｏｓｔ',
    'ⓛocalhost',
    'localhost..',
    'agent..example.com',
    '.example.com',
  ])('%s is refused', (host) => {
    expect(check(`https://${host}/`)).toMatchObject({ ok: false, error: { code: 'invalid_url' } })
    expect(check(`https://${host}:8443/hook`).ok).toBe(false)
    expect(checkInDevelopment(`https://${host}/`).ok).toBe(false)
  })
})

describe('IPv4 addresses that are not public (TB17)', () => {
  it.each([
    ['0.0.0.0', /unspecified/],
    ['0.255.255.255', /unspecified/],
    ['10.0.0.0', /private/],
    ['10.255.255.255', /private/],
    ['100.64.0.0', /CGNAT/],
    ['100.100.100.200', /CGNAT/],
    ['100.127.255.255', /CGNAT/],
    ['127.0.0.1', /loopback/],
    ['127.255.255.255', /loopback/],
    ['168.63.129.16', /metadata/],
    ['169.254.0.0', /link-local/],
    ['169.254.169.254', /link-local/],
    ['169.254.170.2', /link-local/],
    ['169.254.255.255', /link-local/],
    ['172.16.0.0', /private/],
    ['172.31.255.255', /private/],
    ['192.0.0.192', /reserved/],
    ['192.0.2.1', /documentation/],
    ['192.88.99.1', /reserved/],
    ['192.168.0.0', /private/],
    ['192.168.255.255', /private/],
    ['198.18.0.0', /benchmarks/],
    ['198.19.255.255', /benchmarks/],
    ['198.51.100.7', /documentation/],
    ['203.0.113.7', /documentation/],
    ['224.0.0.1', /multicast/],
    ['239.255.255.255', /multicast/],
    ['240.0.0.1', /reserved/],
    ['255.255.255.255', /reserved/],
  ])('%s is refused, and the reason says what it is', (address, reason) => {
    expect(check(`https://${address}/`)).toMatchObject(refusal(reason))
    expect(check(`https://${address}./`)).toMatchObject(refusal(reason))
  })

  it.each([
    ['2130706433', 'decimal'],
    ['0x7f000001', 'hex'],
    ['0X7F.1', 'hex and short'],
    ['0177.0.0.1', 'octal'],
    ['017700000001', 'octal in one'],
    ['127.1', 'short'],
    ['127.0.1', 'short'],
    ['0x7f.0.0.0x1', 'mixed'],
    ['127.0.0.1.', 'with the root’s dot'],
    ['127%2e0%2e0%2e1', 'percent-encoded'],
    ['%31%32%37.0.0.1', 'percent-encoded digits'],
    ['①②⑦.⓪.⓪.①', 'circled digits'],
    ['１２７。０。０。１', 'full-width digits and stops'],
    ['2852039166', 'decimal metadata address'],
    ['0xa9fea9fe', 'hex metadata address'],
    ['0251.0376.0251.0376', 'octal metadata address'],
    ['0', 'zero'],
    ['0x', 'empty hex'],
  ])('%s is refused (%s)', (host) => {
    expect(check(`https://${host}/`)).toMatchObject({ ok: false, error: { code: 'invalid_url' } })
  })

  it('refuses every address of every private network, however it is written', () => {
    const byte = fc.nat(255)
    const address = fc.oneof(
      fc.tuple(fc.constantFrom(10, 127, 0), byte, byte, byte),
      fc.tuple(fc.constant(172), fc.integer({ min: 16, max: 31 }), byte, byte),
      fc.tuple(fc.constant(192), fc.constant(168), byte, byte),
      fc.tuple(fc.constant(169), fc.constant(254), byte, byte),
      fc.tuple(fc.constant(100), fc.integer({ min: 64, max: 127 }), byte, byte),
      fc.tuple(fc.integer({ min: 224, max: 255 }), byte, byte, byte),
    )
    fc.assert(
      fc.property(address, ([a, b, c, d]) => {
        const number = ((a * 256 + b) * 256 + c) * 256 + d
        const spellings = [
          `${a}.${b}.${c}.${d}`,
          String(number),
          `0x${number.toString(16)}`,
          `0${number.toString(8)}`,
          `0x${a.toString(16)}.0${b.toString(8)}.${c * 256 + d}`,
          `[::ffff:${a}.${b}.${c}.${d}]`,
          `[::${a}.${b}.${c}.${d}]`,
          `[64:ff9b::${a}.${b}.${c}.${d}]`,
          `[2002:${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}::]`,
        ]
        for (const host of spellings) expect(check(`https://${host}/`).ok, host).toBe(false)
      }),
    )
  })
})

describe('IPv6 addresses that are not public (TB17)', () => {
  it.each([
    ['::', /unspecified/],
    ['0:0:0:0:0:0:0:0', /unspecified/],
    ['::1', /loopback/],
    ['0000:0000:0000:0000:0000:0000:0000:0001', /loopback/],
    ['fe80::1', /link-local/],
    ['febf:ffff::', /link-local/],
    ['fec0::1', /site-local/],
    ['fc00::1', /ULA/],
    ['fd00:ec2::254', /ULA/],
    ['fd20:ce::254', /ULA/],
    ['fdff:ffff::', /ULA/],
    ['ff02::1', /multicast/],
    ['FF0E::1', /multicast/],
    ['2001:db8::1', /documentation/],
    ['2001:db8:ffff::', /documentation/],
    ['3fff::1', /documentation/],
    ['3fff:fff::', /documentation/],
    ['2001:2::1', /reserved/],
    ['2001:10::1', /reserved/],
    ['2001::1', /Teredo/],
    ['2002:7f00:1::', /6to4/],
    ['2002:c0a8:1::1', /6to4/],
    ['2002:808:808::', /6to4/],
    ['64:ff9b::7f00:1', /NAT64/],
    ['64:ff9b::10.0.0.1', /NAT64/],
    ['64:ff9b:1::1', /NAT64/],
    ['::ffff:127.0.0.1', /mapped/],
    ['::ffff:7f00:1', /mapped/],
    ['::ffff:a9fe:a9fe', /mapped/],
    ['::ffff:8.8.8.8', /mapped/],
    ['0:0:0:0:0:ffff:10.0.0.1', /mapped/],
    ['::ffff:0:127.0.0.1', /translated/],
    ['::127.0.0.1', /compatible/],
    ['::7f00:1', /compatible/],
    ['::2', /compatible/],
    ['100::1', /not global unicast/],
    ['5f00::1', /not global unicast/],
    ['1fff:ffff::', /not global unicast/],
    ['4000::', /not global unicast/],
    ['fe00::', /not global unicast/],
  ])('[%s] is refused, and the reason says what it is', (address, reason) => {
    expect(check(`https://[${address}]/`)).toMatchObject(refusal(reason))
    expect(check(`https://[${address}]:8443/hook`)).toMatchObject(refusal(reason))
  })
})

describe('development', () => {
  it.each([
    'http://127.0.0.1:9000/hook',
    'http://127.0.0.2/hook',
    'http://127.255.255.255/hook',
    'http://localhost:3000/hook',
    'http://[::1]:3000/hook',
  ])('%s is allowed there, and only there', (url) => {
    expect(checkInDevelopment(url)).toEqual({ ok: true, value: url })
    expect(check(url)).toMatchObject(refusal(/https/))
  })

  it('http by another spelling of loopback is the same address', () => {
    expect(checkInDevelopment('http://127.1:9000/')).toEqual({ ok: true, value: 'http://127.0.0.1:9000/' })
    expect(checkInDevelopment('http://[0:0::1]/')).toEqual({ ok: true, value: 'http://[::1]/' })
  })

  it.each([
    'http://agent.example.com/hook',
    'http://10.0.0.1/hook',
    'http://192.168.1.10/hook',
    'http://169.254.169.254/latest/meta-data',
    'http://0.0.0.0:9000/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::]/',
    'http://api.localhost/',
    'http://localhost./',
    'http://localhost.example.com/',
    'http://127.0.0.1.example.com/',
    'http://user@127.0.0.1/',
    'http://127.0.0.1/#part',
    'ws://127.0.0.1/',
    'https://127.0.0.1/',
    'https://localhost/',
  ])('%s is refused there too (because it is neither public https nor loopback http)', (url) => {
    expect(checkInDevelopment(url).ok).toBe(false)
  })
})

describe('whatever is sent', () => {
  it('never throws, and what is allowed is its own normal form', () => {
    const parts = 'http https : / // @ . 127.0.0.1 example.com [ ] ::1 # % \\ ?'.split(' ')
    const urlLike = fc.array(fc.constantFrom(...parts), { maxLength: 9 }).map((chosen) => chosen.join(''))
    const hostPath = fc.tuple(fc.domain(), anyText()).map(([host, path]) => `https://${host}/${path}`)
    fc.assert(
      fc.property(fc.oneof(anyText(), urlLike, hostPath), fc.boolean(), (url, development) => {
        const answer = checkWebhookUrl(url, { development })
        if (answer.ok) expect(checkWebhookUrl(answer.value, { development })).toEqual(answer)
      }),
    )
  })
})

/**
 * May this URL be a webhook? Keeps the broker from being talked into calling the network it stands in. Judges the URL as the
 * WHATWG parser reads it, because fetch reads it so: every spelling of an address (decimal, octal, hex, full-width digits,
 * percent-encoded) is one address by then, and what is returned is that reading.
 * Never here, because a pure function cannot see it: what DNS answers. A public name may resolve to a private address, now or
 * at the next lookup (localtest.me and nip.io do so openly). On Cloudflare's network a Worker's fetch cannot reach private
 * addresses; whoever runs Switchboard elsewhere needs an egress filter besides. Redirects are not followed (workers/webhook.ts).
 */
import type { Fault } from './fault.ts'
import { limits } from './limits.ts'
import { err, ok, type Result } from './result.ts'

/**
 * The URL in its normal form, or `invalid_url` with the reason. `development` also allows http to this machine
 * (127.0.0.0/8, [::1], localhost), and nothing else.
 */
export function checkWebhookUrl(url: string, options: { readonly development: boolean }): Result<string, Fault> {
  if (url.length > limits.urlLength) return refused(url, `it has more than ${limits.urlLength} characters.`)
  // The parser drops tabs and newlines and trims spaces silently, so what was meant would not be what is called.
  if (hasBlank(url)) return refused(url, 'it has spaces or control characters.')
  const parsed = URL.parse(url)
  if (parsed === null || parsed.hostname === '')
    return refused(url, 'it is not an absolute URL such as https://agent.example.com/hook.')
  if (parsed.username !== '' || parsed.password !== '')
    return refused(withoutUserinfo(parsed), 'it has a user name or password. The signature proves who calls.')
  if (parsed.hash !== '') return refused(url, 'it has a fragment, which is never sent. Leave out what follows `#`.')
  if (options.development && parsed.protocol === 'http:' && isLoopback(parsed.hostname)) return ok(parsed.href)
  if (parsed.protocol !== 'https:') return refused(url, 'it must be https.')
  const reason = whyNotPublic(parsed.hostname)
  return reason === undefined ? ok(parsed.href) : refused(url, reason)
}

function refused(url: string, reason: string): Result<never, Fault> {
  return err({ code: 'invalid_url', url: url.length > 200 ? `${url.slice(0, 200)}…` : url, reason })
}

function hasBlank(url: string): boolean {
  for (const char of url) if (char <= ' ' || char === '\u007f') return true
  return false
}

// A password must not travel on in a problem document.
function withoutUserinfo(url: URL): string {
  return `${url.protocol}//…@${url.host}${url.pathname}`
}

/** This machine, by a URL's `hostname`. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
}

function whyNotPublic(hostname: string): string | undefined {
  if (hostname.startsWith('[')) return whyNotPublicV6(groupsOf(hostname))
  // The parser makes four decimal numbers of every host that ends in a number, or fails.
  if (/^\d+\.\d+\.\d+\.\d+$/.test(hostname)) return whyNotPublicV4(hostname.split('.').map(Number))
  return whyNotPublicName(hostname)
}

// --- names ------------------------------------------------------------------------------------------------------------

/** Suffixes that name hosts within a machine or a network: RFC 6762 and 8375, ICANN's `internal`, and common habit. */
const privateSuffixes: ReadonlySet<string> = new Set(
  'localhost localdomain local internal intranet corp home lan private home.arpa'.split(' '),
)

/** Cloud metadata services by public-looking names. */
const metadataNames: ReadonlySet<string> = new Set(['metadata.goog'])

function whyNotPublicName(hostname: string): string | undefined {
  // A name may end in the root's dot.
  const labels = hostname.replace(/\.$/, '').split('.')
  if (labels.includes('')) return 'its host has an empty label.'
  for (const suffix of [labels.slice(-1).join('.'), labels.slice(-2).join('.')])
    if (privateSuffixes.has(suffix)) return `${suffix} names a private network, or this machine.`
  if (labels.length === 1) return `\`${hostname}\` has no domain, so it names a host of a private network.`
  return metadataNames.has(labels.join('.')) ? 'it is a cloud metadata service.' : undefined
}

// --- addresses --------------------------------------------------------------------------------------------------------

type Block = readonly [first: string, bits: number, what: string]

/** IANA's IPv4 special-purpose registry as far as it is not globally reachable, and what clouds keep for themselves. */
const blocks4: readonly Block[] = [
  ['0.0.0.0', 8, 'is unspecified'],
  ['10.0.0.0', 8, 'is private'],
  ['100.64.0.0', 10, 'is shared by carriers (CGNAT)'],
  ['127.0.0.0', 8, 'is loopback'],
  ['168.63.129.16', 32, 'is a cloud metadata service'],
  ['169.254.0.0', 16, 'is link-local (and where clouds keep their metadata)'],
  ['172.16.0.0', 12, 'is private'],
  ['192.0.0.0', 24, 'is reserved'],
  ['192.0.2.0', 24, 'is for documentation'],
  ['192.88.99.0', 24, 'is reserved'],
  ['192.168.0.0', 16, 'is private'],
  ['198.18.0.0', 15, 'is for benchmarks'],
  ['198.51.100.0', 24, 'is for documentation'],
  ['203.0.113.0', 24, 'is for documentation'],
  ['224.0.0.0', 4, 'is multicast'],
  ['240.0.0.0', 4, 'is reserved'],
]

function whyNotPublicV4(bytes: readonly number[]): string | undefined {
  const found = blocks4.find(([first, bits]) => within(bytes, first.split('.').map(Number), bits, 8))
  return found && `${bytes.join('.')} ${found[2]}.`
}

/**
 * Tried in order; what no block claims is public only within 2000::/3. Addresses with an IPv4 address inside are refused
 * whatever is inside: whoever means that address can write it, and translators differ in what they make of it.
 */
const blocks6: readonly Block[] = [
  ['::', 128, 'is unspecified'],
  ['::1', 128, 'is loopback'],
  ['::', 96, 'holds an IPv4 address (compatible)'],
  ['::ffff:0:0', 96, 'holds an IPv4 address (mapped)'],
  ['::ffff:0:0:0', 96, 'holds an IPv4 address (translated)'],
  ['64:ff9b::', 96, 'holds an IPv4 address (NAT64)'],
  ['64:ff9b:1::', 48, 'holds an IPv4 address (NAT64)'],
  ['fc00::', 7, 'is private (ULA)'],
  ['fe80::', 10, 'is link-local'],
  ['fec0::', 10, 'is site-local'],
  ['ff00::', 8, 'is multicast'],
  ['2001::', 32, 'holds an IPv4 address (Teredo)'],
  ['2001::', 23, 'is reserved'],
  ['2001:db8::', 32, 'is for documentation'],
  ['2002::', 16, 'holds an IPv4 address (6to4)'],
  ['3fff::', 20, 'is for documentation'],
]

function whyNotPublicV6(groups: readonly number[]): string | undefined {
  const found = blocks6.find(([first, bits]) => within(groups, groupsOf(first), bits, 16))
  if (found !== undefined) return `this IPv6 address ${found[2]}.`
  return within(groups, groupsOf('2000::'), 3, 16) ? undefined : 'this IPv6 address is not global unicast.'
}

/** Eight numbers. The parser has already made lower-case hex of whatever was written; `::` stands for the zeros left out. */
function groupsOf(address: string): number[] {
  const [head = '', tail = ''] = address.replace(/[[\]]/g, '').split('::')
  const numbers = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)))
  const before = numbers(head)
  const after = numbers(tail)
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after]
}

/** Do the first `bits` bits agree? `size` is the width of one part. */
function within(parts: readonly number[], first: readonly number[], bits: number, size: number): boolean {
  return first.every((part, i) => {
    const compared = Math.min(size, Math.max(0, bits - i * size))
    return (part ^ (parts[i] ?? 0)) >>> (size - compared) === 0
  })
}

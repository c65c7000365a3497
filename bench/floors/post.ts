/**
 * What every floor does at its end: one signed POST to the webhook, as Standard Webhooks has it. Never here: a retry, a deadline
 * or a record of it, which is what a floor goes without.
 */

/** What a floor is given: where its webhook is, and what to sign with. */
export interface Sink {
  readonly SINK: string
  readonly SECRET: string
}

/** One message: its id, the object that keeps its record where there is one, and its body. */
export interface Mail {
  readonly id: string
  readonly agent: string
  readonly body: string
}

const keys = new Map<string, Promise<CryptoKey>>()

/** Posts it; what the webhook answered. Anything but a 2xx is thrown. */
export async function post(env: Sink, mail: Mail): Promise<string> {
  const timestamp = Math.floor(Date.now() / 1_000)
  const response = await fetch(env.SINK, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'webhook-id': mail.id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': `v1,${await signed(env.SECRET, `${mail.id}.${timestamp}.${mail.body}`)}`,
    },
    body: mail.body,
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`the webhook answered ${response.status}`)
  return text
}

async function signed(secret: string, text: string): Promise<string> {
  const utf8 = new TextEncoder()
  const hmac = { name: 'HMAC', hash: 'SHA-256' }
  const key = keys.get(secret) ?? crypto.subtle.importKey('raw', utf8.encode(secret), hmac, false, ['sign'])
  keys.set(secret, key)
  const signature = new Uint8Array(await crypto.subtle.sign('HMAC', await key, utf8.encode(text)))
  return btoa(String.fromCharCode(...signature))
}

/** What was published: one message, or several. */
export async function published(request: Request): Promise<readonly Mail[]> {
  // Only the benchmark calls it.
  const read = (await request.json()) as Mail | readonly Mail[]
  return 'id' in read ? [read] : read
}

/**
 * What each peer's worker does with a message: one signed POST to the webhook, as Standard Webhooks has it, like Switchboard and the
 * floors. Never here: a peer.
 */
import { createHmac } from 'node:crypto'
import { Client } from '../client.ts'
import { dataOf } from '../contender.ts'

export interface Mail {
  readonly id: string
  readonly type: 'bench'
  readonly data: { readonly bench: string }
}

export const mailOf = (id: string): Mail => ({ id, type: 'bench', data: dataOf(id) })

const secret = 'a secret of thirty-two characters'

/** Posts to the sink; gives back what it answered. Anything but a 2xx is thrown. */
export function poster(sink: string): (path: string, mail: Mail) => Promise<string> {
  const client = new Client(() => sink)
  return async (path, mail) => {
    const timestamp = Math.floor(Date.now() / 1_000)
    const content = `${mail.id}.${timestamp}.${JSON.stringify(mail)}`
    const signature = createHmac('sha256', secret).update(content).digest('base64')
    const { status, text } = await client.send('POST', path, mail, {
      'webhook-id': mail.id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': `v1,${signature}`,
    })
    if (status < 200 || status > 299) throw new Error(`the webhook answered ${status}`)
    return text
  }
}

/**
 * Logging in and out, for the pages that people read. Never here: who is logged in (workers/session.ts).
 */
import { type Context, Hono } from 'hono'
import { html } from 'hono/html'
import { keyHash, sameHash } from '../../shared/keys.ts'
import { limits } from '../../shared/limits.ts'
import { localPage } from '../../shared/session.ts'
import type { App } from '../context.ts'
import { type Html, pageOf, privatePage, prose } from '../page.ts'
import { readBytes, refuse } from '../problem.ts'
import { isOwnForm, logIn, logOut } from '../session.ts'

export const session = new Hono<App>()

session.get('/login', (c) => {
  const { adminKey } = c.get('platform').settings
  if (adminKey === undefined) return privatePage(pageOf('Switchboard', notConfigured), 503)
  return privatePage(form(c.req.query('next')), 200)
})

session.post('/login', async (c) => {
  if (!isOwnForm(c)) return refuse({ code: 'forbidden', action: 'log in from', subject: c.req.header('origin') ?? '' })
  const { adminKey } = c.get('platform').settings
  if (adminKey === undefined) return refuse({ code: 'not_configured' })
  const fields = await fieldsOf(c)
  const next = fields.get('next') ?? undefined
  // By hashes, so that the time taken does not tell how much of the key is right.
  if (!sameHash(keyHash(fields.get('key') ?? ''), keyHash(adminKey)))
    return privatePage(form(next, html`<p class="tag bad">This is not the admin key.</p>`), 403)
  logIn(c, adminKey)
  return c.redirect(localPage(next), 303)
})

session.post('/logout', (c) => {
  if (!isOwnForm(c)) return refuse({ code: 'forbidden', action: 'log out from', subject: c.req.header('origin') ?? '' })
  logOut(c)
  return c.redirect('/login', 303)
})

async function fieldsOf(c: Context<App>): Promise<URLSearchParams> {
  return new URLSearchParams(new TextDecoder().decode(await readBytes(c, limits.formBytes)))
}

const notConfigured = html`<p>${prose('This Switchboard has no admin key, so nobody can log in. Set one with `npx wrangler secret put SWITCHBOARD_ADMIN_KEY`.')}</p>`

function form(next: string | undefined, said: Html = html``): string {
  return pageOf(
    'Switchboard',
    html`${said}<form class="wide" method="post" action="/login"><input type="hidden" name="next" value="${localPage(next)}">
<p><label>Admin key<br><input type="password" name="key" autocomplete="current-password" required autofocus></label></p>
<p><button>Log in</button></p></form>
<p class="soft">${prose(`The deployment’s \`SWITCHBOARD_ADMIN_KEY\`; \`npm start\` keeps one in \`.dev.vars\`. The browser gets a session for ${limits.sessionSeconds / 3_600} hours, not the key.`)}</p>`,
  )
}

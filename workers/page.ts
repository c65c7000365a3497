/**
 * The frame of every page for people: self-contained HTML without scripts, its one style, and the headers that hold the browser
 * to that. Never here: what a page says.
 */
import { html, raw } from 'hono/html'
import { toBase64 } from '../shared/base64.ts'

export type Html = ReturnType<typeof html>

const style = `
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --accent: #0a66c2; --good: #1a7f37; --bad: #c62828; --wait: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --accent: #6cb6ff; --good: #57ab5a; --bad: #ff7b72; --wait: #d29922; } }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1.5rem; }
h1 { overflow-wrap: anywhere; line-height: 1.25; }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
h3 { margin: 0; font-size: 1.05rem; }
a { color: var(--accent); }
article { border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.2rem; margin: 1rem 0; }
:target { outline: 2px solid var(--accent); outline-offset: 2px; }
code, pre { font: 0.88em/1.5 ui-monospace, monospace; }
code { background: var(--soft); border-radius: 4px; padding: 0.1em 0.3em; overflow-wrap: anywhere; unicode-bidi: isolate; }
pre { background: var(--soft); border-radius: 8px; padding: 0.8rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.8rem 0.3rem 0; border-top: 1px solid var(--line); }
th { width: 11rem; font-weight: 600; }
nav ul { columns: 2; padding-left: 1.1rem; }
.method { display: inline-block; min-width: 4.2rem; font-weight: 700; }
.who { opacity: 0.8; }
header { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem; }
header form { margin: 0; }
button, input { font: inherit; padding: 0.35rem 0.7rem; border: 1px solid var(--line); border-radius: 6px; max-width: 100%; box-sizing: border-box; }
form.wide input { width: 32rem; }
.verdict { border-left: 0.35rem solid var(--line); }
.verdict p { margin: 0.4rem 0 0; }
.good { border-color: var(--good); } .bad { border-color: var(--bad); } .wait { border-color: var(--wait); }
.tag { font-weight: 600; } .tag.good { color: var(--good); } .tag.bad { color: var(--bad); } .tag.wait { color: var(--wait); }
ul.lines { list-style: none; padding: 0; }
ul.lines li { border-top: 1px solid var(--line); padding: 0.4rem 0; }
.soft { opacity: 0.75; }
.text { overflow-wrap: anywhere; unicode-bidi: isolate; white-space: pre-wrap; }
time { white-space: nowrap; font-variant-numeric: tabular-nums; }
ol.ladder { list-style: none; padding: 0; margin: 1rem 0; }
ol.ladder li { border-left: 2px solid var(--line); padding: 0.15rem 0 0.5rem 1rem; position: relative; }
ol.ladder li::before { content: ""; position: absolute; left: -0.41rem; top: 0.55rem; width: 0.7rem; height: 0.7rem; border-radius: 50%; background: var(--accent); }
ol.ladder li.bad::before { background: var(--bad); } ol.ladder li.good::before { background: var(--good); } ol.ladder li.wait::before { background: var(--wait); }
@media (max-width: 40rem) {
  body { padding: 1rem; }
  h1 { font-size: 1.35rem; }
  nav ul { columns: 1; }
  table.facts th, table.facts td { display: block; width: auto; border: 0; padding: 0; }
  table.facts tr { display: block; border-top: 1px solid var(--line); padding: 0.35rem 0; }
}
`

/** A whole page. Nothing in it is asynchronous, so the template is a string already. */
export function pageOf(heading: string, body: Html | readonly Html[], above: Html = html``): string {
  return String(html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${heading}</title><style>${raw(style)}</style></head>
<body>${above}<h1>${heading}</h1>${body}</body></html>
`)
}

/** One row of a table of facts. */
export const row = (name: unknown, meaning: unknown): Html =>
  html`<tr><th scope="row">${name}</th><td>${meaning}</td></tr>`

/** Text whose only markup is backticks. */
export function prose(text: string): Html[] {
  return text.split('`').map((part, i) => (i % 2 === 1 ? html`<code>${part}</code>` : html`${part}`))
}

// What a page loads and runs is nothing; should something ever slip into one, the browser will not load or run it either.
const always = {
  'Content-Type': 'text/html; charset=utf-8',
  'X-Content-Type-Options': 'nosniff',
}

/** A page that is the same for everybody. */
export async function openPage(page: string): Promise<Response> {
  return new Response(page, {
    headers: {
      ...always,
      'Content-Security-Policy': await policy("'none'"),
      'Referrer-Policy': 'no-referrer',
      'Cache-Control': 'no-cache',
    },
  })
}

/** A page for who is logged in, or about to be: kept nowhere, and its forms come back to us. */
export async function privatePage(
  page: string,
  status: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return new Response(page, {
    status,
    headers: {
      ...always,
      'Content-Security-Policy': await policy("'self'"),
      // With no-referrer a browser would send its forms with `Origin: null`, and a form's origin is checked.
      'Referrer-Policy': 'same-origin',
      'Cache-Control': 'no-store',
      ...headers,
    },
  })
}

// Once per isolate. The text and not the promise of it: a promise belongs to the request that made it.
let styleHash: string | undefined

async function policy(formAction: string): Promise<string> {
  styleHash ??= toBase64(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(style))))
  return `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action ${formAction}; frame-ancestors 'none'`
}

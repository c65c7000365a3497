/**
 * The reference page and the page of problem codes: self-contained HTML without scripts, made of the same table as the OpenAPI
 * document. Never here: a sentence about an operation (shared/api.ts) or a code (shared/fault.ts).
 */
import { html, raw } from 'hono/html'
import { about, operations, tags, title } from '../shared/api.ts'
import { callers, faultsOf, type Operation } from '../shared/api-operation.ts'
import type { FaultCode } from '../shared/fault.ts'
import { exampleOf, faultCodes } from '../shared/fault-examples.ts'
import { answerNamesInUse, byStatus, requestNamesInUse, schemaComponents } from '../shared/openapi.ts'

type Html = ReturnType<typeof html>

/** The only style of both pages; the response's policy names its hash. */
export const style = `
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --accent: #0a66c2; }
@media (prefers-color-scheme: dark) { :root { --accent: #6cb6ff; } }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1.5rem; }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
h3 { margin: 0; font-size: 1.05rem; }
a { color: var(--accent); }
article { border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.2rem; margin: 1rem 0; }
:target { outline: 2px solid var(--accent); outline-offset: 2px; }
code, pre { font: 0.88em/1.5 ui-monospace, monospace; }
code { background: var(--soft); border-radius: 4px; padding: 0.1em 0.3em; }
pre { background: var(--soft); border-radius: 8px; padding: 0.8rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.8rem 0.3rem 0; border-top: 1px solid var(--line); }
th { width: 11rem; font-weight: 600; }
nav ul { columns: 2; padding-left: 1.1rem; }
.method { display: inline-block; min-width: 4.2rem; font-weight: 700; }
.who { opacity: 0.8; }
`

/** Every operation, and every schema. */
export function docsPage(): string {
  const sections = Object.entries(tags).map(([tag, about]) => {
    const own = operations.filter((operation) => operation.tag === tag)
    return html`<h2 id="${anchor(tag)}">${tag}</h2><p>${prose(about)}</p>${own.map(operationArticle)}`
  })
  const schemas = Object.entries(schemaComponents()).map(
    ([name, schema]) =>
      html`<article id="schema-${name}"><h3>${name}</h3><pre>${JSON.stringify(schema, null, 2)}</pre></article>`,
  )
  return page(
    title,
    html`<p>${prose(about)}</p>
<p><a href="/openapi.json">OpenAPI 3.1 document</a> · <a href="/problems">Problem codes</a></p>
<nav>${Object.keys(tags).map(tagIndex)}</nav>
${sections}<h2 id="schemas">Schemas</h2>${schemas}`,
  )
}

/** Every problem code, each at its own anchor: a problem's `type` points there. */
export function problemsPage(): string {
  return page(
    `${title}: problem codes`,
    html`<p>Every refusal is an <code>application/problem+json</code> document (RFC 9457). Switch on <code>code</code>: it is stable. <code>retryable</code> says whether sending the same again later may work.</p>
<p><a href="/docs">Reference</a></p>${faultCodes.map(problemArticle)}`,
  )
}

function page(heading: string, body: Html): string {
  // Nothing in a page is asynchronous, so the template is a string already.
  return String(html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${heading}</title><style>${raw(style)}</style></head>
<body><h1>${heading}</h1>${body}</body></html>
`)
}

const anchor = (text: string) => text.toLowerCase().replaceAll(' ', '-')

/** Text of the table, whose only markup is backticks and empty lines. */
function prose(text: string): Html[] {
  return text.split('`').map((part, i) => (i % 2 === 1 ? html`<code>${part}</code>` : html`${part}`))
}

function tagIndex(tag: string): Html {
  const own = operations.filter((operation) => operation.tag === tag)
  const entries = own.map(({ id, method, path }) => html`<li><a href="#${id}">${method.toUpperCase()} ${path}</a></li>`)
  return html`<h3><a href="#${anchor(tag)}">${tag}</a></h3><ul>${entries}</ul>`
}

function operationArticle(operation: Operation): Html {
  const { id, method, path, summary, description, who } = operation
  return html`<article id="${id}"><h3><span class="method">${method.toUpperCase()}</span> ${path}</h3>
<p><strong>${summary}.</strong> ${description === undefined ? '' : prose(description)}</p>
<p class="who">Who may: ${prose(callers[who])}</p>
<table>${parameterRows(operation)}${bodyRow(operation)}${answerRows(operation)}${problemRows(operation)}</table></article>`
}

const row = (name: unknown, meaning: unknown): Html => html`<tr><th scope="row">${name}</th><td>${meaning}</td></tr>`

const schemaLink = (name: string): Html => html`<a href="#schema-${name}">${name}</a>`

function parameterRows({ query, headers }: Operation): Html[] {
  const inQuery = Object.entries(query?.shape ?? {}).map(([name, schema]) =>
    row(html`<code>?${name}=</code>`, prose(schema.description ?? '')),
  )
  const inHeaders = (headers ?? []).map(({ name, description }) => row(html`<code>${name}:</code>`, prose(description)))
  return [...inQuery, ...inHeaders]
}

function bodyRow({ body }: Operation): Html {
  if (body === undefined) return html``
  const names = requestNamesInUse()
  const types = Object.entries(body.types).map(
    ([type, schema]) => html`<div><code>${type}</code> ${schemaLink(names.get(schema) ?? '')}</div>`,
  )
  return row(
    'Body',
    html`${types}<div>${body.optional === true ? 'May be left out. ' : ''}At most ${body.limitBytes} bytes.</div>`,
  )
}

function answerRows({ answers }: Operation): Html[] {
  const names = answerNamesInUse()
  return answers.map(({ status, description, schema }) => {
    const name = schema === undefined ? undefined : names.get(schema)
    return row(html`<code>${status}</code>`, html`${prose(description)} ${name === undefined ? '' : schemaLink(name)}`)
  })
}

function problemRows(operation: Operation): Html[] {
  return byStatus(faultsOf(operation)).map(([status, codes]) => {
    const links = codes.map((code) => html`<a href="/problems#${code}">${code}</a> `)
    return row(html`<code>${status}</code>`, links)
  })
}

function problemArticle(code: FaultCode): Html {
  const { status, headers, body } = exampleOf(code)
  const sent = Object.entries(headers).map(([name, value]) => html`<div><code>${name}: ${value}</code></div>`)
  return html`<article id="${code}"><h3><code>${code}</code></h3>
<p><strong>${status} ${body.title}.</strong> ${body.retryable ? 'Sending the same again later may work.' : 'Sending the same again will not help.'}</p>
${sent}<pre>${JSON.stringify(body, null, 2)}</pre></article>`
}

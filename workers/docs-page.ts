/**
 * The reference page and the page of problem codes, made of the same table as the OpenAPI document. Never here: their frame
 * (workers/page.ts), a sentence about an operation (shared/api.ts) or a code (shared/fault.ts).
 */
import { html } from 'hono/html'
import { about, operations, tags, title } from '../shared/api.ts'
import { callers, faultsOf, type Operation } from '../shared/api-operation.ts'
import type { FaultCode } from '../shared/fault.ts'
import { exampleOf, faultCodes } from '../shared/fault-examples.ts'
import { answerNamesInUse, byStatus, requestNamesInUse, schemaComponents } from '../shared/openapi.ts'
import { type Html, pageOf, prose, row } from './page.ts'

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
  return pageOf(
    title,
    html`<p>${prose(about)}</p>
<p><a href="/openapi.json">OpenAPI 3.1 document</a> · <a href="/problems">Problem codes</a></p>
<nav>${Object.keys(tags).map(tagIndex)}</nav>
${sections}<h2 id="schemas">Schemas</h2>${schemas}`,
  )
}

/** Every problem code, each at its own anchor: a problem's `type` points there. */
export function problemsPage(): string {
  return pageOf(
    `${title}: problem codes`,
    html`<p>Every refusal is an <code>application/problem+json</code> document (RFC 9457). Switch on <code>code</code>: it is stable. <code>retryable</code> says whether sending the same again later may work.</p>
<p><a href="/docs">Reference</a></p>${faultCodes.map(problemArticle)}`,
  )
}

const anchor = (text: string) => text.toLowerCase().replaceAll(' ', '-')

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

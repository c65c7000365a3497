/**
 * OpenAPI 3.1, made from the table of operations: the schemas are the ones that requests are parsed with, so the document
 * cannot promise what the routes do not do. Never here: the table (shared/api.ts), serving it (workers/openapi.ts).
 */
import * as z from 'zod'
import { about, answerNames, attributes, operations, requestNames, tags, title, version } from './api.ts'
import {
  type Answer,
  callers,
  faultsOf,
  isOpen,
  type Operation,
  type Parameter,
  pathParameters,
  type RequestBody,
} from './api-operation.ts'
import type { FaultCode } from './fault.ts'
import { exampleOf } from './fault-examples.ts'
import { messageSchema, publishInput } from './message.ts'

/** A piece of the document: plain JSON. */
export type Json = Readonly<Record<string, unknown>>

/** The document. Where it is served, `servers` says where that is. */
export function openApiOf(): Json {
  return {
    openapi: '3.1.1',
    info: {
      title,
      version,
      summary: about,
      description: about,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
    security: [{ key: [] }],
    paths: pathsOf(),
    components: {
      securitySchemes,
      schemas: schemaComponents(),
      responses: problemResponses(),
      examples: problemExamples(),
    },
  }
}

const securitySchemes: Json = {
  key: { type: 'http', scheme: 'bearer', description: 'The admin’s key, an agent’s or an app’s.' },
  signature: {
    type: 'apiKey',
    in: 'header',
    name: 'webhook-signature',
    description:
      'A Standard Webhooks signature over the raw body with the agent’s own secret, beside `webhook-id`, `webhook-timestamp` and `switchboard-agent`. For publishing only.',
  },
}

// --- schemas ----------------------------------------------------------------------------------------------------------

type Names = ReadonlyMap<z.ZodType, string>

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)

/** What the document calls each schema that a request is parsed with. */
export function requestNamesInUse(): Names {
  const names = new Map(Object.entries(requestNames).map(([name, schema]) => [schema, name]))
  for (const operation of operations)
    for (const schema of Object.values(operation.body?.types ?? {}))
      if (!names.has(schema)) names.set(schema, `${capital(operation.id)}Request`)
  return names
}

/** What the document calls each schema of an answer. */
export function answerNamesInUse(): Names {
  const names = new Map(Object.entries(answerNames).map(([name, schema]) => [schema, name]))
  for (const operation of operations)
    for (const { schema, other = {} } of operation.answers)
      for (const one of [schema, ...Object.values(other)])
        if (one !== undefined && !names.has(one)) names.set(one, `${capital(operation.id)}Answer`)
  return names
}

const refTo = (kind: string, name: string): Json => ({ $ref: `#/components/${kind}/${name}` })

/** Every named schema, as JSON Schema. */
export function schemaComponents(): Json {
  return { ...schemasOf('input', requestNamesInUse()), ...schemasOf('output', answerNamesInUse()) }
}

/** The named schemas as components; one that contains another refers to it. */
function schemasOf(io: 'input' | 'output', names: Names): Json {
  const registry = z.registry<{ id: string }>()
  for (const [schema, id] of names) registry.add(schema, { id })
  const { schemas } = z.toJSONSchema(registry, {
    target: 'draft-2020-12',
    io,
    unrepresentable: 'any',
    uri: (id) => `#/components/schemas/${id}`,
    override: ({ zodSchema, jsonSchema }) => tidy(io, zodSchema, jsonSchema),
  })
  return Object.fromEntries(
    Object.entries(schemas).map(([name, { $schema: _schema, $id: _id, ...schema }]) => [name, schema]),
  )
}

function tidy(io: 'input' | 'output', source: unknown, schema: z.core.JSONSchema.BaseSchema): void {
  // The format says it; the pattern beside it is a page long and says no more.
  if (schema.format !== undefined) delete schema.pattern
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum
  // An answer may grow: a client that was generated from this must not break on a new field.
  if (io === 'output' && schema.additionalProperties === false) delete schema.additionalProperties
  if (source === publishInput || source === messageSchema) describeAttributes(schema)
  if (source === publishInput) schema.oneOf = [{ required: ['to'] }, { required: ['topic'] }]
}

function describeAttributes(schema: z.core.JSONSchema.BaseSchema): void {
  for (const [name, description] of Object.entries(attributes)) {
    const attribute = schema.properties?.[name]
    if (typeof attribute === 'object') attribute.description = description
  }
}

// A parameter's schema is shown as what it means, not as the text that travels.
function plainSchema(schema: z.ZodType): Json {
  const {
    $schema: _schema,
    description: _description,
    ...rest
  } = z.toJSONSchema(schema, {
    target: 'draft-2020-12',
    override: ({ zodSchema, jsonSchema }) => tidy('output', zodSchema, jsonSchema),
  })
  return rest
}

// --- operations -------------------------------------------------------------------------------------------------------

function pathsOf(): Json {
  const paths: Record<string, Record<string, Json>> = {}
  for (const operation of operations) {
    const path = paths[operation.path] ?? {}
    path[operation.method] = operationOf(operation)
    paths[operation.path] = path
  }
  return paths
}

function operationOf(operation: Operation): Json {
  const parameters = parametersOf(operation)
  const who = `Who may: ${callers[operation.who]}`
  return {
    operationId: operation.id,
    tags: [operation.tag],
    summary: operation.summary,
    description: operation.description === undefined ? who : `${operation.description}\n\n${who}`,
    ...(isOpen(operation) ? { security: [] } : {}),
    ...(operation.signed === true ? { security: [{ key: [] }, { signature: [] }] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(operation.body === undefined ? {} : { requestBody: requestBodyOf(operation.body) }),
    responses: responsesOf(operation),
  }
}

function parametersOf({ path, query, headers }: Operation): readonly Json[] {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].flatMap(([, name = '']) => {
    const known = pathParameters[name]
    return known === undefined
      ? []
      : [{ name, in: 'path', required: true, description: known.description, schema: plainSchema(known.schema) }]
  })
  const inQuery = Object.entries(query?.shape ?? {}).map(([name, schema]) => ({
    name,
    in: 'query',
    ...(schema.safeParse(undefined).success ? {} : { required: true }),
    ...(schema.description === undefined ? {} : { description: schema.description }),
    schema: plainSchema(schema),
  }))
  return [
    ...inPath,
    ...inQuery,
    ...(headers ?? []).map((header) => ({ name: header.name, in: 'header', ...shown(header) })),
  ]
}

const shown = ({ description, schema }: Parameter): Json => ({ description, schema: plainSchema(schema) })

function requestBodyOf({ types, optional, limitBytes }: RequestBody): Json {
  const names = requestNamesInUse()
  return {
    required: optional !== true,
    description: `At most ${limitBytes} bytes.`,
    content: Object.fromEntries(
      Object.entries(types).map(([type, schema]) => [type, { schema: refTo('schemas', names.get(schema) ?? '') }]),
    ),
  }
}

function responsesOf(operation: Operation): Json {
  const names = answerNamesInUse()
  const answers = operation.answers.map((answer) => [String(answer.status), answerOf(answer, names)] as const)
  const problems = byStatus(faultsOf(operation)).map(
    ([status, codes]) => [String(status), refTo('responses', responseName(codes))] as const,
  )
  return Object.fromEntries([...answers, ...problems])
}

function answerOf({ description, schema, type, other = {}, headers }: Answer, names: Names): Json {
  const types = schema === undefined ? [] : [[type ?? 'application/json', schema] as const, ...Object.entries(other)]
  return {
    description,
    ...(headers === undefined ? {} : { headers: Object.fromEntries(headers.map((h) => [h.name, shown(h)])) }),
    ...(types.length === 0
      ? {}
      : {
          content: Object.fromEntries(
            types.map(([name, one]) => [name, { schema: refTo('schemas', names.get(one) ?? '') }]),
          ),
        }),
  }
}

// --- problems ---------------------------------------------------------------------------------------------------------

/** Codes by the status they are answered with, lowest first. */
export function byStatus(codes: readonly FaultCode[]): readonly (readonly [number, readonly FaultCode[]])[] {
  return [...Map.groupBy([...codes].sort(), (code) => exampleOf(code).status)].sort(([a], [b]) => a - b)
}

const responseName = (codes: readonly FaultCode[]) =>
  codes.map((code) => code.split('_').map(capital).join('')).join('Or')

function problemResponses(): Json {
  const responses: Record<string, Json> = {}
  for (const operation of operations)
    for (const [, codes] of byStatus(faultsOf(operation))) responses[responseName(codes)] ??= problemResponseOf(codes)
  return responses
}

function problemResponseOf(codes: readonly FaultCode[]): Json {
  const problems = codes.map(exampleOf)
  const headers = [...new Set(problems.flatMap((problem) => Object.keys(problem.headers)))]
  return {
    description: problems.map((problem) => `\`${problem.body.code}\`: ${problem.body.title}.`).join(' '),
    ...(headers.length === 0
      ? {}
      : { headers: Object.fromEntries(headers.map((name) => [name, { schema: { type: 'string' } }])) }),
    content: {
      'application/problem+json': {
        schema: { allOf: [refTo('schemas', 'Problem'), { properties: { code: { enum: codes } } }] },
        examples: Object.fromEntries(codes.map((code) => [code, refTo('examples', code)])),
      },
    },
  }
}

function problemExamples(): Json {
  const used = new Set(operations.flatMap(faultsOf))
  return Object.fromEntries([...used].sort().map((code) => [code, { value: exampleOf(code).body }]))
}

/**
 * Random statecharts and what happens to them: hierarchy, parallel regions, history, final states, guards, delays, eventless
 * and internal events, in XState's own JSON. Never here: expectations.
 */
import fc from 'fast-check'

export type Json = Record<string, unknown>

interface Skeleton {
  readonly kind: 'atomic' | 'final' | 'compound' | 'parallel'
  readonly children: readonly Skeleton[]
  readonly history?: 'shallow' | 'deep' | undefined
}

const { state } = fc.letrec<{ state: Skeleton }>((tie) => ({
  state: fc.oneof(
    { depthSize: 'small', maxDepth: 3 },
    { weight: 5, arbitrary: fc.constant<Skeleton>({ kind: 'atomic', children: [] }) },
    { weight: 2, arbitrary: fc.constant<Skeleton>({ kind: 'final', children: [] }) },
    {
      weight: 4,
      arbitrary: fc.record<Skeleton>({
        kind: fc.constantFrom<'compound' | 'parallel'>('compound', 'compound', 'parallel'),
        children: fc.array(tie('state'), { minLength: 1, maxLength: 3 }),
        history: fc.constantFrom(undefined, undefined, 'shallow', 'deep'),
      }),
    },
  ),
}))

/** Guards by name, as the definition has them; the same by hand stand in the law's own test. */
export const guards = {
  few: { range: ['state.n', { lt: 4 }] },
  flagged: { eq: ['event.data.flag', true] },
  elsewhere: { not: { stateIn: 'a' } },
  odd: { or: [{ in: ['state.n', [1, 3, 5, 7]] }, { compare: ['state.n', 'gt', 'input.most'] }] },
} as const

const action = fc.oneof(
  { weight: 4, arbitrary: fc.nat(9).map((k) => sent(`mail.${k}`)) },
  { weight: 2, arbitrary: fc.constant({ type: 'update', params: { operations: [{ op: 'increment', path: '/n' }] } }) },
  { weight: 1, arbitrary: fc.constantFrom('a', 'b').map((type) => ({ type: 'raise', params: { event: { type } } })) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(7, 13).map((delay) => ({
      type: 'raise',
      params: { event: { type: 'c', data: { flag: true } }, delay, id: `late-${delay}` },
    })),
  },
  { weight: 1, arbitrary: fc.constantFrom('late-7', 'late-13').map((id) => ({ type: 'cancel', params: { id } })) },
)
const sent = (type: string) => ({ type: 'send', params: { to: 'agent', type, data: { n: { $from: 'state.n' } } } })

interface Move {
  readonly from: number
  readonly to: number | undefined
  readonly by: 'a' | 'b' | 'c' | '*' | 'always' | 'after' | 'done'
  readonly guard: keyof typeof guards | undefined
  readonly actions: readonly Json[]
  readonly reenter: boolean | undefined
}

const move: fc.Arbitrary<Move> = fc.record({
  from: fc.nat(30),
  to: fc.option(fc.nat(30), { nil: undefined, freq: 8 }),
  by: fc.constantFrom('a', 'a', 'b', 'b', 'c', '*', 'always', 'after', 'done'),
  guard: fc.constantFrom(undefined, undefined, 'few', 'flagged', 'elsewhere', 'odd'),
  actions: fc.array(action, { maxLength: 2 }),
  reenter: fc.constantFrom(undefined, undefined, true, false),
})

interface Decor {
  readonly at: number
  readonly as: 'entry' | 'exit'
  readonly actions: readonly Json[]
}
const decor: fc.Arbitrary<Decor> = fc.record({
  at: fc.nat(30),
  as: fc.constantFrom('entry', 'exit'),
  actions: fc.array(action, { minLength: 1, maxLength: 2 }),
})

/** A definition in XState's JSON. Some are refused, for an `always` that would be taken for ever. */
export const anyChart: fc.Arbitrary<Json> = fc
  .record({
    root: fc.record<Skeleton>({
      kind: fc.constantFrom<'compound' | 'parallel'>('compound', 'compound', 'parallel'),
      children: fc.array(state, { minLength: 2, maxLength: 4 }),
    }),
    moves: fc.array(move, { minLength: 3, maxLength: 24 }),
    decors: fc.array(decor, { maxLength: 12 }),
  })
  .map(({ root, moves, decors }) => {
    const places: Place[] = []
    const chart = drawn(root, ['m'], places)
    for (const one of decors) places[one.at % places.length]?.decorate(one)
    for (const one of moves) wire(one, places)
    return { id: 'm', ...chart, guards }
  })

interface Place {
  readonly path: readonly string[]
  readonly kind: Skeleton['kind'] | 'history'
  readonly json: Json
  readonly decorate: (one: Decor) => void
}

function drawn(skeleton: Skeleton, path: readonly string[], places: Place[]): Json {
  const json: Json = skeleton.kind === 'atomic' || skeleton.kind === 'compound' ? {} : { type: skeleton.kind }
  const decorate = ({ as, actions }: Decor) => {
    json[as] = [sent(`${as}.${path.join('.')}`), ...actions]
  }
  places.push({ path, kind: skeleton.kind, json, decorate })
  if (skeleton.kind === 'final') json['output'] = { at: path.join('.') }
  if (skeleton.children.length === 0) return json
  const names = ['a', 'b', 'c', 'd']
  const children = skeleton.children.map((child, i) => {
    const name = names[i] ?? 'e'
    return [name, drawn(child, [...path, name], places)] as const
  })
  json['states'] = Object.fromEntries(children)
  if (skeleton.kind === 'compound') json['initial'] = 'a'
  if (skeleton.history !== undefined) {
    const history = {
      type: 'history',
      history: skeleton.history,
      ...(skeleton.kind === 'compound' ? { target: 'a' } : {}),
    }
    json['states'] = { ...Object.fromEntries(children), h: history }
    places.push({ path: [...path, 'h'], kind: 'history', json: history, decorate: () => {} })
  }
  return json
}

function wire({ from, to, by, guard, actions, reenter }: Move, places: readonly Place[]): void {
  const sources = places.filter(({ kind }) => kind !== 'final' && kind !== 'history')
  const source = sources[from % sources.length]
  const targets = places.filter(({ path }) => path.length > 1)
  const wanted = to === undefined ? undefined : targets[to % targets.length]
  // XState enters a history from within its own parent without leaving what is active there: it forgets the parent, and lets an older delay of
  // the same state fire beside the new one. What ours does is said in statechart.test.ts.
  const isWithin = wanted?.kind === 'history' && wanted.path.slice(0, -1).every((part, i) => source?.path[i] === part)
  const target = isWithin ? undefined : wanted
  if (source === undefined || (by === 'done' && (source.kind === 'atomic' || source.path.length === 1))) return
  const transition = {
    ...(target === undefined ? {} : { target: `#${target.path.join('.')}` }),
    ...(guard === undefined ? {} : { guard }),
    ...(reenter === undefined ? {} : { reenter }),
    actions,
  }
  if (by === 'always' || by === 'done') push(source.json, by === 'done' ? 'onDone' : 'always', transition)
  else if (by === 'after') push(holder(source.json, 'after'), String(5 + (from % 4) * 3), transition)
  else push(holder(source.json, 'on'), by, transition)
}

function holder(json: Json, name: string): Json {
  json[name] ??= {}
  return json[name] as Json
}

function push(json: Json, name: string, transition: Json): void {
  json[name] = [...((json[name] as Json[] | undefined) ?? []), transition]
}

export type Happening =
  | { readonly do: 'event'; readonly event: { readonly type: string; readonly data: { readonly flag: boolean } } }
  | { readonly do: 'wait'; readonly ms: number }

export const happenings: fc.Arbitrary<readonly Happening[]> = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc
        .tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.boolean())
        .map(([type, flag]): Happening => ({ do: 'event', event: { type, data: { flag } } })),
    },
    { weight: 1, arbitrary: fc.nat(20).map((ms): Happening => ({ do: 'wait', ms })) },
  ),
  { maxLength: 14 },
)

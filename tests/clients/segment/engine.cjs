// Compares the mapping engine with Segment's own on generated cases.
//
//   node engine.cjs [CASES] [SEED]
//
// The cases are mappings with all directives except @liquid, triggers, coercions, and the bodies that the presets
// produce for real events. Both engines must give the same result or both must fail. Exits with a non-zero code at any
// difference.
'use strict'

const { spawnSync } = require('node:child_process')
const { isDeepStrictEqual } = require('node:util')
const { fieldsToJsonSchema, transform, validateSchema } = require('@segment/actions-core')
const { parseFql, validate } = require('@segment/destination-subscriptions')
const { join } = require('node:path')
const definition = require('@segment/action-destinations/dist/destinations/pushwoosh').default
// Not exported: the step between mapping and validation.
const { removeEmptyValues } = require(join(__dirname, 'node_modules/@segment/actions-core/dist/cjs/remove-empty-values.js'))

// The validator warns about Segment's own schemas.
console.warn = () => {}

const CASES = Number(process.argv[2] ?? 6000)
const SEED = Number(process.argv[3] ?? 1)

/** mulberry32: small, seeded, good enough to choose with. */
let state = SEED
const random = () => {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}
const below = (number) => Math.floor(random() * number)
const one = (...options) => options[below(options.length)]
const some = (number, make) => Array.from({ length: below(number + 1) }, make)
const chance = (part) => random() < part

const KEYS = ['a', 'b', 'c', 'list', 'text', 'a b', '0', '10', 'ünï', 'properties', 'event', 'x.y']
const TEXTS = ['', ' ', 'a', 'Hello World', 'banana', '5', '0', 'true', 'null', '{"q":[1,null]}', '[1', 'ÀÉ straße', 'ΑΣ', '😀', '$&', '{{a}}', "it's", '2026-01-02', '1e3', '-0', ' 7 ']
const NUMBERS = [0, 1, -1, 5.5, 1e21, 1e-7, 0.1, 123456789012, 9007199254740993, -0.5]

const scalar = () => one(() => one(...TEXTS), () => one(...NUMBERS), () => chance(0.5), () => null)()
const value = (depth = 3) => {
  if (depth === 0 || chance(0.5)) return scalar()
  if (chance(0.4)) return some(3, () => value(depth - 1))
  return Object.fromEntries(some(4, () => [one(...KEYS), value(depth - 1)]))
}
const object = () => Object.fromEntries(some(6, () => [one(...KEYS), value()]))

const path = () => one('$.', '', '$.', '$.') + [one(...KEYS), ...some(2, () => one(...KEYS, '0', '1', 'length'))].join(one('.', '.', '.', '[', '..'))
const oddPath = () => one(path(), path(), path(), "$.a['b']", '$.list[0]', '$.list[0].a', '["a"].b', '$.a b', "$.it's", '$', '$.', '.', '', 'a$.b', '$.list[-1]', '$.a[*]', '$.text.0', '$.text.length')

const text = (depth) => (depth > 0 && chance(0.2) ? mapping(depth - 1, true) : one(...TEXTS))
const template = () => some(4, () => one('{{a}}', '{{ text }}', '{{{b}}}', '{{list}}', '{{}}', '{{ }}', '{{{a}}', '{{a}}}', '{{list.0}}', 'x', ' ', '}', '{')).join('')
const flag = () => chance(0.5)
const optional = (fields, key, make) => {
  if (chance(0.5)) fields[key] = make()
  return fields
}

const directives = {
  '@path': (depth) => (depth > 0 && chance(0.1) ? { '@template': one('$.a', 'text', 'b') } : oddPath()),
  '@template': (depth) => (depth > 0 && chance(0.1) ? { '@path': oddPath() } : template()),
  '@literal': (depth) => mapping(depth),
  '@if': (depth) => {
    const fields = { [one('exists', 'exists', 'blank')]: mapping(depth, true) }
    optional(fields, 'then', () => mapping(depth))
    return optional(fields, 'else', () => mapping(depth))
  },
  '@case': (depth) => ({ operator: one('lower', 'upper', 'lower', 'other'), value: chance(0.7) ? { '@path': oddPath() } : text(depth) }),
  '@replace': () => {
    const fields = { pattern: one('a', 'A', 'l', 'an', ' ', '.', '$', 'ß', 'σ', '12345678901'), value: chance(0.8) ? { '@path': oddPath() } : one(...TEXTS) }
    optional(fields, 'replacement', () => one('', 'x', '[$&]', '$$', "$'", '$`', '$1', '12345678901'))
    if (chance(0.3)) {
      fields.pattern2 = one('', 'x', 'b', 'o')
      optional(fields, 'replacement2', () => one('y', ''))
    }
    optional(fields, 'ignorecase', flag)
    return optional(fields, 'global', flag)
  },
  '@arrayPath': (depth) => {
    const operand = [chance(0.8) ? oddPath() : mapping(depth, true)]
    if (chance(0.8)) operand.push(chance(0.2) ? { '@path': oddPath() } : plain(depth))
    return operand
  },
  '@json': (depth) => ({ mode: one('encode', 'decode', 'decode', 'ENCODE'), value: chance(0.8) ? { '@path': oddPath() } : mapping(depth) }),
  '@flatten': () => optional({ separator: one('.', '_', '--'), value: { '@path': oddPath() } }, 'omitArrays', flag),
  '@merge': (depth) => ({ direction: one('left', 'right', 'LEFT'), objects: some(4, () => (chance(0.5) ? { '@path': oddPath() } : plain(depth))) }),
  '@transform': (depth) => ({ apply: plain(depth), mapping: plain(depth) }),
  '@excludeWhenNull': (depth) => (chance(0.5) ? { '@path': oddPath() } : mapping(depth))
}

const plain = (depth) => Object.fromEntries(some(3, () => [one(...KEYS), mapping(depth - 1)]))
const mapping = (depth, always = false) => {
  if (depth <= 0) return chance(0.5) ? { '@path': oddPath() } : scalar()
  if (always || chance(0.6)) {
    const name = one(...Object.keys(directives))
    return { [name]: directives[name](depth - 1) }
  }
  return one(() => plain(depth), () => some(3, () => mapping(depth - 1)), scalar)()
}
/** Sometimes something that Segment does not accept. */
const broken = (whole) => {
  if (!chance(0.08)) return whole
  return { ...whole, broken: one({ '@nope': 1 }, { '@path': 5 }, { '@path': '$.a', k: 1 }, { '@if': {} }, { '@merge': { objects: 1 } }, { '@replace': { value: 'a' } }, [{ '@nope': 1 }], { '@path': '$.a', '@template': 'b' }) }
}
const whole = () => {
  const made = broken(plain(4))
  if (chance(0.05)) return { __segment_internal_directive: { '@transform': { apply: plain(2) } }, ...made }
  return chance(0.1) ? mapping(3, true) : made
}

const name = () => one('type', 'event', 'name', 'userId', 'properties.a', 'properties.list', 'traits.text', 'context.a.b', 'properties', 'anonymousId', 'properties.a\\ b', 'contextual')
const literal = () => one('"track"', '"a"', '"Hello World"', "'a'", '5', '-1', '0', '5.5', 'true', 'false', 'null', 'abc', '""', '"5"')
const comparison = () => `${name()} ${one('=', '=', '!=', '<', '<=', '>', '>=', '!')} ${literal()}`
const call = () => `${one('', '', '!')}${one('contains', 'match')}(${name()}, ${one('"a"', '"Hello*"', '"*World"', '"*o*"', '"track"', '5')})`
const term = () => one(comparison, comparison, call, () => `(${comparison()} ${one('and', 'or')} ${comparison()})`, () => `!(${comparison()})`, () => `(${call()})`)()
const trigger = () => {
  let made = [term(), ...some(3, () => `${one(' and ', ' or ', ' and ', ' AND ', ',', ' ', 'or ', '\nor ')}${term()}`)].join('')
  if (chance(0.1)) made = made.slice(0, below(made.length + 1))
  if (chance(0.05)) made += one(')', '(', ' or', '$', '[', ' ]', '"', "'")
  return made
}
const event = () => ({
  type: one('track', 'identify', 'page'), event: one('a', 'Hello World', 'track', undefined), name: one('a', null, undefined), userId: one('a', '5', true, null, undefined),
  properties: one(object(), { a: one(...NUMBERS, ...TEXTS, true, false, null), list: ['a'], 'a b': 5 }, undefined), traits: object(), context: object()
})

const TYPES = ['string', 'number', 'integer', 'boolean', 'datetime', 'object']
const DATES = ['2026', '2026-1', '2026/01/02', '01/02/2026', '20260102', '2026-02-30', '2026-13-45', '2026-001', 'today', '10:00', '20260102T030405Z', '2026-W01-1', '2026-01-02T03:04:05.123456789Z', 'Fri, 02 Jan 2026 03:04:05 GMT', 'Jan 2 2026', '2026-01-02 03:04', '1e21', '1767323045.5', 'NaN', 'Infinity']
const coercible = () => one(() => scalar(), () => one(...DATES), () => some(2, scalar), () => object(), () => [value(1)])()

/** As JSON. Half of a surrogate pair, which Rust cannot represent as text, becomes U+FFFD. */
const normal = (output) => (output === undefined ? undefined : JSON.parse(JSON.stringify(output).replace(/\\ud[89a-f][0-9a-f]{2}/g, '\ufffd')))
const attempt = (make) => {
  try {
    return make()
  } catch (error) {
    return { error: String(error.message ?? error) }
  }
}

/** An event as sources send it, sometimes with another value in any place. */
const odd = (usual) => (chance(0.12) ? one(value(2), null, '', false, 0, [], undefined) : usual)
const realEvent = () => ({
  type: one('track', 'page', 'screen', 'identify'), messageId: 'm', userId: odd('u1'), event: odd('Order Completed'), name: odd('Home'),
  timestamp: odd(one('2026-01-02T03:04:05.678Z', ...DATES, 1767323045)), properties: odd(object()),
  traits: odd({ email: odd('a@b.c'), city: 'B', plan: 'gold', country: null, o: { q: null }, language: 'x' }),
  context: odd({
    app: odd({ version: odd('1.0') }), device: odd({ id: odd('d1'), type: odd('ios'), model: odd('m'), token: odd('t') }), locale: odd('en-US'),
    location: odd({ city: odd('SF'), country: odd('US'), latitude: odd(51.5), longitude: odd(one(0, '0.5')) }), os: odd({ version: odd(17) }),
    timezone: odd('Europe/Berlin'), userAgent: odd('UA')
  })
})
const actions = definition.actions
const defaults = (action) => Object.fromEntries(Object.entries(actions[action].fields).flatMap(([name, field]) => (field.default === undefined ? [] : [[name, field.default]])))

const engines = {
  body: ({ action, mapping, mode, input }) => {
    const { fields, perform, performBatch } = actions[action]
    const schema = fieldsToJsonSchema(fields)
    const payload = removeEmptyValues(transform(mapping, input), schema, mode === 'single')
    validateSchema(payload, schema)
    const settings = { pushwooshAppCode: 'A' }
    let sent
    const request = (_url, options) => {
      sent = options.json
    }
    if (mode === 'batch') performBatch(request, { settings, payload: [payload] })
    else perform(request, { settings, payload })
    return { output: normal(action === 'trackEvent' ? sent.events[0] : sent) }
  },
  mapping: ({ mapping, input }) => {
    const output = normal(transform(mapping, input))
    return output === undefined ? {} : { output }
  },
  fql: ({ fql, event }) => {
    const parsed = parseFql(fql)
    if (parsed.error) throw parsed.error
    return { matches: validate(parsed, event) }
  },
  coerce: ({ field, mode, input }) => {
    const [type, nullable] = field.split('|')
    const schema = fieldsToJsonSchema({ f: { label: 'F', description: '', type: type.replace('[]', ''), multiple: type.endsWith('[]'), allowNull: nullable === 'null' } })
    const payload = removeEmptyValues({ f: structuredClone(input) }, schema, mode === 'single')
    validateSchema(payload, schema)
    const output = normal(payload).f
    return output === undefined ? { absent: true } : { output }
  }
}

const cases = Array.from({ length: CASES }, (_, index) => {
  const made = [
    () => ({ kind: 'mapping', mapping: whole(), input: object() }),
    () => ({ kind: 'mapping', mapping: whole(), input: object() }),
    () => ({ kind: 'fql', fql: trigger(), event: event() }),
    () => ({ kind: 'coerce', field: one(...TYPES) + one('', '', '|null', '[]'), mode: one('single', 'batch'), input: coercible() }),
    () => {
      const action = one('trackEvent', 'updateUserProfile')
      return { kind: 'body', action, mapping: defaults(action), mode: action === 'trackEvent' ? one('single', 'batch') : 'single', input: realEvent() }
    }
  ][index % 5]()
  // Both engines read the JSON text.
  return JSON.parse(JSON.stringify(made))
})

const root = join(__dirname, '../../..')
const command = ['run', '--release', '--quiet', '--package', 'segment_language', '--example', 'conformance']
const ours = spawnSync('cargo', command, { cwd: root, input: cases.map((one) => JSON.stringify(one) + '\n').join(''), maxBuffer: 1 << 30, stdio: ['pipe', 'pipe', 'inherit'] })
if (ours.status !== 0) process.exit(1)
const lines = ours.stdout.toString().trimEnd().split('\n').map((line) => JSON.parse(line))

const counts = {}
const differences = []
cases.forEach((one, index) => {
  const theirs = attempt(() => engines[one.kind](one))
  // Bodies must be equal byte for byte, including the order of their keys.
  const equal = one.kind === 'body' ? (a, b) => JSON.stringify(a) === JSON.stringify(b) : isDeepStrictEqual
  const same = theirs.error !== undefined ? lines[index].error !== undefined : equal(lines[index], theirs)
  const count = (counts[one.kind] ??= { cases: 0, failing: 0, different: 0 })
  count.cases += 1
  count.failing += theirs.error === undefined ? 0 : 1
  if (!same) {
    count.different += 1
    differences.push({ case: one, theirs, ours: lines[index] })
  }
})
console.table(counts)
for (const difference of differences.slice(0, 20)) console.error(JSON.stringify(difference))
if (lines.length !== CASES || differences.length) process.exit(1)
console.log(`${CASES} cases, equal`)

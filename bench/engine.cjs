// Segment's side of the measurement of the mapping engines: the presets of its own destination, through its own
// packages. Reads events, one per line; prints events per second.
'use strict'

const { readFileSync } = require('node:fs')
const { createRequire } = require('node:module')
const { join } = require('node:path')

const modules = join(__dirname, '../tests/clients/segment')
const load = createRequire(join(modules, 'package.json'))
const { fieldsToJsonSchema, transform, validateSchema } = load('@segment/actions-core')
const { parseFql, validate } = load('@segment/destination-subscriptions')
const { removeEmptyValues } = load(join(modules, 'node_modules/@segment/actions-core/dist/cjs/remove-empty-values.js'))
const definition = load('@segment/action-destinations/dist/destinations/pushwoosh').default
console.warn = () => {}

const ROUND_MS = 2000
const events = readFileSync(process.argv[2], 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line))
// As its destination kit does it: the trigger is parsed for every event, the schema's validator is made once.
const subscriptions = definition.presets.map(({ subscribe, partnerAction, mapping }) => {
  const schema = fieldsToJsonSchema(definition.actions[partnerAction].fields)
  return { subscribe, mapping, schema, schemaKey: partnerAction }
})

let payloads = 0
const pass = () => {
  for (const event of events) {
    for (const { subscribe, mapping, schema, schemaKey } of subscriptions) {
      if (!validate(parseFql(subscribe), event)) continue
      const payload = removeEmptyValues(transform(mapping, event), schema, true)
      payloads += validateSchema(payload, schema, { schemaKey, throwIfInvalid: false }) ? 1 : 0
    }
  }
  return events.length
}
// Warm: the compiler has seen everything.
for (let warm = 0; warm < 200; warm++) pass()
const started = performance.now()
let mapped = 0
while (performance.now() - started < ROUND_MS) mapped += pass()
if (!payloads) throw new Error('no event was mapped')
console.log(Math.round((mapped * 1000) / (performance.now() - started)))

// What `explain` says of one item, as elements: for the playground, and for an open row.

import { badge, el, json, prose, table } from './dom.js'
import { KINDS } from './words.js'

const absent = (text = 'absent') => el('span', { class: 'absent' }, text)

const chips = (texts) => el('div', { class: 'chips' }, texts.map((text) => el('span', { class: 'chip' }, text)))

const isShown = (value) => value === undefined ? absent() : JSON.stringify(value)

const from = (field) => [
  ...field.inputs.flatMap((input) => [el('span', { class: 'chip' }, input), ' ']),
  ...(field.missing ?? []).flatMap((path) => [el('span', { class: 'flag' }, `${path} is not there`), ' '])
]

/** Whether a part of a trigger holds; Segment itself fails on some. */
const SIGNS = { true: ['yes', '✓', 'true'], false: ['no', '✗', 'false'], null: ['no', '!', 'Segment cannot tell'] }

const clause = (one) => {
  const [style, sign, text] = SIGNS[String(one.holds)]
  const found = 'found' in one ? `  the event has ${JSON.stringify(one.found)}` : ''
  return el('li', {},
    el('span', { class: style, role: 'img', 'aria-label': text }, sign),
    el('div', {}, one.parts?.length > 0 ? `${one.joined === 'or' ? 'one' : 'all'} of` : one.clause, found && el('span', { class: 'soft' }, found),
      one.parts?.length > 0 && el('ul', { class: 'clauses' }, one.parts.map(clause))))
}

/** The trigger, clause by clause. */
const trigger = (mapping) => {
  if (!mapping.trigger) return el('p', { class: 'soft' }, 'Every event.')
  if (!mapping.conditions) return el('p', {}, el('code', {}, mapping.trigger))
  return el('ul', { class: 'clauses', 'aria-label': `Trigger of ${mapping.name}` }, clause(mapping.conditions))
}

const dropped = (drop) => el('div', { class: 'note', 'data-tone': drop.outcome },
  el('p', {}, el('b', {}, `${drop.outcome}: ${drop.reason}`), ` — `, prose(drop.message)), el('p', {}, prose(drop.remedy)))

const unknown = (flag) => el('p', { class: 'note', 'data-tone': 'rejected' },
  el('b', {}, flag.field), flag.nearest ? [' is not known. Did you mean ', el('b', {}, flag.nearest), '?'] : ' is not known: it is ignored.')

const note = (one) => el('p', { class: 'note', 'data-tone': 'parked' }, one.field && el('b', {}, `${one.field}: `), prose(one.message))

const mapping = (one) => el('div', { class: `mapping${one.selected ? '' : ' off'}` },
  el('h3', {}, one.selected ? badge('delivered', 'selected') : badge('disregarded', 'not selected'), one.name || one.action, el('span', { class: 'soft' }, one.action)),
  trigger(one),
  ...(one.unknown ?? []).map(unknown),
  one.fields?.length ? table(`Fields of ${one.name}`, ['Field', 'Value', 'Made by', 'From'], one.fields.map((field) => [
    field.field || '(whole)', field.error ? el('span', { class: 'flag' }, field.error) : isShown(field.value), field.directive, from(field)])) : null)

/** The value at a field's name, in which parts have dots between. */
const valueAt = (body, name) => name.split('.').reduce((value, key) => value?.[key], body)

const call = (one, index) => el('details', { class: 'call', open: true },
  el('summary', {}, badge('accent', `call ${index + 1}`), el('code', {}, `POST ${one.path}`)),
  table(`Fields of call ${index + 1}`, ['In the call', 'Value', 'From'], one.fields.map(({ field, inputs }) => [field, isShown(valueAt(one.body, field)), inputs.map((input) => el('span', { class: 'chip' }, input))])),
  el('details', {}, el('summary', {}, 'The whole body'), json(one.body, `Body of call ${index + 1}`)))

/** The parts, in the order in which a person asks. */
export const explanationParts = (one) => {
  const drops = one.drops.map(dropped)
  return [
    el('p', { class: 'recognised' }, badge('accent', KINDS[one.input] ?? one.input), one.place && el('span', {}, `at ${one.place}`), el('span', {}, 'of ', el('code', {}, one.application)),
      el('span', { class: 'soft' }, one.calls.length === 0 ? 'nothing is sent' : `${one.calls.length} ${one.calls.length === 1 ? 'call' : 'calls'}`)),
    ...drops,
    ...(one.unknown ?? []).map(unknown),
    ...(one.notes ?? []).map(note),
    ...(one.mappings ?? []).map(mapping),
    ...one.calls.map(call),
    one.decisive.length > 0 && el('div', {}, el('h3', { class: 'label' }, 'Decides whether it is sent'), chips(one.decisive)),
    one.unused.length > 0 && el('div', {}, el('h3', { class: 'label' }, 'Went nowhere'), chips(one.unused)),
  ].filter(Boolean)
}

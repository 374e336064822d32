// An open row: what happened and what to do, the input, the mapping field by field, the calls with the upstream's
// answers, and the attempts.

import { badge, clock, copyButton, el, json, prose } from './dom.js'
import { explanationParts } from './explanation.js'
import { playgroundLink } from './playground_link.js'
import { sendThis } from './send.js'
import { KINDS, tone, why } from './words.js'

/** What was asked for last, per row: an older answer is not shown over a newer one. */
const asked = new WeakMap()

const facts = (row) => {
  const pairs = [['application', row.app], ['kind', KINDS[row.kind] ?? row.kind], ['user', [row.user, ...(row.other_users ?? [])].filter(Boolean).join(', ')], ['device', row.device], ['messageId', row.message_id], ['origin', row.origin], ['attempts', String(row.attempts)]]
  return el('dl', { class: 'facts wide' }, pairs.filter(([, value]) => value).map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))))
}

const whatToDo = (item) => el('div', { class: 'note wide what-to-do', 'data-tone': tone(item) },
  el('p', {}, el('b', {}, why(item) ? `${item.outcome}: ${why(item)}` : item.outcome), ` — `, prose(item.happened)),
  // What happened names the tags already.
  item.detail && item.reason !== 'skipped_tag' && el('p', {}, item.detail),
  item.remedy && el('p', {}, el('strong', {}, 'What to do: '), prose(item.remedy)))

const call = (one) => {
  const good = one.status >= 200 && one.status < 300
  return el('details', { class: 'call' },
    el('summary', {}, badge(good ? 'delivered' : 'rejected', one.status ? String(one.status) : 'no answer'), el('code', {}, `${one.method} ${one.path}`), el('span', { class: 'soft' }, clock(one.at))),
    json(one.body, 'Body of the call'), el('p', { class: 'soft' }, `${one.upstream === 'segment' ? 'Segment' : 'Pushwoosh'} answered`), json(one.answer ?? 'nothing: the connection broke', 'The answer'))
}

const steps = (item) => el('ol', { class: 'steps' },
  el('li', { 'data-tone': 'accent' }, el('span', { class: 'time' }, clock(item.at)), el('span', {}, 'came in'), el('span', {})),
  item.steps.map((step) => el('li', { 'data-tone': step.outcome },
    el('span', { class: 'time' }, clock(step.at)),
    el('span', {}, badge(step.outcome), ' ', el('span', { class: 'soft' }, `by ${step.function}`)),
    el('span', {}, [step.reason ?? step.cause, step.status && `status ${step.status}`, step.words].filter(Boolean).join(' · ')))))

/** Whether it lies on a queue. */
const isQueued = (item) => ['parked', 'rejected'].includes(item.outcome) || (item.outcome === 'failed' && item.cause === 'expired')

const actions = (item) => {
  const text = typeof item.input === 'string' ? item.input : JSON.stringify(item.input, null, 2)
  return el('div', { class: 'actions wide' },
    item.explanation && el('button', { type: 'button', class: 'quiet small', onclick: async () => { location.hash = await playgroundLink({ input: text, app: item.app ?? '', mapping: '' }) } }, 'Open in the playground'),
    item.kind !== 'request' && item.kind !== 'parked' && el('button', { type: 'button', class: 'quiet small', onclick: () => sendThis(item.kind, item.input, item.app) }, 'Edit and send again'),
    isQueued(item) && el('a', { class: 'button', href: '#/queues' }, 'See the queues'),
    copyButton('Copy the input', () => text, 'Input'),
    copyButton('Copy a link', () => `${location.origin}/#/items/${item.id}`, 'Link'))
}

const shown = (item) => [
  whatToDo(item),
  facts(item),
  actions(item),
  el('div', {}, el('h3', { class: 'label' }, `Input: ${KINDS[item.kind] ?? item.kind}`), json(item.input ?? '', 'Input'), item.input_cut && el('p', { class: 'soft' }, 'The input is longer: only its beginning is kept.')),
  el('div', {}, el('h3', { class: 'label' }, 'Attempts'), steps(item)),
  el('div', { class: 'wide' }, el('h3', { class: 'label' }, 'Calls and answers'), item.calls.length > 0 ? item.calls.map(call) : el('p', { class: 'soft' }, 'The upstream received no call of it.')),
  item.explanation && el('div', { class: 'wide' }, el('h3', { class: 'label' }, 'Field by field, with the settings of now'), el('div', { class: 'explained' }, explanationParts(item.explanation)))
]

/** Opened parts and the focus stay when an open row is drawn anew. */
const redraw = (place, parts) => {
  const opened = [...place.querySelectorAll('details')].map((details) => details.open)
  const focusable = 'button, summary, pre'
  const focus = [...place.querySelectorAll(focusable)].indexOf(document.activeElement)
  place.replaceChildren(...parts.filter(Boolean))
  place.querySelectorAll('details').forEach((details, index) => { details.open = opened[index] ?? false })
  if (focus >= 0) place.querySelectorAll(focusable)[focus]?.focus({ preventScroll: true })
}

export const fillDetail = async (place, id) => {
  const question = Symbol('question')
  asked.set(place, question)
  const response = await fetch(`/_sandbox/items/${id}`)
  if (asked.get(place) !== question) return
  redraw(place, response.ok ? shown(await response.json()) : [el('p', { class: 'soft' }, 'The sandbox does not keep this item any more.')])
}

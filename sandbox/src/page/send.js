// The view "Send": examples, and whatever a person types, to the real functions, as the chosen application.

import { choose, curl, get, sign } from './api.js'
import { notHere, optionsOf } from './application_choice.js'
import { badge, byId, copyButton, el, json } from './dom.js'
import { EXAMPLES, WAYS, filled, text } from './examples.js'
import { playgroundLink } from './playground_link.js'

/** Copies of one request at most. */
const MOST = 5000

/** Requests under way at a time: browsers open six connections. */
const AT_ONCE = 4

/** Records of one request. */
const RECORDS = 500

const CONTENT = { 'content-type': 'application/json' }
let parts

/** The keys of an application, from its secret. */
const secretOf = async (app) => {
  try {
    return await get(`secrets/${encodeURIComponent(app)}`)
  } catch {
    return {}
  }
}

/** A request as Segment sends it: path, headers, body. */
const requestOf = async (way, body, app, secret, key) => {
  if (way === 'topic') return { path: '/_sandbox/topics/channels-tracking-log', headers: CONTENT, body }
  if (way === 'webhook') {
    const known = secret.webhook?.shared_secret
    const shared = key ?? (Array.isArray(known) ? known[0] : known) ?? ''
    const headers = shared ? { ...CONTENT, 'x-signature': await sign(body, shared) } : CONTENT
    return { path: `/webhook/${encodeURIComponent(app)}`, headers, body }
  }
  const token = key ?? secret.pushwoosh?.api_token ?? ''
  return { path: `/integration-segment/v1/${way}`, headers: { ...CONTENT, authorization: `Token ${token}`, 'x-pw-appcode': app }, body }
}

const send = async ({ path, headers, body }) => {
  const response = await fetch(path, { method: 'POST', headers, body })
  return { status: response.status, text: await response.text() }
}

const asked = () => ({
  way: parts.way.value, app: parts.app.value, body: parts.body.value, wrong: parts.wrong.checked,
  copies: Math.min(Math.max(Number(parts.copies.value) || 1, 1), MOST)
})

/** `{{n}}` is a new number each time, also after the page was loaded anew: the same `messageId` would be a duplicate. */
const NUMBERED = 'numbered'
const nextNumber = () => {
  const number = Number(localStorage.getItem(NUMBERED) ?? 0) + 1
  localStorage.setItem(NUMBERED, String(number))
  return number
}

const requests = async ({ way, app, body, wrong, copies }) => {
  const secret = await secretOf(app)
  const key = wrong ? 'a-key-that-is-not-right' : undefined
  const bodies = Array.from({ length: copies }, () => filled(body, nextNumber(), app))
  if (way !== 'topic' || copies === 1) return bodies.map((one) => () => requestOf(way, one, app, secret, key))
  // A record is a line where there are several.
  const lines = bodies.map((one) => {
    try {
      return JSON.stringify(JSON.parse(one))
    } catch {
      return one.replaceAll('\n', ' ')
    }
  })
  const batches = Array.from({ length: Math.ceil(lines.length / RECORDS) }, (_, index) => lines.slice(index * RECORDS, (index + 1) * RECORDS))
  return batches.map((batch) => () => requestOf(way, batch.join('\n'), app, secret, key))
}

const shownAnswer = ({ status, text: body }) => {
  let value = body
  try {
    value = JSON.parse(body)
  } catch { /* It is shown as text. */ }
  return [el('p', {}, badge(status < 300 ? 'delivered' : 'rejected', String(status)), ' ', status < 300 ? 'accepted' : 'not accepted'), json(value || '(an empty body)', 'The answer')]
}

const run = async () => {
  const all = await requests(asked())
  const answers = new Map()
  let [next, last] = [0]
  parts.send.disabled = true
  const worker = async () => {
    while (next < all.length) {
      last = await send(await all[next++]())
      answers.set(last.status, (answers.get(last.status) ?? 0) + 1)
    }
  }
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    byId('send-result').replaceChildren(el('h3', {}, 'Answer'),
      ...(all.length === 1 ? shownAnswer(last) : [el('p', {}, [...answers].flatMap(([status, number]) => [badge(status < 300 ? 'delivered' : 'rejected', String(status)), ` ${number} × `]))]),
      el('p', { class: 'row-of' }, el('a', { href: '#/items' }, 'See what became of it')), ...shownCurl())
  } catch (error) {
    byId('send-result').replaceChildren(el('h3', {}, 'Answer'), el('p', { class: 'problem' }, `It was not sent: ${error.message}`), ...shownCurl())
  }
  parts.send.disabled = false
  await drawCurl()
}

/* The same as curl */

let curlPlace
const shownCurl = () => {
  curlPlace = el('div')
  return [el('h3', { class: 'next' }, 'The same with curl'), curlPlace]
}

const drawCurl = async () => {
  const { way, app, body, wrong } = asked()
  const secret = await secretOf(app)
  try {
    const request = await requestOf(way, filled(body, 1, app), app, secret, wrong ? 'a-key-that-is-not-right' : undefined)
    const command = curl('POST', request.path, { ...request, options: ' -i' })
    curlPlace.replaceChildren(el('div', { class: 'curl' }, json(command, 'curl'), copyButton('Copy', () => command, 'curl')))
  } catch (error) {
    curlPlace.replaceChildren(el('p', { class: 'problem' }, error.message))
  }
  const missing = way === 'webhook' ? !secret.webhook?.shared_secret && 'webhook.shared_secret' : way !== 'topic' && !secret.pushwoosh?.api_token && 'pushwoosh.api_token'
  const absent = notHere(parts.app)
  parts.problem.textContent = absent || (missing ? `The secret of ${app || 'no application'} has no ${missing}: the request will be refused.` : '')
}

/* The form */

const fill = (index) => {
  const { way, key, body } = EXAMPLES[index]
  parts.way.value = way
  parts.wrong.checked = key === 'wrong'
  parts.body.value = text(body)
  drawCurl()
}

export const startSend = async () => {
  parts = {
    app: el('select', { id: 'send-app' }),
    example: el('select', { id: 'send-example' }, EXAMPLES.map(({ name }, index) => el('option', { value: index }, name))),
    way: el('select', { id: 'send-way' }, Object.entries(WAYS).map(([way, { label }]) => el('option', { value: way }, label))),
    body: el('textarea', { id: 'send-body', spellcheck: 'false', rows: '16' }),
    wrong: el('input', { type: 'checkbox', id: 'send-wrong' }),
    copies: el('input', { type: 'number', id: 'send-copies', min: '1', max: String(MOST), value: '1' }),
    send: el('button', { type: 'button', id: 'send-now', onclick: run }, 'Send'),
    problem: el('p', { class: 'problem', role: 'status' })
  }
  const label = (input, words) => el('label', { class: 'field', for: input.id }, words)
  byId('send-form').append(
    label(parts.app, 'Application'), parts.app, label(parts.example, 'Example'), parts.example,
    label(parts.way, 'Sent as'), parts.way, label(parts.body, 'Body'), parts.body, parts.problem,
    el('div', { class: 'row-of' }, parts.send, el('label', { for: 'send-copies' }, 'copies'), parts.copies,
      el('span', {}, parts.wrong, ' ', el('label', { for: 'send-wrong' }, 'with a wrong key')),
      el('button', { type: 'button', class: 'quiet', onclick: async () => { location.hash = await playgroundLink({ input: filled(parts.body.value, 1, parts.app.value), app: parts.app.value, mapping: '' }) } }, 'Explain in the playground')),
    el('p', { class: 'soft foot' }, '{{n}} becomes a new number each time, and {{app}} the application’s code.'))
  byId('send-result').append(el('h3', {}, 'Answer'), el('p', { class: 'soft' }, 'Nothing was sent yet.'), ...shownCurl())
  parts.example.addEventListener('change', () => fill(Number(parts.example.value)))
  parts.app.addEventListener('change', () => {
    choose(parts.app.value)
    drawCurl()
  })
  for (const part of [parts.way, parts.body, parts.wrong]) part.addEventListener('input', drawCurl)
  await showSend()
  fill(0)
}

/** The applications may be others than before. */
export const showSend = async () => {
  await optionsOf(parts.app)
  await drawCurl()
}

const WAY_OF = { event: 'post-events', profile: 'track-user', deletion: 'delete-user', raw_event: 'webhook', record: 'topic' }

/** Puts an item into the form. */
export const sendThis = (kind, input, app) => {
  parts.way.value = WAY_OF[kind] ?? 'webhook'
  parts.body.value = text(kind === 'event' ? { events: [input] } : input)
  parts.wrong.checked = false
  // The view chooses it when it is shown.
  if (app) choose(app)
  location.hash = '#/send'
}

// The view "Queues": what is parked, dead, rejected. Send again one, a selection, all; discard.

import { get, post, remove } from './api.js'
import { badge, byId, confirmed, duration, el, json, toast } from './dom.js'
import { onChange, samples } from './live.js'

const QUEUES = {
  retry: ['Retry', 'Parked: sent again by itself, with growing pauses. "Send again" does not wait.'],
  dead: ['Dead letters', 'Undelivered for longer than the age limit, or received too often.'],
  rejects: ['Rejects', 'Can never be delivered as they are. Correct the mapping or the settings, then send them again.']
}

/** Messages of a queue that are shown. */
const SHOWN = 100

/** How often an open view is read again, in ms. */
const AGAIN = 1500

const chosen = { retry: new Set(), dead: new Set(), rejects: new Set() }
const places = {}
const nodes = { retry: new Map(), dead: new Map(), rejects: new Map() }
let timer

const query = (ids) => ids ? `?${ids.map((id) => `id=${encodeURIComponent(id)}`).join('&')}` : ''

/** What was done, and why not all of it. */
const done = (text, stay) => stay.length === 0 ? text : `${text}, ${stay.length} ${stay.length === 1 ? 'stays' : 'stay'}: ${stay[0].why}`

const redrive = async (queue, ids) => {
  try {
    const { moved, stay } = await post(`queues/${queue}/redrive${query(ids)}`)
    toast(done(`${moved} sent again`, stay))
  } catch (error) {
    toast(error.message)
  }
  await read()
}

const discard = async (queue, ids) => {
  const what = ids ? `${ids.length} ${ids.length === 1 ? 'message' : 'messages'}` : `everything on ${queue}`
  if (!await confirmed(`Discard ${what}? It cannot be brought back.`, 'Discard')) return
  try {
    const { discarded, stay } = await remove(`queues/${queue}${query(ids)}`)
    toast(done(`${discarded} discarded`, stay))
  } catch (error) {
    toast(error.message)
  }
  await read()
}

const age = (since) => duration(Math.max(0, (Date.now() - Date.parse(since)) / 1000))

const head = (queue, message) => {
  const body = message.body
  const parts = [badge(queue === 'retry' ? 'parked' : queue === 'dead' ? 'failed' : 'rejected', body.reason ?? body.cause ?? 'unreadable'), el('strong', {}, body.application ?? 'no application')]
  if (body.kind) parts.push(el('span', {}, body.kind))
  if (body.attempts) parts.push(el('span', { class: 'soft' }, `${body.attempts} ${body.attempts === 1 ? 'attempt' : 'attempts'}`))
  parts.push(el('span', { class: 'soft' }, `${age(body.first_seen ?? body.at ?? message.sent_at)} old`))
  if (message.visible_in_ms > 0) parts.push(el('span', { class: 'soft' }, `next in ${Math.ceil(message.visible_in_ms / 1000)} s`))
  const said = body.message ?? body.words ?? body.detail
  if (said) parts.push(el('span', { class: 'soft' }, said))
  return parts
}

/** A message is drawn once; only its head is drawn again. */
const node = (queue, message) => {
  const id = message.message_id
  const known = nodes[queue].get(id)
  if (known) {
    known.summary.replaceChildren(...head(queue, message))
    return known.item
  }
  const box = el('input', { type: 'checkbox', 'aria-label': `Select message ${id}`, onchange: () => {
    if (box.checked) chosen[queue].add(id)
    else chosen[queue].delete(id)
    drawButtons(queue)
  } })
  const summary = el('summary', {}, head(queue, message))
  const details = el('details', {}, summary)
  details.addEventListener('toggle', () => {
    if (details.open && details.children.length === 1) details.append(json(message.body, 'Message'))
  })
  const origin = message.body.origin ?? message.body.origins?.[0] ?? message.body.id
  const item = el('li', { class: 'message', 'data-message': id }, box, details, el('div', { class: 'buttons' },
    origin && el('a', { class: 'button', href: `#/items?q=${encodeURIComponent(origin)}` }, 'See the item'),
    el('button', { type: 'button', class: 'quiet small', onclick: () => redrive(queue, [id]) }, 'Send again'),
    el('button', { type: 'button', class: 'danger small', onclick: () => discard(queue, [id]) }, 'Discard')))
  nodes[queue].set(id, { item, summary, box })
  return item
}

const drawButtons = (queue) => {
  const { buttons, length } = places[queue]
  const ids = [...chosen[queue]]
  for (const button of buttons.querySelectorAll('[data-selected]')) {
    button.hidden = ids.length === 0
    button.textContent = `${button.dataset.selected} ${ids.length}`
  }
  for (const button of buttons.querySelectorAll('[data-all]')) button.disabled = length === 0
}

const draw = (queue, messages) => {
  const place = places[queue]
  place.length = messages.length
  const shown = messages.slice(0, SHOWN)
  const ids = new Set(shown.map((message) => message.message_id))
  for (const [id, { item }] of nodes[queue]) {
    if (ids.has(id)) continue
    item.remove()
    nodes[queue].delete(id)
    chosen[queue].delete(id)
  }
  for (const message of shown) {
    const item = node(queue, message)
    if (!item.isConnected) place.list.append(item)
  }
  place.number.textContent = String(messages.length)
  place.none.hidden = messages.length > 0
  place.more.textContent = messages.length > SHOWN ? `The first ${SHOWN} are shown.` : ''
  drawButtons(queue)
}

const read = async () => {
  clearTimeout(timer)
  if (byId('view-queues').hidden) return
  try {
    for (const queue of Object.keys(QUEUES)) draw(queue, await get(`queues/${queue}`))
  } catch { /* The head says that the sandbox does not answer. */ }
  timer = setTimeout(read, AGAIN)
}

export const showQueues = read

export const startQueues = () => {
  for (const [queue, [title, text]] of Object.entries(QUEUES)) {
    const [number, list, none, more] = [el('span', { class: 'count' }, '0'), el('ul', { class: 'messages', 'aria-label': title }), el('p', { class: 'soft' }, 'Empty.'), el('p', { class: 'soft foot' })]
    const button = (style, kind, label, act) => el('button', { type: 'button', class: `${style} small`, [`data-${kind}`]: label, onclick: act }, label)
    const buttons = el('div', { class: 'row-of' },
      button('', 'selected', 'Send again', () => redrive(queue, [...chosen[queue]])), button('danger', 'selected', 'Discard', () => discard(queue, [...chosen[queue]])),
      button('quiet', 'all', 'Send all again', () => redrive(queue)), button('danger', 'all', 'Discard all', () => discard(queue)))
    byId('queues').append(el('section', { class: 'card queue', 'data-queue': queue, 'aria-label': title }, el('header', {}, el('h3', {}, title, ' ', number), el('p', { class: 'soft' }, text), buttons), list, none, more))
    places[queue] = { number, list, none, more, buttons, length: 0 }
    drawButtons(queue)
  }
  onChange(() => {
    const queues = samples.at(-1)?.queues
    if (!queues) return
    const waiting = queues.retry + queues.dead + queues.rejects
    const queued = byId('queued')
    queued.hidden = waiting === 0
    if (queued.textContent !== String(waiting)) queued.textContent = String(waiting)
  })
}

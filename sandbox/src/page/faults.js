// The view "Faults": what a service does wrong, at a click, each with its curl.

import { curl, get, put } from './api.js'
import { badge, byId, copyButton, el, json, toast } from './dom.js'
import { onChange, samples } from './live.js'

const SERVICES = { pushwoosh: 'Pushwoosh', segment: 'Segment', sqs: 'SQS', secretsmanager: 'Secrets Manager', dynamodb: 'DynamoDB' }

/** How often an open view is read again, in ms. */
const AGAIN = 1500

const FAULTS = [
  ['pushwoosh', 'Answers 503, twenty times', 'Items are parked and sent again until it answers.', [{ status: 503, times: 20 }]],
  ['pushwoosh', 'Answers 503 until it is cleared', 'The circuit opens; everything is parked.', [{ status: 503 }]],
  ['pushwoosh', 'Asks for a pause: 429', 'Retry-After is obeyed.', [{ status: 429, retry_after: 5, times: 20 }]],
  ['pushwoosh', 'Is slow: three seconds', 'The request is still answered within four.', [{ delay_ms: 3000 }]],
  ['pushwoosh', 'Breaks the connection', 'Whether the call took effect is not known.', [{ reset: true, times: 10 }]],
  ['pushwoosh', 'Never answers', 'The calls end at their deadline.', [{ hang: true, times: 10 }]],
  ['pushwoosh', 'Refuses the key: 401', 'The secret is read again once; then the items are parked.', [{ status: 401 }]],
  ['pushwoosh', 'Knows no event: refused for good', 'The items are rejected, with its words.', [{ path: '/json/1.3/postEvent', body: { status_code: 210, status_message: 'Event is not found' }, times: 5 }]],
  ['pushwoosh', 'Fails one call in three', 'What fails is delivered later.', [{ status: 500, probability: 0.33 }]],
  ['segment', 'Answers 503, twenty times', 'Track calls are parked.', [{ status: 503, times: 20 }]],
  ['segment', 'Asks for a pause: 429', 'Retry-After is obeyed.', [{ status: 429, retry_after: 5, times: 20 }]],
  ['segment', 'Refuses the write key: 401', 'Track calls are parked until the secret is right.', [{ status: 401 }]],
  ['sqs', 'Does not answer: 503', 'What cannot be parked fails, and its sender must resend it.', [{ status: 503 }]],
  ['sqs', 'Takes a part of each batch', 'The entries that failed are sent once more.', [{ path: 'SendMessageBatch', failed_entries: 2, times: 10 }]],
  ['secretsmanager', 'Throttles', 'Settings that were read before stay in use.', [{ status: 400, code: 'ThrottlingException' }]],
  ['secretsmanager', 'Does not answer: 503', 'A right key is never refused for it.', [{ status: 503 }]],
  ['dynamodb', 'Does not answer: 503', 'Live traffic goes on; old items wait.', [{ status: 503 }]]
]

const path = (service) => `/_sandbox/upstream/${service}/faults`
const cards = []
const active = {}
let timer
let own

const set = async (service, list) => {
  await put(`upstream/${service}/faults`, list)
  toast(list.length > 0 ? `${SERVICES[service]}: the fault is set` : `${SERVICES[service]} is well again`)
  await read()
}

const attempt = async (service, list) => set(service, list).catch((error) => toast(error.message))

/** A fault as it was given: without what is nothing, and with `times` only as far as there is a limit. */
const plain = (fault) => Object.entries(fault)
  .filter(([, value]) => value !== false && value !== 0 && value !== null)
  .map(([name, value]) => name === 'times' ? [name, 'some'] : [name, value])
  .sort(([left], [right]) => left < right ? -1 : 1)

/** Whether a list of faults is in force: its `times` count down. */
const isOn = (service, list) => JSON.stringify((active[service] ?? []).map(plain)) === JSON.stringify(list.map(plain))

const curlOf = (service, list) => {
  const command = curl('PUT', path(service), { body: JSON.stringify(list) })
  return el('div', { class: 'curl' }, json(command, 'curl'), copyButton('Copy', () => command, 'curl'))
}

const card = ([service, title, text, list]) => {
  const button = el('button', { type: 'button', class: 'small', onclick: () => attempt(service, isOn(service, list) ? [] : list) }, 'Break it')
  const left = el('span', { class: 'soft' })
  const made = el('section', { class: 'card fault', 'data-service': service, 'aria-label': `${SERVICES[service]}: ${title}` }, el('header', {}, el('h3', {}, title), button),
    el('p', { class: 'soft' }, text, ' ', left), el('details', {}, el('summary', {}, 'curl'), curlOf(service, list)))
  cards.push(() => {
    const on = isOn(service, list)
    made.classList.toggle('on', on)
    button.setAttribute('aria-pressed', String(on))
    button.className = on ? 'danger small' : 'quiet small'
    button.textContent = on ? 'Stop' : 'Break it'
    button.setAttribute('aria-label', `${button.textContent}: ${SERVICES[service]}: ${title}`)
    const times = on ? active[service][0].times : undefined
    left.textContent = times === undefined ? '' : `${times} left.`
  })
  return made
}

/** In the header. The samples say it too, whoever set a fault and whatever view is open. */
const drawNumber = (number) => {
  const faulty = byId('faulty')
  faulty.hidden = number === 0
  if (faulty.textContent !== String(number)) faulty.textContent = String(number)
}

const draw = () => {
  for (const redraw of cards) redraw()
  const broken = Object.entries(active).filter(([, list]) => list.length > 0)
  drawNumber(broken.reduce((number, [, list]) => number + list.length, 0))
  own.state.replaceChildren(...(broken.length > 0
    ? broken.map(([service, list]) => el('div', { class: 'row-of' }, badge('rejected', SERVICES[service]), el('code', { class: 'grow' }, JSON.stringify(list.map((fault) => Object.fromEntries(Object.entries(fault).filter(([, value]) => value !== false && value !== 0))))),
      el('button', { type: 'button', class: 'quiet small', onclick: () => attempt(service, []) }, `Clear ${SERVICES[service]}`)))
    : [el('p', { class: 'soft' }, 'Every service is well.')]))
}

const read = async () => {
  clearTimeout(timer)
  try {
    for (const service of Object.keys(SERVICES)) active[service] = await get(`upstream/${service}/faults`)
    const focused = document.activeElement
    if (!own.state.contains(focused)) draw()
  } catch { /* The head says that the sandbox does not answer. */ }
  if (!byId('view-faults').hidden) timer = setTimeout(read, AGAIN)
}

export const showFaults = read

export const startFaults = () => {
  own = {
    state: el('div', { id: 'faults-now' }),
    service: el('select', { id: 'fault-service' }, Object.entries(SERVICES).map(([name, text]) => el('option', { value: name }, text))),
    list: el('textarea', { id: 'fault-list', spellcheck: 'false', rows: '4' })
  }
  own.list.value = '[{"path": "/json/1.3/postEvent", "application": "DEMO0-00001", "status": 503, "times": 3}]'
  const problem = el('p', { class: 'problem', role: 'status' })
  const apply = async () => {
    try {
      problem.textContent = ''
      await set(own.service.value, JSON.parse(own.list.value))
    } catch (error) {
      problem.textContent = error instanceof SyntaxError ? `It is not JSON: ${error.message}` : error.message
    }
  }
  byId('faults').append(
    el('section', { class: 'card queue', 'aria-label': 'Faults in force' }, el('div', { class: 'row-of' }, el('h3', { class: 'grow' }, 'In force'), el('button', { type: 'button', class: 'quiet small', onclick: async () => { for (const service of Object.keys(SERVICES)) if (active[service]?.length) await attempt(service, []) } }, 'Clear all')), own.state),
    ...Object.entries(SERVICES).flatMap(([service, name]) => [el('h3', { class: 'service' }, name), el('div', { class: 'cards' }, FAULTS.filter(([own]) => own === service).map(card))]),
    el('section', { class: 'card queue', 'aria-label': 'A fault of your own' }, el('h3', {}, 'A fault of your own'),
      el('label', { class: 'field', for: 'fault-service' }, 'Service'), own.service,
      el('label', { class: 'field', for: 'fault-list' }, 'List of faults: the first whose path and application match, and that has times left, applies'), own.list, problem,
      el('div', { class: 'row-of' }, el('button', { type: 'button', onclick: apply }, 'Set'),
        copyButton('Copy as curl', () => curl('PUT', path(own.service.value), { body: own.list.value }), 'curl'))))
  let last
  onChange(() => {
    const newest = samples.at(-1)
    if (newest === last || !newest) return
    last = newest
    drawNumber(newest.faults)
  })
  read()
}

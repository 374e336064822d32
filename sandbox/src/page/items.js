// The view of items: filters, and the list, which is changed in place. A row that is open or has the focus is never
// drawn anew. While a row is open, new rows wait behind a button, so that nothing moves under the reader.

import { byId, clock, el, settled } from './dom.js'
import { fillDetail } from './item.js'
import { fetchRows, onChange, onRestart, pinned, rows, schedule } from './live.js'
import { drawTiles, makeTiles, pressTile } from './plots.js'
import { KINDS, OUTCOMES, person, tone, why } from './words.js'

/** Rows in the document at a time. */
const SHOWN = 200

/** Rows that are made in one frame; the others follow with the next ones, so that no frame takes long. */
const MADE = 30

/** No filter. */
export const EVERYTHING = { q: '', user: '', device: '', app: '', outcome: '', kind: '', reason: '' }

const filter = { ...EVERYTHING }
const nodes = new Map()
const reasons = new Set()
let paused = false
let more = 0

/** What only a link says: compared whole. */
const LINKED = {
  user: (row) => [row.user, ...(row.other_users ?? [])],
  device: (row) => [row.device],
  app: (row) => [row.app]
}

const lets = (row) => (!filter.outcome || row.outcome === filter.outcome) &&
  (!filter.kind || row.kind === filter.kind) &&
  (!filter.reason || why(row) === filter.reason) &&
  Object.entries(LINKED).every(([name, of]) => !filter[name] || of(row).includes(filter[name])) &&
  (!filter.q || [row.user, ...(row.other_users ?? []), row.device, row.app, row.name, row.message_id, row.origin].some((text) => text?.toLowerCase().includes(filter.q)))

const isFiltered = () => Object.values(filter).some(Boolean)

/** Rows after this one wait. */
let heldFrom = Infinity

const newest = () => Math.max(0, ...rows.keys())

/** New rows wait while the list is paused or a row is open. */
const hold = () => {
  const held = paused || pinned.size > 0
  if (!held) heldFrom = Infinity
  else if (heldFrom === Infinity) heldFrom = newest()
}

/* One row */

const cell = (style, text) => el('span', { class: style, title: text || undefined }, text)

const write = (node, row) => {
  node.row = row
  node.item.dataset.tone = tone(row)
  const { outcome, reason } = node.parts
  outcome.textContent = row.outcome
  outcome.dataset.tone = row.outcome
  reason.textContent = why(row)
  reason.title = row.detail ?? ''
}

const make = (row) => {
  const outcome = el('span', { class: 'badge' })
  const reason = cell('why', '')
  const detail = el('div', { class: 'detail', id: `item-${row.id}`, hidden: true })
  const button = el('button', { type: 'button', class: 'row', 'aria-expanded': 'false', 'aria-controls': detail.id, onclick: () => toggle(row.id) },
    cell('time', clock(row.at)), el('span', { class: 'outcome' }, outcome), cell('kind', KINDS[row.kind] ?? row.kind),
    cell('name', row.name ?? KINDS[row.kind] ?? '–'), cell('user', person(row) || '–'), cell('app', row.app ?? '–'), reason)
  const node = { item: el('li', { class: 'item', 'data-id': row.id }, button, detail), button, detail, parts: { outcome, reason } }
  write(node, row)
  return node
}

/** Opens or closes a row. */
const toggle = (id, open = !pinned.has(id)) => {
  const node = nodes.get(id)
  if (!node) return
  node.button.setAttribute('aria-expanded', String(open))
  node.item.classList.toggle('open', open)
  node.detail.hidden = !open
  if (open) {
    pinned.add(id)
    fillDetail(node.detail, id)
  } else {
    pinned.delete(id)
  }
  hold()
  schedule()
}

/* The list */

const wanted = () => {
  const found = []
  const newest = [...rows.keys()].sort((left, right) => right - left)
  for (const id of newest) {
    if (found.length >= SHOWN) break
    if (lets(rows.get(id))) found.push(id)
  }
  return found
}

const remember = (row) => {
  const reason = why(row)
  if (!reason || reasons.has(reason)) return
  reasons.add(reason)
  byId('by-reason').append(el('option', { value: reason }, reason))
}

const draw = () => {
  drawTiles()
  if (byId('view-items').hidden) return
  const ids = wanted()
  const held = heldFrom !== Infinity
  const shown = new Set(ids)
  more = 0
  const list = byId('items')
  for (const [id, node] of nodes) {
    const keep = pinned.has(id) || node.item.contains(document.activeElement) || (held && lets(rows.get(id) ?? node.row))
    if (shown.has(id) || keep) continue
    node.item.remove()
    nodes.delete(id)
  }
  let made = 0
  let next = list.firstElementChild
  for (const id of ids) {
    const row = rows.get(id)
    remember(row)
    let node = nodes.get(id)
    if (!node) {
      if (id > heldFrom) {
        more += 1
        continue
      }
      if (made >= MADE) {
        schedule()
        continue
      }
      made += 1
      node = make(row)
      nodes.set(id, node)
      while (next && Number(next.dataset.id) > id) next = next.nextElementSibling
      list.insertBefore(node.item, next)
      continue
    }
    if (node.row !== row) {
      const changed = node.row.outcome !== row.outcome || node.row.attempts !== row.attempts
      write(node, row)
      if (changed && pinned.has(id)) fillDetail(node.detail, id)
    }
    if (next === node.item) next = next.nextElementSibling
  }
  for (const id of pinned) {
    const [node, row] = [nodes.get(id), rows.get(id)]
    if (node && row && node.row !== row) {
      write(node, row)
      fillDetail(node.detail, id)
    }
  }
  const fresh = byId('fresh')
  fresh.hidden = more === 0
  fresh.textContent = `${more >= SHOWN ? `${SHOWN} or more` : more} new ${more === 1 ? 'item' : 'items'}: show`
  byId('no-items').hidden = nodes.size > 0
  byId('no-items').firstElementChild.textContent = isFiltered() ? 'No item matches.' : 'Nothing has come in yet.'
  byId('items-foot').textContent = nodes.size >= SHOWN ? `The newest ${SHOWN} are shown. Search and filters look through the newest 10,000.` : ''
}

/** Lets the rows in that wait, above the open ones. */
const showNew = () => {
  heldFrom = newest()
  byId('items').querySelector('.row')?.focus({ preventScroll: true })
  scrollTo({ top: 0 })
  schedule()
}

/* Filters */

const look = settled(() => {
  const query = new URLSearchParams({ limit: String(SHOWN) })
  for (const [name, value] of Object.entries(filter)) if (value) query.set(name, value)
  fetchRows(query)
}, 150)

/** Changes the filter, and asks for older rows that match. */
export const setFilter = (changes) => {
  Object.assign(filter, changes)
  if (filter.q !== byId('search').value.trim().toLowerCase()) byId('search').value = filter.q
  byId('by-outcome').value = filter.outcome
  byId('by-kind').value = filter.kind
  if (filter.reason) remember({ reason: filter.reason })
  byId('by-reason').value = filter.reason
  byId('unfilter').hidden = !isFiltered()
  byId('linked').replaceChildren(...Object.keys(LINKED).filter((name) => filter[name]).map((name) => el('button', {
    type: 'button', class: 'quiet small', 'aria-label': `Do not filter by ${name}: ${filter[name]}`, onclick: () => setFilter({ [name]: '' })
  }, `${name}: ${filter[name]} ✕`)))
  for (const id of [...pinned]) if (!lets(rows.get(id) ?? nodes.get(id)?.row ?? {})) toggle(id, false)
  pressTile(filter.outcome)
  if (heldFrom !== Infinity) heldFrom = newest()
  if (isFiltered()) look()
  schedule()
}

const option = (value, text) => el('option', { value }, text)

/* Keys */

const move = (step) => {
  const buttons = [...byId('items').querySelectorAll('.row')]
  const at = buttons.indexOf(document.activeElement)
  buttons[at < 0 ? 0 : Math.min(Math.max(at + step, 0), buttons.length - 1)]?.focus()
}

const onKey = (event) => {
  if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
    if (!event.target.classList?.contains('row')) return
    move(event.key === 'ArrowDown' ? 1 : -1)
    event.preventDefault()
  } else if (event.key === 'Escape') {
    const item = event.target.closest?.('.item.open')
    if (!item) return
    toggle(Number(item.dataset.id), false)
    item.querySelector('.row').focus()
  }
}

export const startItems = () => {
  makeTiles((outcome) => setFilter({ outcome: filter.outcome === outcome ? '' : outcome }))
  byId('by-outcome').append(option('', 'Every outcome'), ...Object.keys(OUTCOMES).map((name) => option(name, name)))
  byId('by-kind').append(option('', 'Every kind'), ...Object.entries(KINDS).map(([name, text]) => option(name, text)))
  byId('by-reason').append(option('', 'Every reason'))
  byId('by-outcome').addEventListener('change', (event) => setFilter({ outcome: event.target.value }))
  byId('by-kind').addEventListener('change', (event) => setFilter({ kind: event.target.value }))
  byId('by-reason').addEventListener('change', (event) => setFilter({ reason: event.target.value }))
  byId('search').addEventListener('input', (event) => setFilter({ q: event.target.value.trim().toLowerCase() }))
  byId('search').addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown') {
      move(0)
      event.preventDefault()
    }
  })
  byId('unfilter').addEventListener('click', () => {
    setFilter(EVERYTHING)
    byId('search').focus()
  })
  byId('pause').addEventListener('click', () => {
    paused = !paused
    byId('pause').setAttribute('aria-pressed', String(paused))
    byId('pause').textContent = paused ? 'Go on' : 'Pause'
    hold()
    schedule()
  })
  byId('fresh').addEventListener('click', showNew)
  byId('items').addEventListener('keydown', onKey)
  byId('no-items').append(el('p', {}, 'Nothing has come in yet.'), el('a', { href: '#/send' }, 'Send something'))
  onChange(draw)
  onRestart(() => {
    nodes.clear()
    byId('items').replaceChildren()
    hold()
  })
  schedule()
}

/** Shows one item, from a link; says so where there is none. */
export const openItem = async (id) => {
  const response = await fetch(`/_sandbox/items/${encodeURIComponent(id)}`)
  if (!response.ok) {
    byId('no-item').textContent = `The sandbox does not keep item ${id}. It keeps the newest 10,000, and none of an earlier start.`
    byId('no-item').hidden = false
    return
  }
  const { input, explanation, calls, steps, ...row } = await response.json()
  rows.set(row.id, row)
  if (!lets(row)) setFilter(EVERYTHING)
  if (!nodes.has(row.id)) {
    const node = make(row)
    nodes.set(row.id, node)
    const list = byId('items')
    const next = [...list.children].find((item) => Number(item.dataset.id) < row.id)
    list.insertBefore(node.item, next ?? null)
  }
  toggle(row.id, true)
  // What came in before the link was opened is shown too.
  heldFrom = Infinity
  nodes.get(row.id).item.scrollIntoView({ block: 'center' })
  nodes.get(row.id).button.focus({ preventScroll: true })
}

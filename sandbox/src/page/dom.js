// Making elements. Text is always set as text: nothing that came in is ever read as markup.

export const byId = (id) => document.getElementById(id)

/** An element. `on…` properties are listeners, `data-…`, `aria-…` and others are attributes. */
export const el = (name, properties = {}, ...children) => {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value)
    else if (key === 'class') made.className = value
    else if (key === 'value') made.value = value
    else made.setAttribute(key, value === true ? '' : value)
  }
  made.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false))
  return made
}

const SVG = 'http://www.w3.org/2000/svg'
export const svg = (name, attributes = {}, ...children) => {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.append(...children)
  return made
}

export const badge = (tone, text = tone) => el('span', { class: 'badge', 'data-tone': tone }, text)

/** Text in which names between backticks are code. */
export const prose = (text) => text.split('`').map((part, index) => index % 2 ? el('code', {}, part) : part)

/** One part of JSON text: a key, a text, another value. */
const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d[\d.eE+-]*/g

/** Longer texts are shown without colours. */
const COLOURED = 60_000

/** A value as JSON, coloured. */
export const json = (value, label) => {
  const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2) ?? ''
  const shown = el('pre', { tabindex: '0', role: 'region', 'aria-label': label ?? 'JSON' })
  if (typeof value === 'string' || text.length > COLOURED) {
    shown.textContent = text
    return shown
  }
  let end = 0
  for (const token of text.matchAll(TOKEN)) {
    shown.append(text.slice(end, token.index))
    const kind = token[2] ? 'j-key' : token[1] ? 'j-text' : 'j-other'
    shown.append(el('span', { class: kind }, token[1] ?? token[0]), token[2] ?? '')
    end = token.index + token[0].length
  }
  shown.append(text.slice(end))
  return shown
}

/** A table; cells are texts or elements. A column's style is that of its head, in small letters. */
export const table = (label, heads, rows) => {
  const styles = heads.map((head) => head.toLowerCase().replaceAll(' ', '-'))
  return el('div', { class: 'table' }, el('table', { 'aria-label': label },
    el('thead', {}, el('tr', {}, heads.map((head, index) => el('th', { scope: 'col', class: styles[index] }, head)))),
    el('tbody', {}, rows.map((cells) => el('tr', {}, cells.map((cell, index) => el('td', { class: `mono ${styles[index]}` }, cell)))))))
}

let toasting
export const toast = (text) => {
  const shown = byId('toast')
  shown.textContent = text
  shown.classList.add('shown')
  clearTimeout(toasting)
  toasting = setTimeout(() => shown.classList.remove('shown'), 2500)
}

/** Copies text; without permission it is shown, so that a person can take it. */
export const copy = async (text, what) => {
  try {
    await navigator.clipboard.writeText(text)
    toast(`${what} copied`)
  } catch {
    const box = el('dialog', { class: 'dialog', 'aria-label': what }, el('p', {}, `The browser does not allow copying. ${what}:`), json(text, what),
      el('div', { class: 'row-of' }, el('button', { type: 'button', onclick: () => box.close() }, 'Close')))
    box.addEventListener('close', () => box.remove())
    document.body.append(box)
    box.showModal()
  }
}

export const copyButton = (label, text, what = label) =>
  el('button', { type: 'button', class: 'quiet small', onclick: async () => copy(await text(), what) }, label)

/** Asks before something that cannot be taken back. */
export const confirmed = (question, yes) => new Promise((resolve) => {
  const box = el('dialog', { class: 'dialog', 'aria-label': question }, el('p', {}, question), el('div', { class: 'row-of' },
    el('button', { type: 'button', onclick: () => box.close('yes') }, yes),
    el('button', { type: 'button', class: 'quiet', onclick: () => box.close() }, 'Cancel')))
  box.addEventListener('close', () => {
    box.remove()
    resolve(box.returnValue === 'yes')
  })
  document.body.append(box)
  box.showModal()
})

const two = (number) => String(number).padStart(2, '0')

/** A time of day, with milliseconds. */
export const clock = (at) => {
  const time = new Date(at)
  if (Number.isNaN(time.getTime())) return at
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${String(time.getMilliseconds()).padStart(3, '0')}`
}

/** Seconds, for people. */
export const duration = (seconds) => {
  if (seconds < 60) return `${Math.round(seconds)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`
  return `${Math.floor(seconds / 86_400)} d`
}

/** Calls `act` once, when nothing happened for so long. */
export const settled = (act, pause) => {
  let timer
  return (...values) => {
    clearTimeout(timer)
    timer = setTimeout(() => act(...values), pause)
  }
}

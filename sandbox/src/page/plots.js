// Counts by outcome with a small plot of the last minutes each, the lag of the topic, and the age of the oldest
// undelivered item.

import { byId, duration, el, svg } from './dom.js'
import { samples } from './live.js'
import { OUTCOMES } from './words.js'

/** Points of a plot: seconds. */
const SHOWN = 120

const SHOWN_OUTCOMES = ['delivered', 'disregarded', 'parked', 'rejected', 'failed', 'refused']

const tiles = new Map()

/** Points of the shortest plot: so that the first seconds do not look like an hour. */
const LEAST = 30

/** Where a plot of so many values begins, from 0 to 100. */
const start = (values) => 100 - (values.length - 1) * step(values)
const step = (values) => 100 / (Math.max(LEAST, values.length) - 1)

const path = (values) => {
  const most = Math.max(1, ...values)
  const points = values.map((value, index) => `${start(values) + index * step(values)} ${28 - 26 * value / most}`)
  return points.length > 1 ? `M${points.join('L')}` : ''
}

const plot = () => {
  const [area, line] = [svg('path', { class: 'area' }), svg('path', { class: 'line' })]
  const drawing = svg('svg', { viewBox: '0 0 100 30', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, area, line)
  return {
    drawing,
    draw: (values) => {
      const outline = path(values)
      line.setAttribute('d', outline)
      area.setAttribute('d', outline ? `${outline}L100 30L${start(values)} 30Z` : '')
    }
  }
}

const tile = (name, tone, label, hint, onPress) => {
  const [number, rate] = [el('span', { class: 'number' }, '0'), el('span', { class: 'rate' })]
  const { drawing, draw } = plot()
  const parts = [el('span', { class: 'what' }, label), el('span', {}, number, rate), drawing]
  const made = onPress
    ? el('button', { type: 'button', class: 'tile', 'data-tone': tone, 'data-outcome': name, 'aria-pressed': 'false', title: hint, onclick: () => onPress(name) }, parts)
    : el('div', { class: 'tile', 'data-tone': tone, title: hint }, parts)
  tiles.set(name, { made, number, rate, draw })
  return made
}

/** Makes the tiles. A press on one of an outcome calls `onOutcome`. */
export const makeTiles = (onOutcome) => {
  byId('tiles').append(
    ...SHOWN_OUTCOMES.map((outcome) => tile(outcome, outcome, outcome, OUTCOMES[outcome], onOutcome)),
    tile('lag', 'accent', 'topic lag', 'Records on the topic that are not read yet'),
    tile('oldest', 'parked', 'oldest', 'Age of the oldest item that is pending or parked')
  )
}

export const pressTile = (outcome) => {
  for (const [name, { made }] of tiles) {
    if (made.localName === 'button') made.setAttribute('aria-pressed', String(name === outcome))
  }
}

const write = (element, text) => {
  if (element.textContent !== text) element.textContent = text
}

/** Per second, between two samples: a hidden page may have missed some. */
const rates = (shown, outcome) => shown.slice(1).map((sample, index) => {
  const before = shown[index]
  const seconds = Math.max(1, (Date.parse(sample.at) - Date.parse(before.at)) / 1000)
  return ((sample.entered[outcome] ?? 0) - (before.entered[outcome] ?? 0)) / seconds
})

let last
export const drawTiles = () => {
  const newest = samples.at(-1)
  if (newest === last || !newest) return
  last = newest
  const shown = samples.slice(-SHOWN)
  for (const outcome of SHOWN_OUTCOMES) {
    const { number, rate, draw } = tiles.get(outcome)
    const values = rates(shown, outcome)
    const now = values.at(-1) ?? 0
    write(number, (newest.now[outcome] ?? 0).toLocaleString('en'))
    write(rate, now >= 0.5 ? `${Math.round(now)}/s` : '')
    draw(values)
  }
  write(tiles.get('lag').number, newest.lag.toLocaleString('en'))
  tiles.get('lag').draw(shown.map((sample) => sample.lag))
  write(tiles.get('oldest').number, newest.oldest_s ? duration(newest.oldest_s) : '–')
  tiles.get('oldest').draw(shown.map((sample) => sample.oldest_s))
}

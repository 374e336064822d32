// The items and samples, live. Rows are kept in a bounded list, and whoever shows them is called at most once
// per animation frame, and not more often than MIN_PAUSE: however many events a second come.

/** Rows that the page keeps; the sandbox keeps more. */
export const KEPT = 2000

/** Between two drawings, in ms. */
const MIN_PAUSE = 120

/** Rows that are asked for at the start. */
const RECENT = 500

const SAMPLES = 300

export const rows = new Map()
export const samples = []

const listeners = new Set()
const restarted = new Set()
let scheduled = false
let drawn = 0

/** Calls `listener` when rows or samples have changed. */
export const onChange = (listener) => listeners.add(listener)

/** Calls `listener` when the sandbox was started anew: its items have the numbers of others now. */
export const onRestart = (listener) => restarted.add(listener)

const draw = () => {
  scheduled = false
  drawn = performance.now()
  for (const listener of listeners) listener()
}

/** Draws with one of the next frames. */
export const schedule = () => {
  if (scheduled) return
  scheduled = true
  const wait = drawn + MIN_PAUSE - performance.now()
  if (wait > 0) setTimeout(() => requestAnimationFrame(draw), wait)
  else requestAnimationFrame(draw)
}

/** Rows that must not be forgotten: they are open. */
export const pinned = new Set()

export const take = (row) => {
  const known = rows.has(row.id)
  rows.set(row.id, row)
  if (known || rows.size <= KEPT) return
  // A map keeps the order of insertion, which is nearly the order of arrival.
  for (const id of rows.keys()) {
    if (pinned.has(id)) continue
    rows.delete(id)
    return
  }
}

/** Rows that the sandbox still has, for a filter. */
export const fetchRows = async (query) => {
  const response = await fetch(`/_sandbox/items?${query}`)
  if (!response.ok) return
  for (const row of (await response.json()).reverse()) take(row)
  schedule()
}

/** Of which run of the sandbox the rows are. */
let run

/** A sandbox that was started anew numbers its items from one. */
const begin = (newRun) => {
  if (run !== undefined && run !== newRun) {
    rows.clear()
    pinned.clear()
    samples.length = 0
    for (const listener of restarted) listener()
    schedule()
  }
  run = newRun
}

/** Connects, and again when the connection is lost. */
export const connect = (onState) => {
  const source = new EventSource(`/_sandbox/events?recent=${RECENT}`)
  source.addEventListener('open', () => onState(true))
  source.addEventListener('error', () => onState(false))
  source.addEventListener('run', (event) => begin(event.data))
  source.addEventListener('item', (event) => {
    take(JSON.parse(event.data))
    schedule()
  })
  source.addEventListener('sample', (event) => {
    samples.push(JSON.parse(event.data))
    if (samples.length > SAMPLES) samples.splice(0, samples.length - SAMPLES)
    schedule()
  })
}

// The frame: which view is shown, the connection, and the keys.

import { byId } from './dom.js'
import { showFaults, startFaults } from './faults.js'
import { openItem, setFilter, startItems } from './items.js'
import { connect } from './live.js'
import { showPlayground, startPlayground } from './playground.js'
import { showQueues, startQueues } from './queues.js'
import { showSend, startSend } from './send.js'

/** A link may name what `/_sandbox/items` knows: `#/items?user=u1&outcome=parked`. */
const filterOf = (asked) => {
  const [outcome, kind, reason] = ['outcome', 'kind', 'reason'].map((name) => asked.get(name) ?? '')
  const [user, device, app] = ['user', 'device', 'app'].map((name) => asked.get(name) ?? '')
  return { outcome, kind, reason, user, device, app, q: (asked.get('q') ?? '').trim().toLowerCase() }
}

const VIEWS = {
  items: async (rest) => {
    byId('no-item').hidden = true
    if (rest.startsWith('?')) setFilter(filterOf(new URLSearchParams(rest)))
    else if (rest) await openItem(rest)
  },
  send: showSend,
  playground: showPlayground,
  queues: showQueues,
  faults: showFaults
}

/** `#/items/7` is a view and what is to be shown there. */
const route = () => {
  const [, name = 'items', rest = ''] = location.hash.match(/^#\/(\w+)\/?(.*)$/) ?? []
  return name in VIEWS ? { name, rest } : { name: 'items', rest: '' }
}

const show = async () => {
  const { name, rest } = route()
  for (const view of Object.keys(VIEWS)) byId(`view-${view}`).hidden = view !== name
  for (const link of document.querySelectorAll('nav a')) {
    if (link.dataset.view === name) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  document.title = `${name[0].toUpperCase()}${name.slice(1)} · segment-pushwoosh`
  await VIEWS[name](rest)
}

const isTyping = (target) => target.matches?.('input:not([type=checkbox]), textarea, select')

const onKey = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return
  const view = Object.keys(VIEWS)[Number(event.key) - 1]
  if (view) {
    location.hash = `#/${view}`
  } else if (event.key === '/') {
    location.hash = '#/items'
    byId('view-items').hidden = false
    byId('search').focus()
    event.preventDefault()
  }
}

const onConnection = (connected) => {
  byId('live').className = `live ${connected ? 'on' : 'off'}`
  byId('live-text').textContent = connected ? 'live' : 'the sandbox does not answer'
}

startItems()
startQueues()
startFaults()
await Promise.all([startSend(), startPlayground()])
connect(onConnection)
addEventListener('hashchange', show)
addEventListener('keydown', onKey)
await show()

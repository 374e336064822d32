// The playground: an input, perhaps a mapping, and at each keystroke what would become of it. The address holds
// all of it, so that a link shows another person the same.

import { choose, get, post, put } from './api.js'
import { byId, confirmed, copy, copyButton, el, settled, toast } from './dom.js'
import { EXAMPLES, filled, text } from './examples.js'
import { explanationParts } from './explanation.js'
import { optionsOf } from './send.js'

/** Pause after a keystroke before the sandbox is asked, in ms. */
const PAUSE = 60

/** The same before the address is changed: browsers limit how often that may be. */
const ADDRESS_PAUSE = 400

const VIEW = '#/playground'
let parts
let result
let asking

/* State and address */

const through = async (bytes, stream) => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer())

/** An address that holds the state. */
export const playgroundLink = async (state) => {
  const bytes = await through(new TextEncoder().encode(JSON.stringify(state)), new CompressionStream('deflate-raw'))
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
  return `${VIEW}/${text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`
}

const readLink = async (packed) => {
  const bytes = Uint8Array.from(atob(packed.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0))
  return JSON.parse(new TextDecoder().decode(await through(bytes, new DecompressionStream('deflate-raw'))))
}

const state = () => ({ input: parts.input.value, mapping: parts.mapping.value, app: parts.app.value })

const keepAddress = settled(async () => {
  if (!location.hash.startsWith(VIEW)) return
  const link = await playgroundLink(state())
  if (location.hash.startsWith(VIEW)) history.replaceState(null, '', link)
}, ADDRESS_PAUSE)

/* Explaining */

const mapping = () => {
  const own = parts.mapping.value.trim()
  return own ? JSON.parse(own) : undefined
}

const complain = (input, place, message) => {
  input.setAttribute('aria-invalid', String(Boolean(message)))
  place.textContent = message
}

const explain = async () => {
  const question = Symbol('question')
  asking = question
  const { input, app } = state()
  if (!input.trim()) {
    complain(parts.input, parts.inputProblem, '')
    parts.result.replaceChildren(el('p', { class: 'soft' }, 'Paste a raw event, a request body, or a record.'))
    return
  }
  let own
  try {
    own = mapping()
    complain(parts.mapping, parts.mappingProblem, '')
  } catch (error) {
    complain(parts.mapping, parts.mappingProblem, `The mapping is not JSON: ${error.message}`)
    return
  }
  try {
    const answer = await post('explain', { input, mapping: own, application: app || undefined })
    if (asking !== question) return
    result = answer
    complain(parts.input, parts.inputProblem, '')
    draw(answer)
  } catch (error) {
    if (asking !== question) return
    complain(parts.input, parts.inputProblem, error.message)
  }
}

const draw = ({ input, explained, warnings }) => {
  const opened = [...parts.result.querySelectorAll('details')].map((details) => details.open)
  const top = parts.result.scrollTop
  parts.result.replaceChildren(
    el('p', { id: 'taken-for' }, 'Taken for ', el('strong', {}, input.text), '.'),
    ...warnings.map((warning) => el('p', { class: 'note', 'data-tone': 'rejected' }, warning)),
    ...explained.map((one) => el('div', { class: 'explained' }, explanationParts(one))))
  parts.result.querySelectorAll('details').forEach((details, index) => { if (index in opened) details.open = opened[index] })
  parts.result.scrollTop = top
}

const soon = settled(explain, PAUSE)

const changed = () => {
  soon()
  keepAddress()
}

/* Mappings */

const setMapping = (value) => {
  parts.mapping.value = value === undefined ? '' : JSON.stringify(value, null, 2)
  parts.own.open = true
  changed()
}

const secret = () => get(`secrets/${encodeURIComponent(parts.app.value)}`)

/** As a list of entries, whatever form was typed. */
const entries = () => {
  const own = mapping()
  if (own === undefined) return undefined
  return Array.isArray(own) ? own : own.mappings ?? own.presets ?? [own]
}

const attempt = (act) => async () => {
  try {
    await act()
  } catch (error) {
    toast(error.message)
  }
}

const useMapping = attempt(async () => {
  const own = entries()
  const app = parts.app.value
  const before = await secret()
  const text = own ? `Use this mapping for ${app}? Raw events that are sent as ${app} go through it.` : `Use the presets for ${app}?`
  if (!await confirmed(text, 'Use it')) return
  const { mappings, ...others } = before
  await put(`secrets/${encodeURIComponent(app)}`, own ? { ...others, mappings: own } : others)
  toast(`${app} uses it. The functions read it within 5 seconds.`)
})

const asSecret = async () => JSON.stringify({ ...await secret().catch(() => ({})), mappings: entries() }, null, 2)

/** A file for a shell, between two marks. */
const file = (name, content, mark) => `cat > "$dir/${name}" <<'${mark}'\n${content}\n${mark}`

/** A test that fails once the mapping gives other calls for the input. */
const asTest = () => {
  const own = parts.mapping.value.trim()
  const calls = (result?.explained ?? []).flatMap((one) => one.calls.map(({ path, body }) => JSON.stringify({ path, body })))
  return [
    '#!/bin/sh', '# Fails if this input becomes other calls than these. Needs segment-pushwoosh and jq.', 'set -eu', 'dir=$(mktemp -d)',
    file('input.json', parts.input.value.trim(), 'INPUT'), ...(own ? [file('mapping.json', own, 'MAPPING')] : []),
    file('expected.ndjson', calls.join('\n'), 'EXPECTED'),
    `segment-pushwoosh explain --json --app '${parts.app.value}'${own ? ' --mapping "$dir/mapping.json"' : ''} "$dir/input.json" |`,
    '  jq -cS \'.calls[] | {path, body}\' > "$dir/found.ndjson"', 'jq -cS . "$dir/expected.ndjson" | diff - "$dir/found.ndjson" && echo passed', ''
  ].join('\n')
}

/* The view */

export const startPlayground = async () => {
  const problem = (id) => el('p', { class: 'problem', id, role: 'status' })
  parts = {
    app: el('select', { id: 'play-app' }),
    example: el('select', { id: 'play-example' }, el('option', { value: '' }, 'Choose an example …'), EXAMPLES.filter(({ body }) => typeof body !== 'string').map((example) => el('option', { value: example.name }, example.name))),
    input: el('textarea', { id: 'play-input', spellcheck: 'false', rows: '16', 'aria-describedby': 'play-input-problem' }),
    inputProblem: problem('play-input-problem'),
    mapping: el('textarea', { id: 'play-mapping', spellcheck: 'false', rows: '16', 'aria-describedby': 'play-mapping-problem' }),
    mappingProblem: problem('play-mapping-problem'),
    result: el('div', { id: 'play-result', class: 'explained', 'aria-live': 'off' })
  }
  parts.own = el('details', { id: 'play-own' }, el('summary', {}, el('strong', {}, 'Mapping'), el('span', { class: 'soft' }, ' in place of the application’s own, for raw events')),
    el('div', { class: 'row-of' },
      el('button', { type: 'button', class: 'quiet small', onclick: attempt(async () => setMapping(await get('presets'))) }, 'Load the presets'),
      el('button', { type: 'button', class: 'quiet small', onclick: attempt(async () => setMapping((await secret()).mappings ?? await get('presets'))) }, 'Load the application’s'),
      el('button', { type: 'button', class: 'quiet small', onclick: () => setMapping() }, 'None')),
    el('label', { class: 'field', for: 'play-mapping' }, 'As in a secret’s mappings, or as copied from Segment'), parts.mapping, parts.mappingProblem,
    el('div', { class: 'row-of' },
      el('button', { type: 'button', class: 'small', onclick: useMapping }, 'Use for this application'), copyButton('Copy as secret', saidIfNot(asSecret), 'Secret')))
  byId('playground').append(
    el('div', { class: 'card' },
      el('label', { class: 'field', for: 'play-app' }, 'Application'), parts.app,
      el('label', { class: 'field', for: 'play-example' }, 'Example'), parts.example,
      el('label', { class: 'field', for: 'play-input' }, 'Input: a raw event, a request body, a record; one or several'), parts.input, parts.inputProblem,
      el('div', { class: 'row-of' }, copyButton('Copy as test', asTest, 'Test'),
        el('button', { type: 'button', class: 'quiet small', onclick: async () => copy(`${location.origin}/${await playgroundLink(state())}`, 'Link') }, 'Copy a link')),
      el('div', { class: 'row-of' }), parts.own),
    el('div', { class: 'card' }, el('h3', { class: 'hidden' }, 'What it would become'), parts.result))
  parts.input.addEventListener('input', changed)
  parts.mapping.addEventListener('input', changed)
  parts.app.addEventListener('change', () => {
    choose(parts.app.value)
    changed()
  })
  parts.example.addEventListener('change', () => {
    const example = EXAMPLES.find(({ name }) => name === parts.example.value)
    if (!example) return
    parts.input.value = filled(text(example.body), 1, parts.app.value)
    changed()
  })
  await optionsOf(parts.app)
}

/** Copying waits for the text; a text that cannot be made says why. */
const saidIfNot = (make) => async () => {
  try {
    return await make()
  } catch (error) {
    toast(error.message)
    throw error
  }
}

/** Shows the state that the address holds. */
export const showPlayground = async (packed) => {
  await optionsOf(parts.app)
  if (packed) {
    try {
      const { input = '', mapping: own = '', app } = await readLink(packed)
      parts.input.value = input
      parts.mapping.value = own
      parts.own.open = Boolean(own)
      if (app && [...parts.app.options].some((option) => option.value === app)) parts.app.value = app
    } catch {
      toast('The link is not whole.')
    }
  } else if (!parts.input.value) {
    const example = EXAMPLES.find(({ name }) => name === 'A raw track event')
    parts.input.value = filled(text(example.body), 1, parts.app.value)
  }
  explain()
}

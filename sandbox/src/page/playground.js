// The playground: an input, perhaps a mapping, and at each keystroke what would become of it. The address holds
// all of it, so that a link shows another person the same.

import { choose, get, post, put } from './api.js'
import { byId, confirmed, copy, el, prose, settled, toast } from './dom.js'
import { EXAMPLES, filled, text } from './examples.js'
import { explanationParts } from './explanation.js'
import { notHere, optionsOf } from './application_choice.js'
import { asTest } from './as_test.js'
import { VIEW, playgroundLink, readLink } from './playground_link.js'

/** Pause after a keystroke before the sandbox is asked, in ms. */
const PAUSE = 60

/** The same before the address is changed: browsers limit how often that may be. */
const ADDRESS_PAUSE = 400

let parts
let asking

/** What was explained last, with the input and the mapping of it; nothing while these are wrong. */
let result

/* State and address */

const state = () => ({ input: parts.input.value, mapping: parts.mapping.value, app: parts.app.value })

const keepAddress = settled(async () => {
  if (!location.hash.startsWith(VIEW)) return
  const link = await playgroundLink(state())
  if (location.hash.startsWith(VIEW)) history.replaceState(null, '', link)
}, ADDRESS_PAUSE)

/* Explaining */

const mapping = () => {
  const own = parts.mapping.value.trim()
  if (!own) return undefined
  try {
    return JSON.parse(own)
  } catch (error) {
    throw Object.assign(new Error(`The mapping is not JSON: ${error.message}`), { part: 'mapping' })
  }
}

const complain = (input, place, message) => {
  input.setAttribute('aria-invalid', String(Boolean(message)))
  place.textContent = message
}

/** Shows a problem beside the part that has it. */
const blame = ({ part, message } = {}) => {
  complain(parts.mapping, parts.mappingProblem, part === 'mapping' ? message : '')
  complain(parts.input, parts.inputProblem, message && part !== 'mapping' ? message : '')
  parts.test.disabled = !result
}

/** An old result stays in sight, dimmed, while something is typed that cannot be explained. */
const outdate = () => {
  result = undefined
  if (parts.result.classList.contains('stale') || parts.result.children.length === 0) return
  parts.result.classList.add('stale')
  parts.result.prepend(el('p', { class: 'note stale-note', 'data-tone': 'rejected' }, 'This is the result of what was typed before.'))
}

const explain = async () => {
  const question = Symbol('question')
  asking = question
  const { input, app } = state()
  if (!input.trim()) {
    result = undefined
    blame()
    show(el('p', { class: 'soft' }, 'Paste a raw event, a request body, or a record.'))
    return
  }
  try {
    const own = mapping()
    const answer = await post('explain', { input, mapping: own, application: app || undefined })
    if (asking !== question) return
    result = { ...answer, app, text: input.trim(), mapping: parts.mapping.value.trim() }
    blame()
    draw(answer)
  } catch (error) {
    if (asking !== question) return
    outdate()
    blame(error)
  }
}

const show = (...shown) => {
  parts.result.classList.remove('stale')
  parts.result.replaceChildren(...shown)
}

const draw = ({ input, explained, warnings }) => {
  const opened = [...parts.result.querySelectorAll('details')].map((details) => details.open)
  const top = parts.result.scrollTop
  show(
    el('p', { id: 'taken-for' }, 'Taken for ', el('strong', {}, input.text), '.'),
    ...warnings.map((warning) => el('p', { class: 'note', 'data-tone': 'rejected' }, prose(warning))),
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

/** As the list of entries that a secret holds, whatever form was typed. Fails where a function could not use it. */
const entries = async () => {
  try {
    const own = mapping()
    if (own === undefined) return undefined
    const list = [own, own?.mappings, own?.presets].find(Array.isArray) ?? [own]
    await post('explain', { input: [], mapping: list }).catch((error) => { if (error.part === 'mapping') throw error })
    return list
  } catch (error) {
    blame(error)
    throw new Error(`The mapping cannot be used: ${error.message}`)
  }
}

const attempt = (act) => async () => {
  try {
    await act()
  } catch (error) {
    toast(error.message)
  }
}

const useMapping = attempt(async () => {
  const own = await entries()
  const app = parts.app.value
  const before = await secret()
  const text = own ? `Use this mapping for ${app}? Raw events that are sent as ${app} go through it.` : `Use the presets for ${app}?`
  if (!await confirmed(text, 'Use it')) return
  const { mappings, ...others } = before
  await put(`secrets/${encodeURIComponent(app)}`, own ? { ...others, mappings: own } : others)
  toast(`${app} uses it. The functions read it within 5 seconds.`)
})

/** As AWS needs it: without what leads to this machine. */
const asSecret = async () => {
  const own = await entries()
  const { sandbox, ...known } = await secret().catch(() => ({}))
  for (const section of [known.pushwoosh, known.segment]) delete section?.base_url
  return JSON.stringify({ ...known, mappings: own }, null, 2)
}

/** The test has the mapping in force, so that it is about the same things tomorrow. */
const copyTest = attempt(async () => {
  const { mapping: own, ...explained } = result
  const inForce = own || JSON.stringify((await secret().catch(() => ({}))).mappings ?? await get('presets'), null, 2)
  await copy(asTest({ ...explained, mapping: inForce }), 'Test')
})

const copySecret = attempt(async () => copy(await asSecret(), 'Secret'))

/* The view */

export const startPlayground = async () => {
  const problem = (id) => el('p', { class: 'problem', id, role: 'status' })
  parts = {
    app: el('select', { id: 'play-app', 'aria-describedby': 'play-app-problem' }),
    appProblem: problem('play-app-problem'),
    example: el('select', { id: 'play-example' }, el('option', { value: '' }, 'Choose an example …'), EXAMPLES.filter(({ body }) => typeof body !== 'string').map((example) => el('option', { value: example.name }, example.name))),
    input: el('textarea', { id: 'play-input', spellcheck: 'false', rows: '16', 'aria-describedby': 'play-input-problem' }),
    inputProblem: problem('play-input-problem'),
    test: el('button', { type: 'button', class: 'quiet small', onclick: copyTest, disabled: true }, 'Copy as test'),
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
      el('button', { type: 'button', class: 'small', onclick: useMapping }, 'Use for this application'), el('button', { type: 'button', class: 'quiet small', onclick: copySecret }, 'Copy as secret')))
  byId('playground').append(
    el('div', { class: 'card' },
      el('label', { class: 'field', for: 'play-app' }, 'Application'), parts.app, parts.appProblem,
      el('label', { class: 'field', for: 'play-example' }, 'Example'), parts.example,
      el('label', { class: 'field', for: 'play-input' }, 'Input: a raw event, a request body, a record; one or several'), parts.input, parts.inputProblem,
      el('div', { class: 'row-of' }, parts.test,
        el('button', { type: 'button', class: 'quiet small', onclick: async () => copy(`${location.origin}/${await playgroundLink(state())}`, 'Link') }, 'Copy a link')),
      el('div', { class: 'row-of' }), parts.own),
    el('div', { class: 'card' }, el('h3', { class: 'hidden' }, 'What it would become'), parts.result))
  parts.input.addEventListener('input', changed)
  parts.mapping.addEventListener('input', changed)
  parts.app.addEventListener('change', () => {
    choose(parts.app.value)
    parts.appProblem.textContent = ''
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

/** Shows the state that the address holds. */
export const showPlayground = async (packed) => {
  await optionsOf(parts.app)
  parts.appProblem.textContent = ''
  if (packed) {
    try {
      const { input = '', mapping: own = '', app } = await readLink(packed)
      parts.input.value = input
      parts.mapping.value = own
      parts.own.open = Boolean(own)
      if (app && [...parts.app.options].some((option) => option.value === app)) {
        choose(app)
        parts.app.value = app
      }
      parts.appProblem.textContent = notHere(parts.app, app)
    } catch {
      toast('The link is not whole.')
    }
  } else if (!parts.input.value) {
    const example = EXAMPLES.find(({ name }) => name === 'A raw track event')
    parts.input.value = filled(text(example.body), 1, parts.app.value)
  }
  explain()
}

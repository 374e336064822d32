// The list from which a view's application is chosen.

import { applications, chosen } from './api.js'
import { el } from './dom.js'

/** Fills the list. */
export const optionsOf = async (select) => {
  const codes = await applications()
  select.replaceChildren(...codes.map((code) => el('option', { value: code }, code)))
  const wanted = chosen()
  if (wanted && codes.includes(wanted)) select.value = wanted
  return codes
}

/** What to say where the chosen application is not one of the options. */
export const notHere = (select, wanted = chosen()) => wanted && wanted !== select.value ? `${wanted} is not here: ${select.value || 'no application'} is used.` : ''

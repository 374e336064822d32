// Calls of the sandbox, and the same as curl.

/** Why a call failed; `part` names what of it was wrong, where the sandbox says that. */
const failed = async (response) => {
  const text = await response.text()
  try {
    const { message, part } = JSON.parse(text)
    return Object.assign(new Error(message ?? text), { part })
  } catch {
    return new Error(text || `HTTP ${response.status}`)
  }
}

const call = async (method, path, body) => {
  const response = await fetch(`/_sandbox/${path}`, { method, body: body === undefined ? undefined : JSON.stringify(body) })
  if (!response.ok) throw await failed(response)
  const text = await response.text()
  return text ? JSON.parse(text) : undefined
}

export const get = (path) => call('GET', path)
export const post = (path, body) => call('POST', path, body)
export const put = (path, body) => call('PUT', path, body)
export const remove = (path) => call('DELETE', path)

/** Text for a shell. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`

/** A request as curl. */
export const curl = (method, path, { headers = {}, body, options = '' } = {}) => {
  const parts = [`curl${options}`]
  if (method !== 'GET' && !(method === 'POST' && body !== undefined)) parts.push(`-X ${method}`)
  parts.push(quoted(`${location.origin}${path}`))
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${quoted(`${name}: ${value}`)}`)
  if (body !== undefined) parts.push(`--data-binary ${quoted(body)}`)
  return parts.join(' \\\n  ').replace(' \\\n  -X', ' -X').replace(/^(curl[^\n]*?) \\\n {2}'/, "$1 '")
}

/** As Segment signs webhooks: HMAC-SHA1 of the body, in hexadecimal digits. */
export const sign = async (body, secret) => {
  if (!globalThis.crypto?.subtle) throw new Error(`browsers sign only on pages of this machine: open the page at localhost:${location.port}`)
  const bytes = (text) => new TextEncoder().encode(text)
  const key = await crypto.subtle.importKey('raw', bytes(secret), { name: 'HMAC', hash: 'SHA-1' }, false, ['sign'])
  const digest = new Uint8Array(await crypto.subtle.sign('HMAC', key, bytes(body)))
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** What people chose last, or the first application. */
export const applications = async () => get('secrets')

const CHOSEN = 'application'
export const chosen = () => sessionStorage.getItem(CHOSEN)
export const choose = (code) => sessionStorage.setItem(CHOSEN, code)

// A sandbox of its own for a story, and what is sent to it beside the page.

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export const APP = 'DEMO0-00001'
export const KEY = 'demo-token'

export const startSandbox = async (binary, ...flags) => {
  const listen = flags.includes('--listen') ? [] : ['--listen', '127.0.0.1:0']
  const child = spawn(binary, ['serve', ...listen, ...flags], { stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const [line] = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', (first) => resolve([first]))
    child.once('exit', (code) => reject(new Error(`the sandbox ended with ${code}`)))
  })
  const url = line.replace('ready ', '')
  const call = async (method, path, body, headers = {}) => {
    const response = await fetch(`${url}${path}`, { method, headers, body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body) })
    const text = await response.text()
    return { status: response.status, text, json: () => JSON.parse(text) }
  }
  return {
    url,
    call,
    get: async (path) => (await call('GET', `/_sandbox/${path}`)).json(),
    events: (events) => call('POST', '/integration-segment/v1/post-events', { events }, { authorization: `Token ${KEY}`, 'x-pw-appcode': APP }),
    records: (records) => call('POST', '/_sandbox/topics/channels-tracking-log', records.map((record) => JSON.stringify(record)).join('\n')),
    faults: (service, list) => call('PUT', `/_sandbox/upstream/${service}/faults`, list),
    end: async () => {
      child.kill('SIGTERM')
      await ended
    }
  }
}

export const record = (number) => ({ event_name: 'Push Sent', timestamp: '2026-01-31T12:00:00Z', application_code: APP, message_code: 'A444-AAABBBCC-00112233', platform: 1, hwid: `device-${number}`, user_id: `user-${number}` })

export const event = (number, more = {}) => ({ user_id: `user-${number}`, device_id: `device-${number}`, device_platform: 'ios', name: 'ProductViewed', timestamp: '2026-01-31T12:00:00Z', attributes: { sku: `S-${number}` }, ...more })

/** Asks again until something is found. */
export const until = async (what, look, patience = 60_000) => {
  const end = Date.now() + patience
  for (;;) {
    const found = await look()
    if (found) return found
    if (Date.now() > end) throw new Error(`timed out waiting until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

// The destination as one would write it for Node, without packages: the route post-events.
import { timingSafeEqual } from 'node:crypto'
import { request, serve, settingsOf } from './runtime.mjs'

const CONCURRENCY = 64
const DEVICES = { ios: 1, android: 3, web: 11 }

function allowed(header, token) {
  const [given, wanted] = [header, `Token ${token}`].map((text) => Buffer.from(text ?? ''))
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

function callOf(code, { user_id: userId, device_id: hwid, device_platform: platform, name, timestamp, attributes }) {
  if (!(userId || hwid) || !DEVICES[platform] || !name) return null
  const time = Math.floor(Date.parse(timestamp) / 1000)
  if (Number.isNaN(time)) return null
  return JSON.stringify({
    request: {
      application: code, hwid, userId, event: name, device_type: DEVICES[platform], timestampUTC: time, timestampCurrent: time,
      attributes: attributes ?? {},
    },
  })
}

await serve(async (event) => {
  const code = event.headers['x-pw-appcode']
  const settings = await settingsOf(code)
  if (!settings) return { statusCode: 400, body: '{"message":"application not found"}' }
  const { api_token: token, base_url: url } = settings.pushwoosh
  if (!allowed(event.headers.authorization, token)) return { statusCode: 401, body: '{"message":"unauthorized"}' }
  const headers = { 'content-type': 'application/json', authorization: `Token ${token}`, 'no-auto-tags': 'true' }
  const calls = JSON.parse(event.body).events.map((one) => callOf(code, one)).filter(Boolean)
  let failed = false
  const work = async () => {
    for (let body = calls.shift(); body; body = calls.shift()) {
      const answer = await request(`${url}/json/1.3/postEvent`, { method: 'POST', headers, body })
      if (answer.status !== 200 || JSON.parse(answer.body).status_code !== 200) failed = true
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, work))
  return { statusCode: failed ? 503 : 200, body: '' }
})

// Records of an MSK event as Track calls, by application.
import { createHash } from 'node:crypto'
import { settingsOf } from './runtime.mjs'

const EXPORTED = {
  'Email Sent': 'Email', 'Push Sent': 'Push', 'SMS Sent': 'SMS', 'Email Delivered': 'Email',
  'Push Delivered': 'Push', 'SMS Delivered': 'SMS', 'Email Bounced': 'Email',
}
const PLATFORMS = {
  1: 'iOS', 3: 'Android', 7: 'macOS', 8: 'Windows', 9: 'Amazon', 10: 'Safari', 11: 'Chrome', 12: 'Firefox',
  14: 'Email', 17: 'Huawei', 18: 'SMS', 19: 'Xiaomi', 21: 'WhatsApp', 22: 'LINE',
}
const TYPES = new Set(['Push', 'Email', 'SMS', 'In-App'])
const CONTEXT = { library: { name: 'peer', version: '1' }, integration: { name: 'pushwoosh', version: '1' } }

function messageId(parts) {
  const hash = createHash('sha256')
  const length = Buffer.alloc(8)
  for (const part of parts) {
    length.writeUInt32BE(Buffer.byteLength(part), 4)
    hash.update(length)
    hash.update(part)
  }
  return 'pw-' + hash.digest('hex').slice(0, 40)
}

function toTrack(record) {
  const { event_name: event, timestamp, hwid, user_id: user } = record
  if (Number.isNaN(Date.parse(timestamp)) || !(user || hwid)) return null
  const message = record.message_code || String(record.message_id)
  const id = messageId([
    process.env.PWSEG_STACK_NAME, record.application_code, record.campaign_code ?? '', String(record.campaign_id ?? ''),
    message, hwid || user, event, timestamp,
  ])
  return {
    type: 'track',
    messageId: id,
    ...(user && user !== hwid ? { userId: user } : { anonymousId: hwid }),
    event,
    timestamp,
    properties: {
      message_type: TYPES.has(record.message_type) ? record.message_type : EXPORTED[event],
      campaign_code: record.campaign_code || undefined,
      device_type: PLATFORMS[record.platform] ?? record.platform,
    },
    context: CONTEXT,
    integrations: { Pushwoosh: false },
  }
}

export async function tracksOf(event) {
  const groups = new Map()
  const seen = new Set()
  for (const records of Object.values(event.records)) {
    for (const { value } of records) {
      let record
      try {
        record = JSON.parse(Buffer.from(value, 'base64').toString('utf8'))
      } catch {
        continue
      }
      const code = record.application_code
      const settings = await settingsOf(code)
      if (!settings?.segment || !EXPORTED[record.event_name]) continue
      const track = toTrack(record)
      if (!track || seen.has(track.messageId)) continue
      seen.add(track.messageId)
      if (!groups.has(code)) groups.set(code, { account: settings.segment, tracks: [] })
      groups.get(code).tracks.push(track)
    }
  }
  return groups
}

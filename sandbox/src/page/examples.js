// Things to send. `{{n}}` becomes a new number each time.

const when = '2026-01-31T12:00:00Z'
const device = { device_id: 'device-{{n}}', device_platform: 'ios' }

/** The ways in. */
export const WAYS = {
  'post-events': { label: 'post-events: events from Segment’s destination', kind: 'event' },
  'track-user': { label: 'track-user: a profile from Segment’s destination', kind: 'profile' },
  'delete-user': { label: 'delete-user: a deletion from Segment’s destination', kind: 'deletion' },
  webhook: { label: 'webhook: raw Segment events', kind: 'raw_event' },
  topic: { label: 'topic: records of messages, for Segment', kind: 'record' }
}

const record = { event_name: 'Push Sent', timestamp: when, application_code: '{{app}}', message_code: 'A444-AAABBBCC-00112233', platform: 1, hwid: 'device-{{n}}', user_id: 'user-{{n}}' }

const event = { type: 'track', messageId: 'message-{{n}}', userId: 'user-{{n}}', event: 'Order Completed', timestamp: when, context: { device: { id: 'device-{{n}}', type: 'ios' }, locale: 'en-US' }, properties: { total: 49.9, currency: 'EUR' } }

/** `key: 'wrong'` sends a key that is not the application's. */
export const EXAMPLES = [
  { name: 'An event', way: 'post-events', body: { events: [{ user_id: 'user-{{n}}', ...device, name: 'SubscribedToOffers', timestamp: when, attributes: { offer: 'spring' } }] } },
  { name: 'Two events, one of them without a platform', way: 'post-events', body: { events: [{ user_id: 'user-{{n}}', ...device, name: 'ProductViewed', attributes: { sku: 'S-1' } }, { user_id: 'user-{{n}}', name: 'ProductViewed', attributes: { sku: 'S-2' } }] } },
  { name: 'An event with a time that cannot be read', way: 'post-events', body: { events: [{ user_id: 'user-{{n}}', ...device, name: 'ProductViewed', timestamp: 'yesterday' }] } },
  { name: 'A profile with a device and tags', way: 'track-user', body: { user_id: 'user-{{n}}', email: 'user-{{n}}@example.com', ...device, device_token: 'token-{{n}}', language: 'en-US', timezone: 'Europe/Berlin', attributes: { searched_product: 'shoes', loyalty_points: 120 } } },
  { name: 'A profile with nothing to save', way: 'track-user', body: { user_id: 'user-{{n}}' } },
  { name: 'A deletion', way: 'delete-user', body: { external_id: 'user-{{n}}' } },
  { name: 'A request with a wrong key', way: 'track-user', key: 'wrong', body: { user_id: 'user-{{n}}', attributes: { searched_product: 'shoes' } } },
  { name: 'A raw track event', way: 'webhook', body: event },
  { name: 'A raw identify event', way: 'webhook', body: { type: 'identify', messageId: 'message-{{n}}', userId: 'user-{{n}}', timestamp: when, context: { device: { id: 'device-{{n}}', type: 'android', token: 'token-{{n}}' }, locale: 'de-DE', timezone: 'Europe/Berlin' }, traits: { email: 'user-{{n}}@example.com', plan: 'pro' } } },
  { name: 'A raw event without a device', way: 'webhook', body: { type: 'page', messageId: 'message-{{n}}', userId: 'user-{{n}}', name: 'Pricing', timestamp: when, properties: { path: '/pricing' } } },
  { name: 'A raw event that is not for Pushwoosh', way: 'webhook', body: { ...event, integrations: { Pushwoosh: false } } },
  { name: 'A raw event with a wrong signature', way: 'webhook', key: 'wrong', body: event },
  { name: 'A record of a sent push', way: 'topic', body: record },
  { name: 'A record of a bounced e-mail', way: 'topic', body: { ...record, event_name: 'Email Bounced', message_code: 'B555-AAABBBCC-00112233', platform: 14, hwid: 'user-{{n}}@example.com' } },
  { name: 'A record without a user and a device', way: 'topic', body: { event_name: 'Push Sent', timestamp: when, application_code: '{{app}}', platform: 1 } },
  { name: 'A record that is not JSON', way: 'topic', body: 'this is not JSON' }
]

export const text = (body) => typeof body === 'string' ? body : JSON.stringify(body, null, 2)

/** The text with its places filled. */
export const filled = (body, number, app) => body.replaceAll('{{n}}', String(number)).replaceAll('{{app}}', app)

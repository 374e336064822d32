// Drives Segment's own Pushwoosh and Webhook destinations, their code untouched, and the Destination Function of
// the documentation against a running sandbox.
//
//   node drive.cjs http://127.0.0.1:8787
//
// Exits with a non-zero code at the first difference.
'use strict'

const assert = require('node:assert/strict')
const http = require('node:http')
const https = require('node:https')
const net = require('node:net')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')

const base = new URL(process.argv[2] ?? 'http://127.0.0.1:8787')

// The destination's host is fixed in its code. Its HTTP client uses the global agent, so an agent that connects
// to the sandbox redirects it. The Host header stays the same.
https.globalAgent = new (class extends http.Agent {
  protocol = 'https:'
  defaultPort = 443
  createConnection(_options, ready) {
    return net.connect(Number(base.port), base.hostname, ready)
  }
})()

const { Destination } = require('@segment/actions-core')
const definition = require('@segment/action-destinations/dist/destinations/pushwoosh').default

const destination = new Destination(definition)
const right = { pushwooshAPIKey: 'demo-token', pushwooshAppCode: 'DEMO0-00001' }
const subscriptions = definition.presets.map((preset) => ({ ...preset }))

const webhook = new Destination(require('@segment/action-destinations/dist/destinations/webhook').default)

/** The snippet as Segment runs it: with these names in scope. */
const destinationFunction = (() => {
  const named = (name) => class extends Error { name = name }
  const given = { fetch, crypto: require('node:crypto'), RetryError: named('RetryError'), ValidationError: named('ValidationError') }
  const code = readFileSync(join(__dirname, '../../../docs/destination-function.js'), 'utf8')
  return new Function(...Object.keys(given), `${code}; return { onTrack, onDelete, onBatch }`)(...Object.values(given))
})()

const sandbox = async (path, options) => {
  const response = await fetch(new URL(`/_sandbox/${path}`, base), options)
  assert.ok(response.ok, `${path}: ${response.status}`)
  return response.status === 204 ? undefined : response.json()
}

/** What Pushwoosh received since the last step. */
const received = async () => {
  const calls = await sandbox('upstream/pushwoosh')
  await sandbox('upstream/pushwoosh', { method: 'DELETE' })
  return calls.map(({ path, body, status }) => {
    assert.equal(status, 200, `${path} was answered with ${status}`)
    return [path.split('/').at(-1), body.request ?? body]
  })
}

const event = (type, fields) => ({
  type,
  messageId: `m-${Math.random()}`,
  userId: 'u1',
  timestamp: '2026-01-02T03:04:05.678Z',
  context: { device: { id: 'd1', type: 'ios' } },
  ...fields
})

/** Sends one event through the default presets, as Segment does. */
const send = (data, settings = right) => destination.onEvent(data, { ...settings, subscriptions })

/** The error that Segment would show, or nothing. */
const failure = async (promise) => {
  try {
    await promise
    return undefined
  } catch (error) {
    return error
  }
}

const postEvent = (event, attributes = {}) => [
  'postEvent',
  {
    application: 'DEMO0-00001',
    hwid: 'd1',
    userId: 'u1',
    event,
    attributes,
    timestampUTC: 1767323045,
    device_type: 1
  }
]

const steps = {
  'testAuthentication with the right key': async () => {
    await destination.testAuthentication(right)
    // Pushwoosh is asked whether it takes the key.
    assert.deepEqual((await received()).map(([method]) => method), ['checkDevice'])
  },

  'testAuthentication with a wrong key': async () => {
    const error = await failure(destination.testAuthentication({ ...right, pushwooshAPIKey: 'wrong' }))
    assert.match(error.message, /401/)
  },

  'testAuthentication with an unknown application': async () => {
    const error = await failure(destination.testAuthentication({ ...right, pushwooshAppCode: 'OTHER-00001' }))
    assert.match(error.message, /400/)
  },

  'identify with every field': async () => {
    await send(
      event('identify', {
        traits: { email: 'a@b.c', searched_product: 'shoes', gone: null, since: '2026-01-02T03:04:05Z', n: 3000000000 },
        context: {
          app: { version: '1.0' },
          device: { id: 'd1', model: 'iPhone7,2', type: 'ios', token: 'tok' },
          locale: 'en-US',
          location: { country: 'US', city: 'SF', latitude: 51.5, longitude: 0 },
          os: { version: '17' },
          timezone: 'Asia/Kolkata',
          userAgent: 'UA'
        }
      })
    )
    const calls = await received()
    assert.deepEqual(calls.slice(0, 2).map(([method]) => method).sort(), ['registerDevice', 'registerEmail'])
    const [, device] = calls.find(([method]) => method === 'registerDevice')
    assert.deepEqual(device, {
      application: 'DEMO0-00001',
      hwid: 'd1',
      userId: 'u1',
      device_type: 1,
      timezone: 19800,
      push_token: 'tok',
      language: 'en',
      app_version: '1.0',
      device_model: 'iPhone7,2',
      os_version: '17'
    })
    assert.equal(calls.length, 3)
    const [method, { tags }] = calls[2]
    assert.equal(method, 'setTags')
    assert.deepEqual(
      { searched_product: tags.searched_product, gone: tags.gone, since: tags.since, n: tags.n, Language: tags.Language },
      { searched_product: 'shoes', gone: null, since: '2026-01-02 03:04', n: '3000000000', Language: 'en' }
    )
  },

  'identify with a user id alone': async () => {
    await send(event('identify', { traits: { searched_product: 'shoes' }, context: {} }))
    const tags = { searched_product: 'shoes' }
    assert.deepEqual(await received(), [['setTags', { application: 'DEMO0-00001', userId: 'u1', tags }]])
  },

  'identify with nulls wherever Segment allows them': async () => {
    await send(event('identify', { traits: null, context: { device: null, location: null, app: null, os: null } }))
    assert.deepEqual(await received(), [])
  },

  'identify with 120 traits': async () => {
    const traits = Object.fromEntries(Array.from({ length: 120 }, (_, n) => [`t${n}`, n]))
    await send(event('identify', { traits, context: {} }))
    const calls = await received()
    const sizes = calls.map(([, { tags }]) => Object.keys(tags).length).sort((a, b) => b - a)
    assert.deepEqual(sizes, [50, 50, 20])
    assert.deepEqual(Object.assign({}, ...calls.map(([, { tags }]) => tags)), traits)
  },

  track: async () => {
    await send(event('track', { event: 'SubscribedToOffers', properties: { offer: 'spring', nested: { a: [1] } } }))
    const attributes = { offer: 'spring', nested: '{"a":[1]}' }
    assert.deepEqual(await received(), [postEvent('SubscribedToOffers', attributes)])
  },

  'page and screen': async () => {
    await send(event('page', { name: 'Home', properties: { url: 'https://example.com' } }))
    await send(event('screen', { name: 'Start' }))
    assert.deepEqual(await received(), [postEvent('Home', { url: 'https://example.com' }), postEvent('Start')])
  },

  'track without a device is accepted, and skipped': async () => {
    await send(event('track', { event: 'E', context: {} }))
    assert.deepEqual(await received(), [])
  },

  'track with a number as user id and as time': async () => {
    await send(event('track', { event: 'E', userId: 7, timestamp: 1767323045 }))
    const [[, call]] = await received()
    assert.deepEqual([call.userId, call.timestampUTC], ['7', 1767323045])
  },

  'a wrong key fails the event': async () => {
    const error = await failure(send(event('track', { event: 'E' }), { ...right, pushwooshAPIKey: 'wrong' }))
    assert.equal(error.response.status, 401)
  },

  'a batch of 100 with two unusable events': async () => {
    const events = Array.from({ length: 100 }, (_, n) => event('track', { event: `E${n}`, userId: `u${n}` }))
    events[10].context = {}
    events[20].event = 'Bad time'
    events[20].timestamp = '10:00'
    const results = await destination.onBatch(events, { ...right, subscriptions })
    assert.ok(results.length > 0)
    const names = (await received()).map(([, call]) => call.event)
    const expected = events.map(({ event }) => event).filter((_, n) => n !== 10 && n !== 20)
    assert.deepEqual(names.sort(), expected.sort())
  },

  onDelete: async () => {
    await destination.onDelete(event('delete'), { ...right, subscriptions })
    assert.deepEqual(await received(), [['deleteUser', { application: 'DEMO0-00001', user_id: 'u1' }]])
  },

  'the Webhook destination, one event and a batch': async () => {
    const settings = { sharedSecret: 'demo-secret' }
    const mapping = { url: new URL('/webhook/DEMO0-00001', base).href, method: 'POST', data: { '@path': '$.' } }
    const subscription = { partnerAction: 'send', subscribe: 'type = "track" or type = "identify"', mapping }
    await webhook.onEvent(event('track', { event: 'One' }), { ...settings, subscriptions: [subscription] })
    assert.deepEqual(await received(), [postEvent('One')])
    const batch = ['Two', 'Three'].map((name) => event('track', { event: name }))
    const batched = { ...subscription, mapping: { ...mapping, enable_batching: true } }
    const send = () => webhook.onBatch(batch, { ...settings, subscriptions: [batched] })
    // Segment signs the first event of a batch only, which is not enough unless the secret says so.
    await send().catch(() => {})
    assert.deepEqual(await received(), [])
    const secret = { pushwoosh: { api_token: 'demo-token' }, webhook: { shared_secret: 'demo-secret', signed: 'first_element' } }
    await sandbox('secrets/BATCH-00001', { method: 'PUT', body: JSON.stringify(secret) })
    batched.mapping.url = new URL('/webhook/BATCH-00001', base).href
    await send()
    assert.deepEqual((await received()).map(([, call]) => call.event).sort(), ['Three', 'Two'])
    const wrong = await failure(webhook.onEvent(event('track', { event: 'E' }), { sharedSecret: 'wrong', subscriptions: [subscription] }))
    assert.equal(wrong.response.status, 401)
  },

  'the Destination Function of the documentation': async () => {
    const settings = { endpoint: new URL('/webhook/DEMO0-00001', base).href, sharedSecret: 'demo-secret' }
    await destinationFunction.onTrack(event('track', { event: 'E' }), settings)
    assert.deepEqual(await received(), [postEvent('E')])
    await destinationFunction.onDelete({ type: 'delete', messageId: 'delete-1', userId: 'u1', context: [], integrations: [] }, settings)
    assert.deepEqual((await received())[0][0], 'deleteUser')
    const mixed = [event('track', { event: 'E' }), event('identify', { traits: { a: 'b' } }), event('track', { event: 'E', timestamp: 'today' })]
    const statuses = await destinationFunction.onBatch(mixed, settings)
    assert.deepEqual(statuses.map(({ status }) => status), [200, 200, 400])
    assert.match(statuses[2].errormessage, /date-like/)
    assert.deepEqual((await received()).map(([method]) => method).sort(), ['postEvent', 'registerUser', 'setTags'])
    const error = await failure(destinationFunction.onTrack(mixed[2], settings))
    assert.equal(error.name, 'ValidationError')
  },

  'onDelete without a user': async () => {
    await destination.onDelete(event('delete', { userId: undefined }), { ...right, subscriptions })
    assert.deepEqual(await received(), [])
  }
}

const drive = async () => {
  await received()
  for (const [name, step] of Object.entries(steps)) {
    try {
      await step()
    } catch (error) {
      console.error(`✗ ${name}`)
      throw error
    }
    console.log(`✓ ${name}`)
  }
}

drive().then(
  () => process.exit(0),
  (error) => {
    console.error(error)
    process.exit(1)
  }
)

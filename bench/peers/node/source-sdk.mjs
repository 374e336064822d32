// The source with Segment's own library.
import { createRequire } from 'node:module'
import { serve } from './runtime.mjs'
import { tracksOf } from './tracks.mjs'

const { Analytics } = createRequire(`${process.env.BENCH_MODULES}/package.json`)('@segment/analytics-node')
const clients = new Map()

function clientOf({ write_key: writeKey, base_url: url }) {
  if (!clients.has(writeKey)) {
    clients.set(writeKey, new Analytics({ writeKey, host: new URL(url).origin, path: '/v1/batch', maxEventsInBatch: 1_000, flushInterval: 10_000 }))
  }
  return clients.get(writeKey)
}

await serve(async (event) => {
  for (const { account, tracks } of (await tracksOf(event)).values()) {
    const client = clientOf(account)
    for (const { type, ...track } of tracks) client.track(track)
    await client.flush()
  }
  return { batchItemFailures: [] }
})

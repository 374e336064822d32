// The source as one would write it for Node, without packages.
import { request, serve } from './runtime.mjs'
import { tracksOf } from './tracks.mjs'

const MAX_BATCH_BYTES = 475_000
const MAX_BATCH_CALLS = 1_000

async function send(account, calls) {
  const { write_key: key, base_url: url } = account
  const body = `{"batch":[${calls.join(',')}],"writeKey":${JSON.stringify(key)},"sentAt":"${new Date().toISOString()}"}`
  const authorization = `Basic ${Buffer.from(`${key}:`).toString('base64')}`
  const answer = await request(`${url}/batch`, { method: 'POST', headers: { 'content-type': 'application/json', authorization }, body })
  if (answer.status >= 300) throw new Error(`Segment answered ${answer.status}`)
}

await serve(async (event) => {
  const sent = []
  for (const { account, tracks } of (await tracksOf(event)).values()) {
    let calls = []
    let size = 512
    for (const track of tracks) {
      const call = JSON.stringify(track)
      const bytes = Buffer.byteLength(call) + 1
      if (calls.length === MAX_BATCH_CALLS || size + bytes > MAX_BATCH_BYTES) {
        sent.push(send(account, calls))
        calls = []
        size = 512
      }
      calls.push(call)
      size += bytes
    }
    if (calls.length) sent.push(send(account, calls))
  }
  await Promise.all(sent)
  return { batchItemFailures: [] }
})

// A Destination Function that sends raw events to /webhook/{app_code}.
//
// The function needs two settings: `endpoint`, e.g. https://….execute-api.eu-central-1.amazonaws.com/webhook/XXXXX-XXXXX,
// and `sharedSecret` (encrypted), the webhook.shared_secret of the application's secret.

async function deliver(events, settings) {
  const body = JSON.stringify(events)
  const signature = crypto.createHmac('sha1', settings.sharedSecret).update(body, 'utf8').digest('hex')
  let response
  try {
    response = await fetch(settings.endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-signature': signature },
      body
    })
  } catch (error) {
    throw new RetryError(error.message)
  }
  const text = await response.text()
  let answer
  try {
    answer = JSON.parse(text)
  } catch (_) {
    // The body is empty: only the status counts.
  }
  if (Array.isArray(answer)) return answer
  const message = (answer && answer.message) || `HTTP ${response.status}`
  if (response.status === 429 || response.status >= 500) throw new RetryError(message)
  if (!response.ok) throw new ValidationError(message)
  return events.map(() => ({ status: 200 }))
}

async function one(event, settings) {
  const [{ status, errormessage }] = await deliver([event], settings)
  if (status >= 500) throw new RetryError(errormessage)
  if (status >= 400) throw new ValidationError(errormessage)
}

async function onIdentify(event, settings) { await one(event, settings) }
async function onTrack(event, settings) { await one(event, settings) }
async function onPage(event, settings) { await one(event, settings) }
async function onScreen(event, settings) { await one(event, settings) }
async function onDelete(event, settings) { await one(event, settings) }
async function onBatch(events, settings) { return deliver(events, settings) }

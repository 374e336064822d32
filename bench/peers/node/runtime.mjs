// What Lambda's own runtime does around a handler, at its shortest: fetch an event, parse it, post the answer. Also what all
// handlers here share: secrets, kept for five minutes.
import http from 'node:http'
import https from 'node:https'

const plain = { module: http, agent: new http.Agent({ keepAlive: true }) }
const secure = { module: https, agent: new https.Agent({ keepAlive: true }) }

export function request(url, { method = 'GET', headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    const { module, agent } = url.startsWith('https:') ? secure : plain
    const sent = module.request(url, { method, agent, headers: { ...headers, ...length } }, (response) => {
      const chunks = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }))
      response.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

const TTL_MS = 300_000
const secrets = new Map()

// The settings of an application; null where it has none.
export async function settingsOf(code) {
  const known = secrets.get(code)
  if (known && Date.now() - known.read < TTL_MS) return known.settings
  const answer = await request(process.env.AWS_ENDPOINT_URL_SECRETS_MANAGER, {
    method: 'POST',
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'secretsmanager.GetSecretValue' },
    body: JSON.stringify({ SecretId: `segment-pushwoosh/${code}` }),
  })
  const found = JSON.parse(answer.body)
  if (answer.status !== 200 && found.__type !== 'ResourceNotFoundException') throw new Error(`Secrets Manager answered ${answer.status}`)
  const settings = answer.status === 200 ? JSON.parse(found.SecretString) : null
  secrets.set(code, { settings, read: Date.now() })
  return settings
}

export async function serve(handler) {
  const api = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`
  for (;;) {
    const next = await request(`${api}/next`)
    const id = next.headers['lambda-runtime-aws-request-id']
    let path = 'response'
    let answer
    try {
      answer = await handler(JSON.parse(next.body.toString('utf8')))
    } catch (error) {
      path = 'error'
      answer = { errorMessage: String(error) }
    }
    await request(`${api}/${id}/${path}`, { method: 'POST', body: JSON.stringify(answer) })
  }
}

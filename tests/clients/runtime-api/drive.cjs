// Runs the built destination and source under @vercel/fun, an independent implementation of Lambda's Runtime API, which
// stops a process with SIGSTOP between invocations. Pushwoosh, Segment and AWS are the sandbox's stand-ins.
//
//   node drive.cjs SANDBOX_URL TEMPLATE ENVIRONMENT BOOTSTRAPS LIBFAKETIME
//
// A pause is as it is reported of Lambda: while the process is stopped, the wall clock goes on (libfaketime sets it
// forward), the monotonic clock does not, and peers close the connections that were kept (a relay closes them). So a
// day passes at once, with the lifetimes that the template sets. Where @vercel/fun differs from Lambda: it tells a
// wrong deadline, which is set right below; it ends no invocation at its time limit; IAM is not there.
//
// Exits with a non-zero code at the first difference.
'use strict'

const assert = require('node:assert/strict')
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const net = require('node:net')
const { tmpdir } = require('node:os')
const { dirname, join, resolve } = require('node:path')

const { createFunction, providers } = require('@vercel/fun')
// The same module that the package itself uses.
const { RuntimeServer } = require(join(dirname(require.resolve('@vercel/fun')), 'runtime-server'))

const [sandboxUrl, templateFile, environmentFile, bootstraps, libfaketime] = process.argv.slice(2)
const template = JSON.parse(readFileSync(templateFile, 'utf8')).Resources
const environment = JSON.parse(readFileSync(environmentFile, 'utf8'))
const events = (file) => JSON.parse(readFileSync(join(__dirname, '../../../events', file), 'utf8'))

const APPLICATION = 'DEMO0-00001'
const MINUTE_S = 60
const DAY_S = 24 * 60 * MINUTE_S
const PATIENCE_MS = 30_000

/** The wall clock of the functions is ahead of ours by this. */
let ahead = 0
const clockDirectory = mkdtempSync(join(tmpdir(), 'runtime-api-'))
const clock = join(clockDirectory, 'clock')
const setAhead = (seconds) => {
  ahead = seconds
  writeFileSync(clock, `+${seconds}`)
}

// It tells every function the deadline 5000, in milliseconds since 1970. Lambda tells when the invocation's time is up.
const { handleNextInvocation } = RuntimeServer.prototype
RuntimeServer.prototype.handleNextInvocation = function (request, response) {
  const { setHeader } = response
  response.setHeader = function (name, value) {
    const deadline = Date.now() + (ahead + this.limit) * 1000
    return setHeader.call(this, name, name === 'Lambda-Runtime-Deadline-Ms' ? String(deadline) : value)
  }
  response.limit = this.lambda.timeout
  return handleNextInvocation.call(this, request, response)
}

/** The processes that were stopped, by function. */
const stopped = new Map()
const { freezeProcess } = providers.native.prototype
providers.native.prototype.freezeProcess = function (process) {
  freezeProcess.call(this, process)
  stopped.set(this.lambda, (stopped.get(this.lambda) ?? new Set()).add(process.pid))
}

const call = async (url, options) => {
  const response = await fetch(url, options)
  const text = await response.text()
  assert.ok(response.ok, `${url}: ${response.status} ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}
const sandbox = (path, method = 'GET', body = undefined) =>
  call(new URL(`/_sandbox/${path}`, sandboxUrl), { method, body: body && JSON.stringify(body) })
const faults = (service, list) => sandbox(`upstream/${service}/faults`, 'PUT', list)

/** What an upstream answered with success since the last time. */
const accepted = async (upstream) => {
  const calls = await sandbox(`upstream/${upstream}`)
  await sandbox(`upstream/${upstream}`, 'DELETE')
  return calls.filter(({ status }) => status === 200).map(({ body }) => body)
}
const pushed = async () => (await accepted('pushwoosh')).map(({ request }) => request.event)
const tracked = async () => (await accepted('segment')).flatMap(({ batch }) => batch.map(({ userId }) => userId))

const until = async (what, condition) => {
  for (const end = Date.now() + PATIENCE_MS; !(await condition()); await new Promise((done) => setTimeout(done, 100))) {
    assert.ok(Date.now() < end, `${what()}: not so after ${PATIENCE_MS} ms`)
  }
}

/** Waits until a list has had so many elements; gives them. */
const collect = async (number, list) => {
  const found = []
  await until(
    () => `${number} arrive, not only [${found}]`,
    async () => found.push(...(await list())) >= number
  )
  return found
}

/** Passes connections on to a stand-in, and can close all of them. */
const relays = []
const relay = async (url) => {
  const { hostname, port, pathname } = new URL(url)
  const sockets = new Set()
  const server = net.createServer((near) => {
    const far = net.connect(Number(port), hostname)
    for (const [one, other] of [[near, far], [far, near]]) {
      sockets.add(one)
      one.pipe(other)
      one.on('error', () => other.destroy())
      one.on('close', () => sockets.delete(one) && other.destroy())
    }
  })
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening))
  relays.push({ server, sockets })
  return `http://127.0.0.1:${server.address().port}${pathname.replace(/\/$/, '')}`
}

/** The function with the variables of the template. */
const start = (logicalId, aws, variables = {}) => {
  const name = logicalId.toLowerCase()
  const queue = (queueName) => `${aws}/123456789012/${queueName}`
  return createFunction({
    FunctionName: name,
    Code: { Directory: resolve(bootstraps, name) },
    Handler: 'bootstrap',
    Runtime: 'provided',
    Timeout: template[logicalId].Properties.Timeout,
    MemorySize: template[logicalId].Properties.MemorySize,
    Region: 'eu-central-1',
    AccessKeyId: 'test',
    SecretAccessKey: 'test',
    Environment: {
      Variables: {
        ...environment[name],
        PWSEG_RETRY_QUEUE_URL: queue('retry'),
        PWSEG_DEAD_QUEUE_URL: queue('dead'),
        PWSEG_REJECTS_QUEUE_URL: queue('rejects'),
        PWSEG_LEDGER_TABLE: 'ledger',
        AWS_ENDPOINT_URL: aws,
        LD_PRELOAD: libfaketime,
        FAKETIME_TIMESTAMP_FILE: clock,
        FAKETIME_NO_CACHE: '1',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        ...variables
      }
    }
  })
}

/** Invokes a function: always in the same process, which is stopped afterwards. */
const invoke = async (fn, event) => {
  const { FunctionError, Payload } = await fn.invoke({ InvocationType: 'RequestResponse', Payload: JSON.stringify(event) })
  const answer = JSON.parse(Payload)
  const [pid, ...others] = stopped.get(fn) ?? []
  assert.ok(pid !== undefined && others.length === 0, `${fn.functionName} needed ${others.length + 1} processes: ${Payload}`)
  const state = () => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)[0]
  await until(() => `${fn.functionName} is stopped`, () => state() === 'T')
  return FunctionError === undefined ? answer : { FunctionError, ...answer }
}

/** Time goes on while the functions stand still. */
const pause = async (seconds) => {
  setAhead(ahead + seconds)
  for (const { sockets } of relays) for (const socket of sockets) socket.destroy()
}

/** Segment sends an event with this key, and sends it again after a 503. Gives the status of the answer. */
const send = async (destination, token, name) => {
  const request = events('api-gateway/post-events.json')
  request.headers.authorization = `Token ${token}`
  const [event] = JSON.parse(request.body).events
  request.body = JSON.stringify({ events: [{ ...event, name }] })
  let answer
  await until(
    () => `${name} is answered for good, not with ${JSON.stringify(answer)}`,
    async () => (answer = await invoke(destination, request)).statusCode !== 503
  )
  return answer.statusCode
}

/** A Kafka event; a user without a name is one of an unknown application. */
const records = (users) => {
  const record = (user, offset) => ({
    topic: 'channels-tracking-log',
    partition: 7,
    offset,
    timestamp: 1769860800000,
    timestampType: 'CREATE_TIME',
    headers: [],
    value: Buffer.from(
      JSON.stringify({
        event_name: 'Push Sent',
        timestamp: '2026-01-31T12:00:00Z',
        application_code: user ? APPLICATION : 'OTHER-00001',
        message_code: 'A444-AAABBBCC-00112233',
        platform: 1,
        hwid: `H-${user}`,
        user_id: user ?? 'u'
      })
    ).toString('base64')
  })
  return { eventSource: 'aws:kafka', records: { 'channels-tracking-log-7': users.map(record) } }
}
const failures = (offsets) => ({
  batchItemFailures: offsets.map((offset) => ({ itemIdentifier: { partition: 'channels-tracking-log-7', offset } }))
})
const NO_FAILURES = failures([])

const steps = {
  'the destination accepts its key only, and is stopped between invocations': async ({ destination }) => {
    assert.equal(await send(destination, 'first', 'before'), 200)
    assert.equal(await send(destination, 'wrong', 'refused'), 401)
    assert.deepEqual(await collect(1, pushed), ['before'])
  },

  'the source delivers': async ({ source }) => {
    assert.deepEqual(await invoke(source, records(['before', undefined])), NO_FAILURES)
    assert.deepEqual(await collect(1, tracked), ['before'])
  },

  'a secret is rotated in a pause of ten minutes': async ({ destination, source }, rotate) => {
    await rotate('second')
    await pause(10 * MINUTE_S)
    assert.deepEqual(await invoke(source, records(['after'])), NO_FAILURES)
    assert.deepEqual(await collect(1, tracked), ['after'])
    assert.equal(await send(destination, 'second', 'new key'), 200)
    assert.equal(await send(destination, 'first', 'key before'), 200)
    assert.equal(await send(destination, 'wrong', 'refused'), 401)
    assert.deepEqual(await collect(2, pushed), ['new key', 'key before'])
  },

  'the key before is refused after a day': async ({ destination }) => {
    await pause(DAY_S)
    assert.equal(await send(destination, 'second', 'new key'), 200)
    assert.equal(await send(destination, 'first', 'key before'), 401)
    assert.deepEqual(await collect(1, pushed), ['new key'])
  },

  'what can be neither delivered nor parked fails, by offset': async ({ source, onDemand }) => {
    await faults('segment', [{ status: 503 }])
    await faults('sqs', [{ status: 503 }])
    assert.deepEqual(await invoke(source, records(['one', undefined, 'two'])), failures([0, 2]))
    // Pollers that ignore the response need the whole batch to fail.
    const { FunctionError, errorMessage } = await invoke(onDemand, records(['one', undefined, 'two']))
    assert.equal(FunctionError, 'Handled', errorMessage)
    await faults('segment', [])
    await faults('sqs', [])
    await pause(MINUTE_S)
    assert.deepEqual(await invoke(source, records(['one', undefined, 'two'])), NO_FAILURES)
    assert.deepEqual((await collect(2, tracked)).sort(), ['one', 'two'])
  },

  'SQS is not needed while Segment takes everything': async ({ source }) => {
    await faults('sqs', [{ status: 503 }])
    assert.deepEqual(await invoke(source, records(['three'])), NO_FAILURES)
    assert.deepEqual(await collect(1, tracked), ['three'])
    await faults('sqs', [])
  },

  // The last one: the sandbox's retry function will deliver it.
  'what Segment does not take is parked': async ({ source }) => {
    await faults('segment', [{ status: 503 }])
    assert.deepEqual(await invoke(source, records(['parked'])), NO_FAILURES)
    const parked = await sandbox('queues/retry')
    assert.deepEqual(parked.flatMap(({ body }) => body.work.segment.map(({ userId }) => userId)), ['parked'])
  }
}

const main = async () => {
  // Long after the secret was written: a wrong key is answered with 503 for a moment after that.
  setAhead(MINUTE_S)
  const { aws, upstream } = await sandbox('state')
  const [endpoint, pushwoosh, segment] = [await relay(aws.endpoint), await relay(upstream.pushwoosh), await relay(upstream.segment)]
  const rotate = (key) =>
    sandbox(`secrets/${APPLICATION}`, 'PUT', {
      pushwoosh: { api_token: key, base_url: pushwoosh },
      segment: { write_key: key, base_url: segment }
    })
  await rotate('first')
  const functions = {
    destination: await start('Destination', endpoint),
    // As for provisioned pollers.
    source: await start('Source', endpoint, { PWSEG_PARTIAL_BATCH_RESPONSE: 'true' }),
    onDemand: await start('Source', endpoint)
  }
  try {
    for (const [name, step] of Object.entries(steps)) {
      await step(functions, rotate)
      console.log(`ok ${name}`)
    }
  } finally {
    await Promise.all(Object.values(functions).map((fn) => fn.destroy()))
    await pause(0)
    for (const { server } of relays) server.close()
    rmSync(clockDirectory, { recursive: true })
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})

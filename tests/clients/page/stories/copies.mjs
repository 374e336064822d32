// What is copied from the playground: a test that passes as it is and fails once something changed, and a secret for AWS.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { APP, record, until } from '../sandbox.mjs'

const OWN = [{ subscribe: 'type = "track"', action: 'trackEvent', mapping: { external_id: { '@path': '$.userId' }, device_platform: 'web', timestamp: { '@path': '$.timestamp' }, name: 'By the application', attributes: { '@path': '$.properties' } } }]

const raw = { type: 'track', userId: 'u1', event: 'Order', timestamp: '2026-01-31T12:00:00Z', properties: { total: 49.5 } }

export const copies = async ({ page, sandbox, context, binary }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: sandbox.url })
  await page.getByRole('link', { name: 'Playground' }).click()
  const [input, mapping, result, copyTest] = [page.locator('#play-input'), page.locator('#play-mapping'), page.locator('#play-result'), page.getByRole('button', { name: 'Copy as test' })]
  const copied = async (button, what) => {
    await page.evaluate(() => navigator.clipboard.writeText(''))
    await page.getByRole('button', { name: button }).click()
    return until(`${what} is copied`, () => page.evaluate(() => navigator.clipboard.readText()))
  }
  const file = join(mkdtempSync(join(tmpdir(), 'copies-')), 'test.sh')
  const run = (text) => {
    writeFileSync(file, text)
    return execFileSync('sh', [file], { env: { ...process.env, PATH: `${dirname(resolve(binary))}:${process.env.PATH}` }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  }
  const explained = async (text, found) => {
    await input.fill(typeof text === 'string' ? text : JSON.stringify(text))
    await result.getByText(found).first().waitFor()
  }

  // The application has mappings of its own: the test has them, although none was typed.
  const secret = await sandbox.get(`secrets/${APP}`)
  await sandbox.call('PUT', `/_sandbox/secrets/${APP}`, { ...secret, mappings: OWN })
  await explained(raw, '"By the application"')
  const own = await copied('Copy as test', 'the test')
  assert.match(run(own), /passed/)
  assert.throws(() => run(own.replace('By the application', 'By another')))

  // Without any, it has the presets: it goes on passing when these change.
  await sandbox.call('PUT', `/_sandbox/secrets/${APP}`, secret)
  await explained({ ...raw, event: 'Preset', context: { device: { id: 'd1', type: 'ios' } } }, '"Preset"')
  const presets = await copied('Copy as test', 'the test')
  assert.match(presets, /Track Events/)
  assert.match(run(presets), /passed/)

  // A record: its messageId depends on the stack's name.
  await explained(record(1), 'a record of the tracking log')
  await result.locator('.call').first().waitFor()
  assert.match(run(await copied('Copy as test', 'the test')), /passed/)

  // Numbers with a fraction that is zero are the same numbers.
  await explained(JSON.stringify({ events: [{ user_id: 'u1', device_platform: 'ios', name: 'E', timestamp: '2026-01-31T12:00:00Z', attributes: { total: 1 } }] }).replace('"total":1', '"total":49.0'), '49')
  assert.match(run(await copied('Copy as test', 'the test')), /passed/)

  // An event without a time counts at its arrival, which a test does not know.
  await explained({ events: [{ user_id: 'u1', device_platform: 'ios', name: 'Untimed', attributes: {} }] }, 'the event has no time')
  const untimed = await copied('Copy as test', 'the test')
  assert.doesNotMatch(untimed, /"timestampUTC"/)
  assert.match(run(untimed), /passed/)

  // While the input or the mapping is wrong there is nothing to copy, and the result says that it is an old one.
  const stale = page.locator('#play-result.stale')
  await input.fill('{"events": [')
  await page.locator('#play-input-problem', { hasText: /\w/ }).waitFor()
  assert.ok(await copyTest.isDisabled())
  await stale.waitFor()
  await explained(raw, '"Order"')
  await stale.waitFor({ state: 'detached' })
  assert.ok(await copyTest.isEnabled())
  await page.locator('#play-own').evaluate((details) => { details.open = true })

  // A mapping that cannot be used: its problem is beside it, and it is neither copied nor written.
  for (const [text, problem] of [['[', 'not JSON'], ['5', 'no mapping can be used'], [JSON.stringify([{ ...OWN[0], action: 'sendEvent' }]), 'action must be'], [JSON.stringify([{ ...OWN[0], subscribe: '' }]), 'it has no condition']]) {
    await mapping.fill(text)
    await page.locator('#play-mapping-problem', { hasText: problem }).waitFor()
    assert.equal(await page.locator('#play-input-problem').textContent(), '')
    assert.ok(await copyTest.isDisabled())
    for (const button of ['Use for this application', 'Copy as secret']) {
      await page.locator('#toast').evaluate((shown) => { shown.textContent = '' })
      await page.getByRole('button', { name: button }).click()
      await page.locator('#toast', { hasText: 'The mapping cannot be used' }).waitFor()
    }
    assert.equal((await sandbox.get(`secrets/${APP}`)).mappings, undefined)
  }
  // Fields alone explain an event, and are no entry of a secret.
  await mapping.fill(JSON.stringify(OWN[0].mapping))
  await result.getByText('"By the application"').first().waitFor()
  await page.getByRole('button', { name: 'Use for this application' }).click()
  await page.locator('#play-mapping-problem', { hasText: 'mappings[0]' }).waitFor()
  assert.equal((await sandbox.get(`secrets/${APP}`)).mappings, undefined)

  // A secret for AWS does not lead to this machine.
  await mapping.fill(JSON.stringify(OWN))
  await page.locator('#play-mapping-problem', { hasText: /\w/ }).waitFor({ state: 'detached' })
  const forAws = await copied('Copy as secret', 'the secret')
  assert.doesNotMatch(forAws, /base_url|127\.0\.0\.1/)
  assert.equal(JSON.parse(forAws).segment.write_key, 'demo-write-key')

  // Names in remedies are shown as code.
  await mapping.fill('')
  await explained({ events: [{ user_id: 'u1', device_platform: 'ios' }] }, 'no_event_name')
  await explained({ ...record(1), application_code: undefined }, 'no_application')
  await result.locator('.note code', { hasText: 'application_code' }).waitFor()
  assert.doesNotMatch(await result.locator('.note').first().textContent(), /`/)
}

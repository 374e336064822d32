// The playground: explanation as one types, a mapping of one's own, and what is made of it.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { record, until } from '../sandbox.mjs'

const clipboard = (page) => page.evaluate(() => navigator.clipboard.readText())

export const playground = async ({ page, sandbox, context, binary }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: sandbox.url })
  await page.getByRole('link', { name: 'Playground' }).click()
  const input = page.getByLabel('Input: a raw event, a request body, a record; one or several')
  const result = page.locator('#play-result')

  // Recognised by itself.
  for (const [text, form] of [
    [JSON.stringify({ events: [{ user_id: 'u1', device_platform: 'ios', name: 'E' }] }), 'post-events'],
    [JSON.stringify({ user_id: 'u1', attributes: { a: 'b' } }), 'track-user'],
    [JSON.stringify(record(1), null, 2), 'record'],
    [JSON.stringify({ type: 'track', userId: 'u1', event: 'E', timestamp: '2026-01-31T12:00:00Z' }), 'raw Segment event']
  ]) {
    await input.fill(text)
    await page.locator('#taken-for', { hasText: form }).waitFor()
  }

  // Clause by clause, value by value; why it is not sent, and what to do.
  await result.locator('.clauses .yes').first().waitFor()
  await result.locator('.clauses .no').first().waitFor()
  await result.getByText('disregarded: no_platform').first().waitFor()

  // At each keystroke.
  await input.fill(JSON.stringify({ type: 'track', userId: 'u1', event: 'Order', timestamp: '2026-01-31T12:00:00Z', context: { device: { type: 'ios' } }, extra: { a: 1 } }))
  await result.getByText('"Order"').first().waitFor()
  await result.getByText('extra.a').first().waitFor()
  await result.locator('.note', { hasText: 'device' }).first().waitFor()
  await input.press('Control+End')
  await input.press('Backspace')
  await page.locator('#play-input-problem', { hasText: /\w/ }).waitFor()
  await input.press('}')
  await page.locator('#play-input-problem', { hasText: /\w/ }).waitFor({ state: 'detached' })

  // The presets as a mapping; a misspelt field is flagged with the nearest name.
  await page.locator('#play-own summary').click()
  await page.getByRole('button', { name: 'Load the presets' }).click()
  const mapping = page.locator('#play-mapping')
  await until('the presets are there', async () => (await mapping.inputValue()).includes('Track Events'))
  await mapping.fill((await mapping.inputValue()).replace('"device_platform": {\n        "@path": "$.context.device.type"', '"device_platfrom": {\n        "@path": "$.context.device.typ"'))
  await result.locator('.note', { hasText: 'device_platfrom' }).getByText('device_platform').waitFor()
  await mapping.fill('[{"subscribe": "type = \\"track\\"", "action": "trackEvent", "mapping": {"external_id": {"@path": "$.userId"}, "device_platform": "web", "timestamp": {"@path": "$.timestamp"}, "name": "Purchase"')
  await page.locator('#play-mapping-problem', { hasText: 'not JSON' }).waitFor()
  await mapping.press('Control+End')
  await page.keyboard.type('}}]')
  await result.getByText('"Purchase"').first().waitFor()

  // Copied as a test, it passes, and it fails once the mapping is another.
  await page.getByRole('button', { name: 'Copy as test' }).click()
  await page.getByText('Test copied').waitFor()
  const test = await clipboard(page)
  const file = join(mkdtempSync(join(tmpdir(), 'test-')), 'test.sh')
  const run = (text) => {
    writeFileSync(file, text)
    return execFileSync('sh', [file], { env: { ...process.env, PATH: `${dirname(resolve(binary))}:${process.env.PATH}` }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  }
  assert.match(run(test), /passed/)
  assert.throws(() => run(test.replace('"name": "Purchase"', '"name": "Other"')))

  // Copied as a secret, it has the application's keys and the mapping.
  await page.getByRole('button', { name: 'Copy as secret' }).click()
  await page.getByText('Secret copied').waitFor()
  const secret = JSON.parse(await clipboard(page))
  assert.equal(secret.pushwoosh.api_token, 'demo-token')
  assert.equal(secret.mappings[0].mapping.name, 'Purchase')

  // The link holds all of it.
  await page.getByRole('button', { name: 'Copy a link' }).click()
  await page.getByText('Link copied').waitFor()
  const other = await context.newPage()
  await other.goto(await clipboard(page))
  await other.locator('#play-result').getByText('"Purchase"').first().waitFor()
  assert.equal(await other.locator('#play-input').inputValue(), await input.inputValue())
  await other.close()

  // Used for the application, it is obeyed by what is sent.
  await page.getByRole('button', { name: 'Use for this application' }).click()
  await page.locator('dialog').getByRole('button', { name: 'Use it' }).click()
  await page.getByText('uses it').waitFor()
  await page.getByRole('link', { name: 'Send', exact: true }).click()
  await page.locator('#send-example').selectOption({ label: 'A raw track event' })
  await until('the functions have read it', async () => {
    await page.getByRole('button', { name: 'Send', exact: true }).click()
    const calls = await sandbox.get('upstream/pushwoosh')
    return calls.some(({ body }) => body.request?.event === 'Purchase')
  })

  // A record over several lines is one record.
  await page.locator('#send-example').selectOption({ label: 'A record of a sent push' })
  await page.getByRole('button', { name: 'Send', exact: true }).click()
  await page.locator('#send-result').getByText('"appended"').waitFor()
  assert.match(await page.locator('#send-result').textContent(), /"appended": 1/)
}

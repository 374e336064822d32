// With one's own applications, everything that the page sends is accepted.

import assert from 'node:assert/strict'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import { event } from '../sandbox.mjs'

const file = join(mkdtempSync(join(tmpdir(), 'apps-')), 'apps.json')
const secret = { pushwoosh: { api_token: 'own-token' }, segment: { write_key: 'own-write-key' }, webhook: { shared_secret: ['own-shared-secret', 'another-shared-secret'] } }
writeFileSync(file, JSON.stringify({ 'OWNAP-00001': secret, 'OWNAP-00002': { segment: { write_key: 'second' } }, 'OWNAP-00003': { pushwoosh: { api_token: 'third' } } }))

export const apps = async ({ page, sandbox }) => {
  await page.getByRole('link', { name: 'Send', exact: true }).click()
  assert.deepEqual(await page.locator('#send-app option').allTextContents(), ['OWNAP-00001', 'OWNAP-00002', 'OWNAP-00003'])
  // The badge of an earlier request would be taken for that of this one.
  const send = async () => {
    await page.locator('#send-result .badge').evaluateAll((old) => old.forEach((one) => one.remove()))
    await page.getByRole('button', { name: 'Send', exact: true }).click()
    await page.locator('#send-result .badge', { hasText: /^20/ }).waitFor()
  }
  for (const example of ['An event', 'A profile with a device and tags', 'A deletion', 'A raw track event', 'A raw identify event', 'A record of a sent push']) {
    await page.locator('#send-example').selectOption({ label: example })
    await send()
  }
  // The curl is accepted as well.
  await page.locator('#send-example').selectOption({ label: 'A raw identify event' })
  const command = page.locator('#send-result .curl pre')
  await command.filter({ hasText: 'x-signature' }).waitFor()
  assert.match(execFileSync('sh', ['-c', await command.textContent()], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }), /^HTTP\/1.1 200/)

  // An application without a key says so before anything is sent.
  await page.locator('#send-app').selectOption('OWNAP-00002')
  await page.getByText('The secret of OWNAP-00002 has no webhook.shared_secret').waitFor()

  await page.getByRole('link', { name: 'Items', exact: true }).click()
  await page.locator('.tile[data-outcome=delivered] .number', { hasText: '7' }).waitFor()
  await page.locator('.item', { hasText: 'OWNAP-00001' }).first().waitFor()
  assert.equal(await page.locator('.item', { hasText: 'refused' }).count(), 0)

  // An item that is edited and sent again goes out as its own application, whichever one was chosen before.
  await sandbox.call('POST', '/integration-segment/v1/post-events', { events: [event('third')] }, { authorization: 'Token third', 'x-pw-appcode': 'OWNAP-00003' })
  const third = page.locator('.item', { hasText: 'OWNAP-00003' })
  await third.filter({ hasText: 'delivered' }).locator('.row').click()
  await third.getByRole('button', { name: 'Edit and send again' }).click()
  await command.filter({ hasText: 'x-pw-appcode: OWNAP-00003' }).waitFor()
  assert.equal(await page.locator('#send-app').inputValue(), 'OWNAP-00003')
  await send()
  const sent = (await sandbox.get('items')).filter((row) => row.user === 'user-third')
  assert.deepEqual(sent.map((row) => row.app), ['OWNAP-00003', 'OWNAP-00003'])
}
apps.flags = ['--apps', file]

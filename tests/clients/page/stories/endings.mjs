// Items that did not end as a person would think at first: tags that Pushwoosh skipped, and items that were given up.

import assert from 'node:assert/strict'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { APP, KEY, event } from '../sandbox.mjs'

const file = join(mkdtempSync(join(tmpdir(), 'endings-')), 'apps.json')
writeFileSync(file, JSON.stringify({ [APP]: { pushwoosh: { api_token: KEY }, sandbox: { tags: { plan: 'string', age: 'integer' } } } }))

export const endings = async ({ page, sandbox }) => {
  const row = (text) => page.locator('.item', { hasText: text }).first()
  const profile = { user_id: 'tagged', attributes: { plan: 'gold', age: 'old', nosuch: 'x' } }
  await sandbox.call('POST', '/integration-segment/v1/track-user', profile, { authorization: `Token ${KEY}`, 'x-pw-appcode': APP })

  // The row says that something is missing, and is found by it.
  await row('tagged').filter({ hasText: 'skipped_tag' }).waitFor()
  await page.getByLabel('Reason or cause').selectOption('skipped_tag')
  await row('tagged').locator('.row').click()
  const note = row('tagged').locator('.what-to-do')
  await note.getByText('Delivered, but without these tags:').waitFor()
  const text = await note.textContent()
  for (const part of ['nosuch (Not found)', 'age (Wrong type)', 'create the tag', 'send a value of that type']) assert.ok(text.includes(part), `${part}: ${text}`)
  assert.ok(!text.includes('The upstream has it.'), text)
  assert.equal((await sandbox.get('items?reason=skipped_tag')).length, 1)
  await row('tagged').locator('.row').click()
  await page.getByRole('button', { name: 'Clear filters' }).click()

  // What is given up lies on the dead-letter queue, and the row leads there.
  await sandbox.faults('pushwoosh', [{ status: 503 }])
  await sandbox.events([event('expired')])
  const expired = row('user-expired')
  await expired.filter({ hasText: 'failed' }).waitFor({ timeout: 60_000 })
  await expired.locator('.row').click()
  await expired.getByText('It was given up: it is on the dead-letter queue.').waitFor()
  await expired.getByRole('link', { name: 'See the queues' }).click()
  await page.locator('[data-queue=dead] .message').first().waitFor()
}
endings.flags = ['--apps', file, '--max-age', '2']

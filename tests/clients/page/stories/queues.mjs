// A fault at a click, what it does to items, and the queues: send again one, a selection, all; discard.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { APP, KEY, event, until } from '../sandbox.mjs'

export const queues = async ({ page, sandbox }) => {
  // A fault, at a click.
  await page.getByRole('link', { name: 'Faults' }).click()
  const card = page.locator('.fault', { hasText: 'Answers 503 until it is cleared' })
  await card.getByRole('button', { name: 'Pushwoosh: Answers 503 until it is cleared' }).click()
  await page.locator('.fault.on').waitFor()
  await page.locator('#faulty', { hasText: '1' }).waitFor()
  assert.deepEqual((await sandbox.get('upstream/pushwoosh/faults')).map(({ status }) => status), [503])

  // Items are parked; the row says why, and each attempt.
  await sandbox.events([event(1), event(2)])
  await page.getByRole('link', { name: 'Items', exact: true }).click()
  const parked = page.locator('.item', { hasText: 'user-1' })
  await parked.filter({ hasText: 'parked' }).waitFor()
  await parked.locator('.row').click()
  await parked.getByText('What to do:').waitFor()
  await page.locator('.tile', { hasText: 'oldest' }).locator('.number', { hasText: ' s' }).waitFor()

  // The queue shows them.
  await page.getByRole('link', { name: /Queues/ }).click()
  const retry = page.locator('[data-queue=retry]')
  await retry.locator('.message').nth(1).waitFor()
  await retry.locator('summary').first().click()
  await retry.getByText('"application"').first().waitFor()

  // From a message to its item, and back.
  await retry.getByRole('link', { name: 'See the item' }).first().click()
  await page.waitForFunction(() => document.querySelectorAll('.item').length === 1)
  await page.getByRole('button', { name: 'Clear filters' }).click()
  await parked.getByRole('link', { name: 'See the queues' }).click()
  await retry.locator('.message').nth(1).waitFor()

  // Once the fault is cleared they are delivered, and the open row says so.
  await page.getByRole('link', { name: 'Faults' }).click()
  await page.getByRole('button', { name: 'Clear all' }).click()
  await page.locator('.fault.on').waitFor({ state: 'detached' })
  await page.getByRole('link', { name: 'Items', exact: true }).click()
  await parked.locator('.row .badge', { hasText: 'delivered' }).waitFor()
  await parked.locator('.steps li', { hasText: 'delivered' }).waitFor()
  assert.ok(await parked.locator('.steps li').count() >= 3, 'came in, parked, delivered')
  await parked.locator('.row').click()

  // The curl of a fault does what the click did.
  await page.getByRole('link', { name: 'Faults' }).click()
  const segment = page.locator('.fault[data-service=segment]', { hasText: 'Refuses the write key' })
  await segment.locator('summary').click()
  execFileSync('sh', ['-c', await segment.locator('pre').textContent()], { stdio: 'ignore' })
  await page.locator('.fault.on', { hasText: 'Refuses the write key' }).waitFor()
  await segment.getByRole('button', { name: 'Segment: Refuses the write key: 401' }).click()
  await page.locator('.fault.on').waitFor({ state: 'detached' })

  // Rejects: one, a selection, all.
  const bad = (number) => event(number, { timestamp: 'yesterday' })
  await sandbox.events(Array.from({ length: 6 }, (_, number) => bad(number)))
  await until('all are on the queue', async () => (await sandbox.get('queues/rejects')).length === 6)
  await page.getByRole('link', { name: /Queues/ }).click()
  const rejects = page.locator('[data-queue=rejects]')
  await rejects.locator('.message').nth(5).waitFor()
  const number = async (wanted) => rejects.locator('h3 .count', { hasText: String(wanted) }).waitFor()
  await rejects.locator('.message').first().getByRole('button', { name: 'Send again' }).click()
  await page.getByText(/0 sent again, 1 stays: .*bad_timestamp/).waitFor()
  await rejects.locator('.message').first().getByRole('button', { name: 'Discard' }).click()
  await page.getByRole('button', { name: 'Cancel' }).click()
  await rejects.locator('.message').first().getByRole('button', { name: 'Discard' }).click()
  await page.locator('dialog').getByRole('button', { name: 'Discard' }).click()
  await number(5)
  await rejects.locator('input').nth(0).check()
  await rejects.locator('input').nth(1).check()
  await rejects.getByRole('button', { name: 'Discard 2' }).click()
  await page.locator('dialog').getByRole('button', { name: 'Discard' }).click()
  await number(3)
  await rejects.getByRole('button', { name: 'Discard all' }).click()
  await page.locator('dialog').getByRole('button', { name: 'Discard' }).click()
  await number(0)

  // What Pushwoosh refused is sent again, once it is put right: all of it, from the page.
  await sandbox.faults('pushwoosh', [{ path: '/json/1.3/postEvent', body: { status_code: 210, status_message: 'Event is not found' } }])
  await sandbox.events([event('again-1'), event('again-2'), event('again-3')])
  await number(3)
  await sandbox.faults('pushwoosh', [])
  await rejects.locator('input').nth(0).check()
  await rejects.getByRole('button', { name: 'Send again 1' }).click()
  await number(2)
  await rejects.getByRole('button', { name: 'Send all again' }).click()
  await number(0)
  await until('the three arrived', async () => {
    const calls = await sandbox.get('upstream/pushwoosh')
    return calls.filter(({ body, answer }) => body.request?.userId?.startsWith('user-again') && answer.status_code === 200).length === 3
  })

  // What is discarded is discarded: no count and no age goes on. A deletion stays, and the page says why.
  await sandbox.faults('pushwoosh', [{ status: 503 }])
  await sandbox.events([event('discarded')])
  await sandbox.call('POST', '/integration-segment/v1/delete-user', { external_id: 'user-deleted' }, { authorization: `Token ${KEY}`, 'x-pw-appcode': APP })
  await retry.locator('.message').nth(1).waitFor()
  await retry.getByRole('button', { name: 'Discard all' }).click()
  await page.locator('dialog').getByRole('button', { name: 'Discard' }).click()
  await page.getByText(/1 discarded, 1 stays: it is the deletion of a person/).waitFor()
  const outcome = async (user) => (await sandbox.get(`items?user=${user}`))[0]?.outcome
  assert.deepEqual([await outcome('user-discarded'), await outcome('user-deleted')], ['discarded', 'parked'])
  await page.getByRole('link', { name: 'Items', exact: true }).click()
  await page.locator('.item', { hasText: 'user-discarded' }).filter({ hasText: 'discarded' }).locator('.row').click()
  await page.locator('.item.open').getByText('It was discarded from a queue').waitFor()
  await sandbox.faults('pushwoosh', [])
  await page.locator('.tile', { hasText: 'oldest' }).locator('.number', { hasText: '–' }).waitFor()
  await page.getByRole('link', { name: /Queues/ }).click()

  // A message that left the queue while a person looked at it says so.
  await sandbox.events([bad('left')])
  await number(1)
  await rejects.locator('.message').first().getByRole('button', { name: 'Discard' }).click()
  await sandbox.call('DELETE', '/_sandbox/queues/rejects')
  await page.locator('dialog').getByRole('button', { name: 'Discard' }).click()
  await page.getByText(/0 discarded, 1 stays: it was being tried/).waitFor()
}

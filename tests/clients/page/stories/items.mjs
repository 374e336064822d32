// "Why did my event not arrive?": items come in, are found, and say what happened and what to do.

import assert from 'node:assert/strict'
import { event, record } from '../sandbox.mjs'

const choose = async (page, example) => {
  await page.goto(`${new URL(page.url()).origin}/#/send`)
  await page.locator('#send-example').selectOption({ label: example })
  await page.getByRole('button', { name: 'Send', exact: true }).click()
  await page.locator('#send-result .badge').first().waitFor()
}

const row = (page, text) => page.locator('.item', { hasText: text }).first()

export const items = async ({ page, sandbox }) => {
  await page.getByText('Nothing has come in yet.').waitFor()

  // Everything that can be chosen can be sent.
  for (const example of ['Two events, one of them without a platform', 'An event with a time that cannot be read', 'A profile with a device and tags', 'A request with a wrong key', 'A raw track event', 'A raw event with a wrong signature', 'A record of a sent push']) await choose(page, example)
  await page.getByRole('link', { name: 'Items', exact: true }).click()

  // Each has its outcome and its reason, newest first.
  for (const [outcome, text] of [['disregarded', 'no_platform'], ['rejected', 'bad_timestamp'], ['delivered', 'profile'], ['refused', 'wrong_key'], ['delivered', 'Order Completed'], ['refused', 'wrong_signature'], ['delivered', 'Push Sent']]) {
    await row(page, text).filter({ hasText: outcome }).waitFor()
  }
  const ids = await page.locator('.item').evaluateAll((all) => all.map((one) => Number(one.dataset.id)))
  assert.deepEqual(ids, [...ids].sort((left, right) => right - left), 'newest first')

  // The tiles count what came in; one that is pressed shows only these.
  await page.locator('.tile[data-outcome=refused] .number', { hasText: '2' }).waitFor()
  await page.locator('.tile[data-outcome=refused]').click()
  await page.locator('.item', { hasText: 'delivered' }).first().waitFor({ state: 'detached' })
  assert.equal(await page.locator('.item').count(), 2)
  await page.getByRole('button', { name: 'Clear filters' }).click()

  // Search by user, device, application, messageId; filters by kind and reason.
  const shown = async (number) => page.waitForFunction((wanted) => document.querySelectorAll('.item').length === wanted, number)
  const search = page.getByRole('searchbox')
  const all = ids.length
  const found = async (text, number) => {
    await search.fill(text)
    await shown(number)
  }
  const user = await row(page, 'Order Completed').locator('.user').textContent()
  await found(user, 1)
  await found(user.replace('user', 'DEVICE'), 1)
  await found('demo0', all)
  await found('message-', 1)
  await found('no such thing', 0)
  await page.getByText('No item matches.').waitFor()
  await found('', all)
  await page.getByLabel('Kind').selectOption('profile')
  await shown(1)
  await page.getByLabel('Kind').selectOption('')
  await page.getByLabel('Reason or cause').selectOption('bad_timestamp')
  await shown(1)

  // An open row says what happened, what to do, what came in, and what was made of it.
  await row(page, 'bad_timestamp').locator('.row').click()
  const detail = page.locator('.detail:visible')
  await detail.getByText('What to do:').waitFor()
  await detail.getByText('"timestamp": "yesterday"').waitFor()
  await page.getByRole('button', { name: 'Clear filters' }).click()
  await row(page, 'bad_timestamp').locator('.row').click()

  const delivered = row(page, 'Order Completed')
  await delivered.locator('.row').click()
  await delivered.getByRole('table', { name: 'Fields of Track Events' }).getByText('context.device.type').waitFor()
  await delivered.locator('.call summary', { hasText: '/json/1.3/postEvent' }).first().click()
  await delivered.getByRole('region', { name: 'The answer' }).getByText('200').first().waitFor()
  assert.equal(await delivered.locator('.steps li').count(), 2)

  // The Track call of a record is found too.
  const sent = row(page, 'Push Sent')
  await sent.locator('.row').click()
  await sent.locator('.call summary', { hasText: '/v1/batch' }).first().waitFor()
  await sent.locator('.row').click()

  // While traffic runs the row stays open, and the focus stays where it is.
  const button = delivered.locator('.row')
  await button.focus()
  for (let number = 0; number < 10; number++) {
    await sandbox.events([event(`t${number}`)])
    await sandbox.records([record(`t${number}`)])
  }
  const fresh = page.locator('#fresh')
  await fresh.filter({ hasText: '20 new items' }).waitFor()
  assert.equal(await button.getAttribute('aria-expanded'), 'true')
  assert.ok(await button.evaluate((own) => document.activeElement === own), 'the focus stays')
  await fresh.click()
  await row(page, 'user-t9').waitFor()
  assert.equal(await button.getAttribute('aria-expanded'), 'true', 'it stays open')

  // By keyboard: search, down into the list, open, close.
  await button.click()
  await page.keyboard.press('/')
  await page.keyboard.type('user-t3')
  await shown(2)
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await page.locator('.item.open .detail .label').first().waitFor()
  await page.keyboard.press('Escape')
  await page.locator('.item.open').waitFor({ state: 'detached' })
  assert.ok(await page.evaluate(() => document.activeElement.classList.contains('row')))

  // A link opens one item, and takes away a search that does not match it.
  const id = ids.at(-1)
  await page.goto(`${sandbox.url}/#/items/${id}`)
  await page.locator(`.item.open[data-id="${id}"]`).waitFor()

  // Markup in an item is text.
  await sandbox.events([event('markup', { name: '<img src=x onerror=alert(1)>' })])
  await row(page, '<img src=x').waitFor()
  assert.equal(await page.locator('#items img').count(), 0)
}

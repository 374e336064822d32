// Links say what they cannot show; the search finds refused requests; the header knows faults that others set.

import assert from 'node:assert/strict'
import { APP, KEY, event } from '../sandbox.mjs'

const HEADERS = { authorization: `Token ${KEY}`, 'x-pw-appcode': APP }

export const links = async ({ page, sandbox }) => {
  const row = (text) => page.locator('.item', { hasText: text }).first()
  const shown = (number) => page.waitForFunction((wanted) => document.querySelectorAll('.item').length === wanted, number)
  const profile = (user, headers) => sandbox.call('POST', '/integration-segment/v1/track-user', { user_id: user, attributes: { plan: 'gold' } }, headers)

  // A refused request is found by each user that it names.
  await profile('refused-1', { ...HEADERS, authorization: 'Token wrong' })
  await sandbox.call('POST', '/integration-segment/v1/post-events', { events: [event('refused-2'), event('refused-3')] }, { ...HEADERS, authorization: 'Token wrong' })
  await sandbox.events([event(1), event(2)])
  await profile('user-1', HEADERS)
  await row('user-2').filter({ hasText: 'delivered' }).waitFor()
  await shown(5)
  const search = page.getByRole('searchbox')
  for (const user of ['refused-1', 'user-refused-2', 'user-refused-3']) {
    await search.fill(user)
    await shown(1)
    await row('refused').filter({ hasText: 'wrong_key' }).waitFor()
  }
  await page.goto(`${sandbox.url}/#/items?user=user-refused-3`)
  await shown(1)

  // A link may name a user and an application: both count, and each is seen and can be taken away.
  await page.goto(`${sandbox.url}/#/items?user=user-1&app=${APP}`)
  await shown(2)
  await page.goto(`${sandbox.url}/#/items?user=user-1&app=OTHER-00001`)
  await page.getByText('No item matches.').waitFor()
  await page.getByRole('button', { name: 'Do not filter by app: OTHER-00001' }).click()
  await shown(2)
  await page.getByRole('button', { name: 'Do not filter by user: user-1' }).waitFor()
  await page.getByRole('button', { name: 'Clear filters' }).click()
  await shown(5)

  // An open row that the search does not match is closed; its facts name application and kind.
  await row('user-2').locator('.row').click()
  const facts = page.locator('.item.open .facts')
  await facts.getByText(APP).waitFor()
  assert.match(await facts.textContent(), /kindevent/)
  await search.fill('user-1')
  await shown(2)
  assert.equal(await page.locator('.item.open').count(), 0)

  // An item that is linked is shown, whatever was searched for; one that is not kept says so.
  await page.goto(`${sandbox.url}/#/items/1`)
  await page.locator('.item.open[data-id="1"]').waitFor()
  assert.equal(await search.inputValue(), '')
  await page.goto(`${sandbox.url}/#/items/999999`)
  await page.getByText('The sandbox does not keep item 999999.').waitFor()
  await page.goto(`${sandbox.url}/#/items`)
  await page.getByText('The sandbox does not keep item 999999.').waitFor({ state: 'hidden' })

  // A link of the playground to an application that is not here says so.
  const link = await page.evaluate(async () => (await import('/page/playground_link.js')).playgroundLink({ input: '{"user_id":"u1"}', mapping: '', app: 'OTHER-00001' }))
  await page.goto(`${sandbox.url}/${link}`)
  await page.locator('#play-app-problem', { hasText: `OTHER-00001 is not here: ${APP} is used.` }).waitFor()
  await page.goto(`${sandbox.url}/#/items`)

  // Faults that a curl sets and clears are counted in the header, whatever view is open.
  const faulty = page.locator('#faulty')
  await sandbox.faults('segment', [{ status: 503 }, { path: '/v1/batch', status: 429 }])
  await faulty.filter({ hasText: '2' }).waitFor()
  await sandbox.faults('segment', [])
  await faulty.waitFor({ state: 'hidden' })

  // A fault that would fit no call is refused, and says why.
  await page.getByRole('link', { name: 'Faults' }).click()
  await page.getByLabel('List of faults').fill('[{"path": "json/1.3/setTags", "status": 503}]')
  await page.getByRole('button', { name: 'Set', exact: true }).click()
  await page.locator('#faults .problem', { hasText: 'it must begin with /' }).waitFor()
}

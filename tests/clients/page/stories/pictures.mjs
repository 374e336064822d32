// Pictures of each view, for the README and the documents.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { event, record, until } from '../sandbox.mjs'
import { VIEWS, show, traffic } from './accessibility.mjs'

/** Views whose picture the README shows in the reader's colours. */
const DARK = ['items', 'playground']

/** A mapping of one's own, with a misspelt field, for an event that lacks something. */
const mapped = async (page) => {
  await page.locator('#play-example').selectOption('A raw event without a device')
  await page.locator('#play-own').evaluate((own) => { own.open = true })
  const mapping = [{ name: 'Pages', subscribe: 'type = "page" and contains(properties.path, "pric")', action: 'trackEvent', mapping: { external_id: { '@path': '$.userId' }, device_platfrom: 'web', device_platform: 'web', name: { '@template': 'Viewed {{name}}' }, timestamp: { '@path': '$.timestamp' }, properties: { '@path': '$.properties' } } }]
  await page.locator('#play-mapping').fill(JSON.stringify(mapping, null, 2))
  await page.locator('#play-result').getByText('Viewed Pricing').first().waitFor()
  await page.locator('#play-mapping').evaluate((own) => { own.scrollTop = 0 })
}

export const pictures = async ({ page, sandbox, images }) => {
  mkdirSync(images, { recursive: true })
  // A minute's worth of plots would take a minute: a few samples show what they are.
  const samples = async (number) => until(`there are ${number} samples`, () => page.evaluate(async (wanted) => (await import('/page/live.js')).samples.length >= wanted, number))
  for (let number = 1; number <= 24; number++) {
    const some = Array.from({ length: 1 + number * 7 % 5 }, (_, index) => event(`${number}-${index}`, index % 2 ? { name: 'SubscribedToOffers', attributes: { offer: 'spring' } } : {}))
    await sandbox.events(number % 4 === 0 ? [...some, event(number, { device_platform: undefined })] : some)
    if (number % 3 === 0) await sandbox.records([record(number), record(`${number}-1`)])
    await samples(number)
  }
  await traffic(sandbox)
  await page.locator('.item', { hasText: 'parked' }).first().waitFor()
  await samples(28)
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme })
    for (const view of colorScheme === 'dark' ? DARK : VIEWS) {
      await page.setViewportSize({ width: 1280, height: 860 })
      await show(page, sandbox, view, 'user-parked')
      if (view === 'playground') await mapped(page)
      await page.evaluate(() => { scrollTo(0, 0); document.activeElement?.blur() })
      await page.screenshot({ path: join(images, `page-${view}-${colorScheme}.png`) })
    }
  }
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize({ width: 390, height: 844 })
  await show(page, sandbox, 'items', 'user-parked')
  await page.evaluate(() => scrollTo(0, 0))
  await page.screenshot({ path: join(images, 'page-phone.png') })
}

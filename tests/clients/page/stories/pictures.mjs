// Pictures of each view, for the README and the documents.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { event, record } from '../sandbox.mjs'
import { VIEWS, show, traffic } from './accessibility.mjs'

export const pictures = async ({ page, sandbox, images }) => {
  mkdirSync(images, { recursive: true })
  for (let number = 1; number <= 12; number++) {
    await sandbox.events([event(number), event(number, { name: 'SubscribedToOffers', attributes: { offer: 'spring' } })])
    if (number % 3 === 0) await sandbox.records([record(number)])
  }
  await traffic(sandbox)
  await page.locator('.item', { hasText: 'parked' }).first().waitFor()
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme })
    for (const view of VIEWS) {
      await page.setViewportSize({ width: 1280, height: 860 })
      await show(page, sandbox, view)
      await page.evaluate(() => { scrollTo(0, 0); document.activeElement?.blur() })
      await page.screenshot({ path: join(images, `page-${view}-${colorScheme}.png`) })
    }
  }
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize({ width: 390, height: 844 })
  await show(page, sandbox, 'items')
  await page.evaluate(() => scrollTo(0, 0))
  await page.screenshot({ path: join(images, 'page-phone.png') })
}

// axe on each view, in light and dark; no sideways scrolling on a phone; every control is reached by keyboard.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { event, record } from '../sandbox.mjs'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export const VIEWS = ['items', 'send', 'playground', 'queues', 'faults']

/** What every view shows something of. */
export const traffic = async (sandbox) => {
  await sandbox.call('POST', '/integration-segment/v1/track-user', '{}', { authorization: 'Token wrong', 'x-pw-appcode': 'DEMO0-00001' })
  await sandbox.faults('pushwoosh', [{ path: '/json/1.3/postEvent', status: 503 }])
  await sandbox.events([event('parked'), event('without', { device_platform: undefined }), event('late', { timestamp: 'yesterday' })])
  await sandbox.records([record(1), record(2), { ...record(3), hwid: undefined, user_id: undefined }])
}

/** Opens a view with something to see in it. */
export const show = async (page, sandbox, view, opened = 'bad_timestamp') => {
  await page.goto(`${sandbox.url}/#/${view}`)
  await page.locator(`#view-${view}`).waitFor()
  if (view === 'items') {
    const row = page.locator('.item', { hasText: opened }).first()
    if (await row.locator('.row').getAttribute('aria-expanded') === 'false') await row.locator('.row').click()
    await row.getByText('came in').waitFor()
  }
  if (view === 'playground') await page.locator('#play-result .mapping').first().waitFor()
  if (view === 'queues') await page.locator('[data-queue=retry] .message').first().waitFor()
  if (view === 'faults') await page.locator('#faults-now .badge').first().waitFor()
  if (view === 'send') await page.locator('#send-result pre', { hasText: 'curl' }).waitFor()
}

const problems = async (page) => {
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { resultTypes: ['violations'] })
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target.join(' ')} (${node.failureSummary.split('\n')[1]?.trim()})`).slice(0, 3).join(', ')}`)
  })
  return found
}

export const accessibility = async ({ page, sandbox, context }) => {
  await traffic(sandbox)
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme })
    for (const view of VIEWS) {
      await show(page, sandbox, view)
      // The page lets no foreign script in; the debugger may.
      const session = await context.newCDPSession(page)
      await session.send('Runtime.evaluate', { expression: axe })
      await session.detach()
      assert.deepEqual(await problems(page), [], `${view}, ${colorScheme}`)
    }
  }

  // On a phone nothing is wider than the screen.
  await page.setViewportSize({ width: 390, height: 844 })
  for (const view of VIEWS) {
    await show(page, sandbox, view)
    if (view === 'playground') await page.locator('#play-own').evaluate((own) => { own.open = true })
    const width = await page.evaluate(() => Math.max(document.documentElement.scrollWidth, document.body.scrollWidth))
    assert.ok(width <= 390, `${view} is ${width} wide`)
    const outside = await page.evaluate(() => [...document.querySelectorAll('button, select, input, textarea')].filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.id || one.textContent))
    assert.deepEqual(outside, [], `${view} has controls outside of the screen`)
  }
  // Nor is anything of the header cut, with every count shown.
  await page.setViewportSize({ width: 375, height: 812 })
  await page.locator('#faulty:not([hidden])').waitFor()
  await page.locator('#queued:not([hidden])').evaluate((count) => { count.textContent = '1234' })
  const cut = await page.evaluate(() => [...document.querySelectorAll('nav a, nav .count')].filter((one) => one.getBoundingClientRect().right > innerWidth - 8 || one.getBoundingClientRect().left < 8).map((one) => one.textContent))
  assert.deepEqual(cut, [], 'the header is cut')
  assert.ok(await page.locator('nav').evaluate((nav) => nav.scrollWidth <= nav.clientWidth), 'the header scrolls')
  await page.setViewportSize({ width: 1360, height: 900 })

  // By keyboard alone: numbers choose a view, Tab reaches every control of it, and the focus is seen.
  for (const [index, view] of VIEWS.entries()) {
    await page.locator('#main').focus()
    await page.keyboard.press(String(index + 1))
    await page.locator(`#view-${view}`).waitFor()
    const wanted = await page.evaluate(() => [...document.querySelectorAll('main button, main select, main input, main textarea')].filter((one) => one.checkVisibility() && !one.disabled).length)
    const reached = new Set()
    await page.locator('#main').focus()
    for (let step = 0; step < wanted + 60 && reached.size < wanted; step++) {
      await page.keyboard.press('Tab')
      const seen = await page.evaluate(() => {
        const one = document.activeElement
        one.dataset.reached ??= String(Math.random())
        const outlined = getComputedStyle(one).outlineStyle !== 'none'
        return one.matches('main button, main select, main input, main textarea') ? [one.dataset.reached, outlined] : undefined
      })
      if (!seen) continue
      assert.ok(seen[1], `${view}: the focus is not seen`)
      reached.add(seen[0])
    }
    assert.ok(reached.size >= wanted, `${view}: ${reached.size} of ${wanted} controls are reached`)
  }
}

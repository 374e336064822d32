// Five thousand items each way, while a person reads an open row: the page does not freeze, and stays bounded.

import assert from 'node:assert/strict'
import { tasks } from '../browser.mjs'
import { event, record, until } from '../sandbox.mjs'

/** Items each way, and of one request. */
const NUMBER = 5000
const BATCH = 25

/** No task of the page may take more, in ms of the processor. */
const LONGEST = 200

export const load = async ({ page, sandbox }) => {
  await sandbox.events([event('first')])
  const row = page.locator('.item', { hasText: 'user-first' })
  await row.locator('.row').click()
  await row.getByText('came in').waitFor()
  const recorded = await tasks(page)
  await page.evaluate(() => {
    window.frames_drawn = 0
    const count = () => { window.frames_drawn += 1; requestAnimationFrame(count) }
    requestAnimationFrame(count)
  })
  const numbers = Array.from({ length: NUMBER / BATCH }, (_, batch) => Array.from({ length: BATCH }, (_, index) => batch * BATCH + index))
  const send = async (batch, held) => {
    // A slow machine may ask for a repetition, as AWS would; Segment repeats.
    const events = batch.map((number) => event(`${held}-${number}`))
    await until('the events are accepted', async () => (await sandbox.events(events)).status === 200, 300_000)
    await sandbox.records(batch.map((number) => record(`${held}-${number}`)))
  }
  // First with a row open, then without: the list is drawn at each frame.
  for (const batch of numbers.slice(0, numbers.length / 2)) await send(batch, 'open')
  assert.equal(await row.locator('.row').getAttribute('aria-expanded'), 'true')
  assert.ok(await row.locator('.row').evaluate((own) => document.activeElement === own), 'the focus stays')
  await row.locator('.row').click()
  for (const batch of numbers.slice(numbers.length / 2)) await send(batch, 'closed')
  await until('all are delivered', async () => {
    const metrics = (await sandbox.call('GET', '/_sandbox/metrics')).text
    const [, delivered = 0] = metrics.match(/^pwseg_items\{outcome="delivered"\} (\d+)$/m) ?? []
    return Number(delivered) > 2 * NUMBER
  }, 300_000)
  await page.waitForFunction((wanted) => Number(document.querySelector('.tile[data-outcome=delivered] .number').textContent.replaceAll(',', '')) > wanted, 2 * NUMBER)

  const lengths = await recorded()
  const { frames, nodes, kept } = await page.evaluate(async () => ({
    frames: window.frames_drawn, nodes: document.querySelectorAll('.item').length,
    kept: (await import('/page/live.js')).rows.size
  }))
  const longest = lengths.reduce((longest, length) => Math.max(longest, length), 0)
  const long = lengths.filter((length) => length > 50).length
  console.log(`load: ${2 * NUMBER} items, ${frames} frames, ${lengths.length} tasks, ${long} over 50 ms, the longest ${Math.round(longest)} ms`)
  assert.ok(longest < LONGEST, `a task took ${longest} ms`)
  assert.ok(nodes <= 202 && kept <= 2001, `${nodes} rows in the document, ${kept} kept`)
  const heap = await page.evaluate(() => performance.memory?.usedJSHeapSize ?? 0)
  assert.ok(heap < 64 * 1024 * 1024, `the page uses ${heap} bytes`)
}

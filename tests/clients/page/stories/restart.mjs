// The sandbox is stopped and started anew under an open page: the page says so, and shows the items of the new one only.

import assert from 'node:assert/strict'
import { event, startSandbox } from '../sandbox.mjs'

export const restart = async ({ page, sandbox, binary }) => {
  await sandbox.events([event('before-1'), event('before-2')])
  await page.locator('.item', { hasText: 'user-before-1' }).filter({ hasText: 'delivered' }).locator('.row').click()
  await page.locator('.item.open').waitFor()
  await sandbox.end()
  await page.locator('#live.off').waitFor()
  await page.getByText('the sandbox does not answer').waitFor()
  const again = await startSandbox(binary, '--listen', new URL(sandbox.url).host)
  try {
    assert.equal(again.url, sandbox.url)
    await page.locator('#live.on').waitFor()
    await again.events([event('after')])
    await page.locator('.item', { hasText: 'user-after' }).filter({ hasText: 'delivered' }).waitFor()
    assert.equal(await page.locator('.item').count(), 1, 'the items of the run before are gone')
  } finally {
    await again.end()
  }
}

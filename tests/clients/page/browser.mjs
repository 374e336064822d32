// Debian's Chromium, and what the stories need of it.

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const BINARY = process.env.CHROMIUM ?? '/usr/bin/chromium'

/** Nothing is looked up or sent by the browser itself. */
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

/** Longest wait for something to appear, in ms. */
const PATIENCE = 20_000

/** A browser with a profile of its own. `end` ends it and removes the profile. */
export const start = async (options = {}) => {
  if (!existsSync(BINARY)) throw new Error(`${BINARY} is missing: apt-get install chromium`)
  const profile = mkdtempSync(join(tmpdir(), 'page-'))
  const context = await chromium.launchPersistentContext(profile, { executablePath: BINARY, args: FLAGS, viewport: { width: 1360, height: 900 }, timezoneId: 'UTC', ...options })
  context.setDefaultTimeout(PATIENCE)
  return { context, end: async () => { await context.close(); rmSync(profile, { recursive: true, force: true }) } }
}

/** A page that fails the test on any error of its own. */
export const open = async (context, url) => {
  const page = await context.newPage()
  page.problems = []
  page.on('pageerror', (error) => page.problems.push(`error: ${error.message}`))
  page.on('console', (message) => {
    // Refused requests are part of the stories; the browser logs each as an error.
    if (message.type() === 'error' && !message.text().includes('Failed to load resource')) page.problems.push(message.text())
  })
  await page.goto(url)
  await page.locator('#live.on').waitFor()
  return page
}

/**
 * Records the tasks of the page's main thread until the returned function is called. It gives their lengths in ms, counted in time
 * of the processor: a machine that is busy with other things makes no task longer.
 */
export const tasks = async (page) => {
  const session = await page.context().newCDPSession(page)
  const events = []
  session.on('Tracing.dataCollected', ({ value }) => events.push(...value))
  await session.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: { recordMode: 'recordContinuously', includedCategories: ['disabled-by-default-devtools.timeline'], excludedCategories: ['*'] }
  })
  return async () => {
    const complete = new Promise((resolve) => session.once('Tracing.tracingComplete', resolve))
    await session.send('Tracing.end')
    await complete
    const mains = new Set(events.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(({ pid, tid }) => `${pid} ${tid}`))
    const found = events.filter(({ name, pid, tid, tdur }) => name === 'RunTask' && tdur !== undefined && mains.has(`${pid} ${tid}`))
    if (found.length === 0) throw new Error('Chromium recorded no task of the page')
    return found.map(({ tdur }) => tdur / 1000)
  }
}

// Drives the sandbox's page in Chromium: stories as a person would do them, then accessibility, load, width, and
// pictures. Arguments: the binary of the sandbox, the directory for the pictures.

import { open, start } from './browser.mjs'
import { startSandbox } from './sandbox.mjs'
import { accessibility } from './stories/accessibility.mjs'
import { apps } from './stories/apps.mjs'
import { copies } from './stories/copies.mjs'
import { endings } from './stories/endings.mjs'
import { items } from './stories/items.mjs'
import { links } from './stories/links.mjs'
import { load } from './stories/load.mjs'
import { pictures } from './stories/pictures.mjs'
import { playground } from './stories/playground.mjs'
import { queues } from './stories/queues.mjs'
import { restart } from './stories/restart.mjs'

const [binary, images, only] = process.argv.slice(2)
const STORIES = { items, queues, playground, copies, apps, links, endings, restart, load, accessibility, pictures }

for (const [name, story] of Object.entries(STORIES)) {
  if (only && name !== only) continue
  const began = Date.now()
  const { context, end } = await start(story.browser)
  const sandbox = await startSandbox(binary, ...(story.flags ?? []))
  try {
    const page = await open(context, sandbox.url)
    await story({ page, sandbox, context, images, binary })
    if (page.problems.length > 0) throw new Error(`the page reports: ${page.problems.join('; ')}`)
    console.log(`${name}: passed in ${((Date.now() - began) / 1000).toFixed(1)} s`)
  } catch (error) {
    error.message = `${name}: ${error.message}`
    throw error
  } finally {
    await Promise.all([end(), sandbox.end()])
  }
}

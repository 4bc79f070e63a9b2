// Looks at reports in a real browser, at the width of a desk and of a phone, light and dark:
//
//   npm run test:browser               # needs Chromium: apt-get install chromium, or CHROMIUM=/path/to/it
//   npm run test:browser -- <folder>   # keeps reports and screenshots there
//
// It installs what drives the browser here, and starts a server of its own.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'
import { startServer } from '../../build/embedded/server.js'
import { compare } from './compare.js'
import * as databases from './databases.js'

const CHROMIUM = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
/** In milliseconds; on a machine that does nothing else. */
const MOST_MS = 5_000
const MOST_BYTES = 2_000_000
const VIEWS = [1280, 390].flatMap((width) => ['light', 'dark'].map((colorScheme) => ({ width, colorScheme })))

const executablePath = CHROMIUM.find((path) => path !== undefined && existsSync(path))
if (executablePath === undefined)
  throw new Error('There is no Chromium here: apt-get install chromium, or say where with CHROMIUM.')
const kept = process.argv[2]
const folder = kept === undefined ? await mkdtemp(join(tmpdir(), 'ebb-browser-')) : resolve(kept)
await mkdir(folder, { recursive: true })
const server = await startServer()
const browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] })
try {
  for (const name of Object.keys(databases.FILLED)) await lookAt(name)
} finally {
  await browser.close()
  await server.remove()
  if (kept === undefined) await rm(folder, { recursive: true })
}
console.log(`reports are as they should be in ${VIEWS.length} views${kept === undefined ? '' : `: ${folder}`}`)

async function lookAt(name) {
  await databases.sql(server.url, `create database ${name}`)
  const url = new URL(server.url)
  url.pathname = `/${name}`
  await databases.FILLED[name](url.href, await mkdtemp(join(folder, 'files-')), server)
  const file = join(folder, `${name}.html`)
  const began = performance.now()
  await databases.ebb(url.href, ['report', '--html', file])
  const milliseconds = Math.round(performance.now() - began)
  const { size } = await stat(file)
  console.log(`${name}: ${size} bytes in ${milliseconds} ms`)
  assert.ok(size < MOST_BYTES, `${name}: ${size} bytes`)
  assert.ok(milliseconds < MOST_MS, `${name}: ${milliseconds} ms`)
  for (const view of VIEWS) await look(name, file, url.href, view)
}

async function look(name, file, url, { width, colorScheme }) {
  const what = `${name} at ${width}, ${colorScheme}`
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme })
  const [problems, requests] = [[], []]
  page.on('console', (message) => problems.push(message.text()))
  page.on('pageerror', (error) => problems.push(String(error)))
  page.on('request', (request) => requests.push(request.url()))
  const address = pathToFileURL(file).href
  await page.goto(address)
  await page.screenshot({ path: join(folder, `${name}-${width}-${colorScheme}.png`), fullPage: true })
  assert.deepEqual(problems, [], what)
  assert.deepEqual(
    requests.filter((one) => one !== address),
    [],
    what,
  )
  assert.equal(await page.evaluate(tooWide), 0, `${what}: pixels beyond the width`)
  assert.deepEqual(await page.evaluate(crossingWords), [], `${what}: words over words`)
  assert.deepEqual(await page.evaluate(cutWords), [], `${what}: words that are cut`)
  assert.deepEqual(await page.evaluate(lowCells), [], `${what}: labels that reach into the next line`)
  assert.equal(await page.locator('svg[role=img]:not(:has(title))').count(), 0, `${what}: charts without a title`)
  await compare(page, url, what)
  await page.close()
}

// The following are run by the browser.

/* global document, getComputedStyle, innerWidth */

function tooWide() {
  return Math.max(0, document.documentElement.scrollWidth - innerWidth)
}

/** Words in a chart that lie over others. */
function crossingWords() {
  return [...document.querySelectorAll('svg[role=img]')].flatMap((chart) => {
    const words = [...chart.querySelectorAll('text')].map((text) => ({
      text: text.textContent,
      box: text.getBoundingClientRect(),
    }))
    const visible = words.filter(({ text, box }) => text !== '' && box.width > 0)
    return visible.flatMap(({ text, box }, i) =>
      visible
        .slice(i + 1)
        .filter(
          (other) =>
            box.left < other.box.right - 1 &&
            other.box.left < box.right - 1 &&
            box.top < other.box.bottom - 2 &&
            other.box.top < box.bottom - 2,
        )
        .map((other) => `${text} / ${other.text}`),
    )
  })
}

/** Words that reach out of the window, or out of what they are in. */
function cutWords() {
  const words = [...document.querySelectorAll('h1, h2, h3, dt, dd, li, td, th, p, caption, figcaption, svg text')]
  return words.flatMap((word) => {
    if (word.closest('.scroll, details:not([open]) > :not(summary)') !== null) return []
    // Heads of tables that are read line by line are there for screen readers.
    if (word.closest('thead')?.getBoundingClientRect().width <= 1) return []
    const { left, right, width } = word.getBoundingClientRect()
    return width > 0 && (left < -1 || right > innerWidth + 1)
      ? [`${word.textContent.trim().slice(0, 60)} (${Math.round(left)} to ${Math.round(right)})`]
      : []
  })
}

/** Cells of narrow tables that are lower than the label beside them. */
function lowCells() {
  const cells = [...document.querySelectorAll('table.lines td')]
  return cells.flatMap((cell) => {
    const { content, width } = getComputedStyle(cell, '::before')
    if (content === 'none' || cell.offsetHeight === 0) return []
    const label = cell.appendChild(document.createElement('span'))
    label.textContent = cell.dataset.label
    label.style.cssText = `position: absolute; width: ${width}`
    const { height } = label.getBoundingClientRect()
    label.remove()
    return height > cell.offsetHeight ? [cell.dataset.label] : []
  })
}

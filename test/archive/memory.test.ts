import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PROJECT } from '../docs/pages.ts'

/** Writes a row of 200 MB into an object and reads it back, in a process of its own; prints its rows and peak memory. */
const SCRIPT = `
  import { once } from 'node:events'
  import { createReadStream, createWriteStream, mkdtempSync, rmSync } from 'node:fs'
  import { tmpdir } from 'node:os'
  import { join } from 'node:path'
  import { pipeline } from 'node:stream/promises'
  import { readObject } from './dist/archive/content/read-object.js'
  import { writeObjects } from './dist/archive/content/write-objects.js'

  const piece = Buffer.alloc(65_536, 'x')
  async function* rows() {
    yield Buffer.from('id,payload\\n1,"')
    for (let i = 0; i < 3200; i += 1) yield piece
    yield Buffer.from('"\\n2,\\n')
  }
  const directory = mkdtempSync(join(tmpdir(), 'ebb-memory-'))
  const file = join(directory, 'object')
  try {
    const store = { put: (_, body) => pipeline(body, createWriteStream(file)), get: async () => createReadStream(file) }
    const encoding = { format: 'csv', settings: {}, compression: 'none', encryption: null }
    const { rows: written, objects } = await writeObjects(store, rows(), {
      archive: 'a', table: { schema: 'public', name: 'events' }, encoding, partBytes: 300e6, signal: new AbortController().signal,
    })
    const content = await readObject(store, 'object', objects[0], encoding, [])
    await once(content.resume(), 'end')
    console.log(JSON.stringify({ rows: written, megabytes: process.resourceUsage().maxRSS / 1000 }))
  } finally {
    rmSync(directory, { recursive: true })
  }
`

test('a row of 200 MB is archived and read back in less than 150 MB of memory', () => {
  if (!existsSync(join(PROJECT, 'dist'))) throw new Error('it runs what has been built: npm run build')
  const printed = execFileSync('node', ['--input-type=module', '-e', SCRIPT], { cwd: PROJECT, encoding: 'utf8' })
  const { rows, megabytes } = JSON.parse(printed) as { rows: number; megabytes: number }
  expect(rows).toBe(2)
  expect(megabytes).toBeLessThan(150)
}, 60_000)

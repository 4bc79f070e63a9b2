import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PROJECT } from '../docs/pages.ts'

/** Writes rows into an object and reads it back, in a process of its own; prints their number and peak memory. */
const script = (rows: string, format: string) => `
  import { randomBytes } from 'node:crypto'
  import { once } from 'node:events'
  import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs'
  import { tmpdir } from 'node:os'
  import { join } from 'node:path'
  import { pipeline } from 'node:stream/promises'
  import { readObject } from './build/archive/content/read-object.js'
  import { writeObjects } from './build/archive/content/write-objects.js'

  async function* rows() {
    yield Buffer.from('id,payload\\n')
    ${rows}
  }
  // On Linux maxRSS begins with that of the process which started this one.
  const peak = () =>
    process.platform === 'linux' ? Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) : process.resourceUsage().maxRSS
  const directory = mkdtempSync(join(tmpdir(), 'ebb-memory-'))
  const file = join(directory, 'object')
  try {
    const store = { put: (_, body) => pipeline(body, createWriteStream(file)), get: async () => createReadStream(file) }
    const encoding = { format: '${format}', settings: { bytea_output: 'hex' }, compression: 'none', encryption: null }
    const { rows: written, objects } = await writeObjects(store, rows(), {
      archive: 'a', table: { schema: 'public', name: 'events' }, columns: [{ name: 'id', type: 'bigint' }, { name: 'payload', type: 'bytea' }], encoding, partBytes: 300e6, signal: new AbortController().signal,
    })
    const content = await readObject(store, 'object', objects[0], encoding, [])
    await once(content.resume(), 'end')
    console.log(JSON.stringify({ rows: written, megabytes: peak() / 1000 }))
  } finally {
    rmSync(directory, { recursive: true })
  }
`

function run(rows: string, format: string): { readonly rows: number; readonly megabytes: number } {
  if (!existsSync(join(PROJECT, 'build'))) throw new Error('it runs what has been built: npm run build')
  const printed = execFileSync('node', ['--input-type=module', '-e', script(rows, format)], {
    cwd: PROJECT,
    encoding: 'utf8',
  })
  return JSON.parse(printed) as { rows: number; megabytes: number }
}

test('a row of 200 MB is archived and read back in less than 150 MB of memory', () => {
  const { rows, megabytes } = run(
    `const piece = Buffer.alloc(65_536, 'x')
    yield Buffer.from('1,"')
    for (let i = 0; i < 3200; i += 1) yield piece
    yield Buffer.from('"\\n2,\\n')`,
    'csv',
  )
  expect(rows).toBe(2)
  expect(megabytes).toBeLessThan(150)
})

// As text of DuckDB, of PostgreSQL and as bytes, a bytea is in memory more often than a text.
test('bytea of 8 and 16 MB, after many small ones, are Parquet in less than 512 MB of memory', () => {
  const { rows, megabytes } = run(
    `const piece = Buffer.from(randomBytes(32_768).toString('hex'))
    for (let n = 0; n < 7000; n += 1) yield Buffer.from(n + ',\\\\x' + 'ab'.repeat(499) + '\\n')
    for (const pieces of [250, 500, 1, 250, 250, 250, 250, 250, 250]) {
      yield Buffer.from('1,\\\\x')
      for (let i = 0; i < pieces; i += 1) yield piece
      yield Buffer.from('\\n')
    }`,
    'parquet',
  )
  expect(rows).toBe(7009)
  expect(megabytes).toBeLessThan(512)
})

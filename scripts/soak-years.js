import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// Years of scheduled runs, each with another seed: `npm run soak:years -- 50` (20 otherwise), about 20 seconds each. One
// that fails prints its seed; `node scripts/check-year.js <folder> bin/ebb.js <seed>` repeats it.

const years = Number(process.argv[2] ?? 20)
if (!Number.isInteger(years) || years < 1) {
  console.error('usage: npm run soak:years -- <years>')
  process.exit(2)
}

const project = join(import.meta.dirname, '..')
let failed = 0
for (let year = 1; year <= years; year++) {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const folder = mkdtempSync(join(tmpdir(), 'ebb-year-'))
  const program = join(project, 'bin', 'ebb.js')
  const { status } = spawnSync(
    process.execPath,
    [join(project, 'scripts/check-year.js'), folder, program, String(seed)],
    {
      stdio: 'inherit',
    },
  )
  if (status !== 0) failed++
  if (status !== 0) console.error(`year ${year} failed with seed ${seed}`)
  rmSync(folder, { recursive: true })
}
process.exit(failed === 0 ? 0 : 1)

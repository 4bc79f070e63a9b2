// Archives awkward values of every type under several settings, and restores them: on each PostgreSQL version, and from
// the oldest to all others and back, in all formats.
//
//   node scripts/matrix-archive.js             all versions, all formats
//   node scripts/matrix-archive.js 14 18       these
//   EBB_MATRIX_FORMATS=parquet node scripts/matrix-archive.js

import { describeVersion, folderOf, run, VERSIONS } from './versions.js'

const given = process.argv.slice(2)
const majors = (given.length > 0 ? given : Object.keys(VERSIONS)).filter((major) => major in VERSIONS)
const [oldest, ...others] = majors.map((major) => [describeVersion(major), folderOf(major)])
const missing = [oldest, ...others].filter(([, folder]) => folder === null).map(([version]) => version)
const there = others.flatMap(([, folder]) => folder ?? [])

console.log([oldest, ...others].map(([version]) => version).join('\n'))
const environment = { EBB_TEST_PG: oldest[1], EBB_MATRIX_PG: there.join(':') }
const passed = oldest[1] !== null && run('npx', ['vitest', 'run', 'test/archive/round-trip.test.ts'], environment)
if (missing.length > 0) console.log(`Not to be had: ${missing.join(', ')}`)
process.exitCode = passed && missing.length === 0 ? 0 : 1

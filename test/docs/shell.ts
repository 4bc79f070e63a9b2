import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PROJECT } from './pages.ts'

export interface Ended {
  readonly printed: string
  readonly code: number
}

/** What a reader has installed to try the pages. */
const INSTALLED = ['pg', 'umzug', 'knex', 'kysely', 'node-pg-migrate', '.bin']

/** A folder in which a reader tries what a page shows: with the examples, `ebb` on the path, and `pg-ebb` installed. */
export class Shell {
  readonly folder: string
  /** What its commands find in the environment besides. */
  readonly env: Record<string, string> = {}
  private readonly url: string

  private constructor(folder: string, url: string) {
    this.folder = folder
    this.url = url
  }

  static async open(url: string): Promise<Shell> {
    const folder = await mkdtemp(join(tmpdir(), 'ebb-docs-'))
    await mkdir(join(folder, 'bin'))
    await writeFile(join(folder, 'bin', 'ebb'), `#!/bin/sh\nexec node '${join(PROJECT, 'bin', 'ebb.js')}' "$@"\n`)
    await chmod(join(folder, 'bin', 'ebb'), 0o755)
    await mkdir(join(folder, 'node_modules'))
    await symlink(PROJECT, join(folder, 'node_modules', 'pg-ebb'))
    for (const name of INSTALLED) await symlink(join(PROJECT, 'node_modules', name), join(folder, 'node_modules', name))
    await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
    await cp(join(PROJECT, 'docs', 'examples'), folder, { recursive: true })
    return new Shell(folder, url)
  }

  /** Runs a script, and tells all that it printed, on whichever stream, and its exit code. */
  async run(script: string): Promise<Ended> {
    return this.bash(`set -e\n${script}`)
  }

  /** Runs a module that stands on a page. */
  async runModule(text: string): Promise<Ended> {
    await writeFile(join(this.folder, 'page.js'), text)
    return this.bash('node page.js')
  }

  async close(): Promise<void> {
    await rm(this.folder, { recursive: true })
  }

  private async bash(script: string): Promise<Ended> {
    const child = spawn('bash', ['-c', `exec 2>&1\n${script}`], {
      cwd: this.folder,
      env: {
        ...process.env,
        PATH: `${join(this.folder, 'bin')}:${process.env.PATH}`,
        DATABASE_URL: this.url,
        ...this.env,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let printed = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
    const [code] = (await once(child, 'close')) as [number | null]
    return { printed, code: code ?? -1 }
  }
}

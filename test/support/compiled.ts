import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { bundle } from '../../rolldown.config.ts'
import { PROJECT } from '../docs/pages.ts'

// The sources as JavaScript, for tools in processes of their own: a build may be older than they are, and translating
// in each process costs more than most of them have to do.

const PROGRAMS = ['tool-process', 'ebb-main', 'machine-probe']

/** A folder with the tests' programs, made as the package is. */
export interface Compiled {
  readonly folder: string
  remove(): Promise<void>
}

/** Translates the sources as they are now. */
export async function compile(): Promise<Compiled> {
  const folder = await mkdtemp(join(PROJECT, '.ebb-test-')) // where it finds what `dist` finds
  const remove = () => rm(folder, { recursive: true, force: true })
  try {
    await writeBundle(Object.fromEntries(PROGRAMS.map((name) => [name, `test/support/${name}.ts`])), folder)
  } catch (error) {
    await remove()
    throw error
  }
  return { folder, remove }
}

/** Writes the programs of `input` into `folder`, as those of the package are written. */
export async function writeBundle(input: Readonly<Record<string, string>>, folder: string): Promise<void> {
  const { output, ...options } = bundle(input, folder)
  const written = await rolldown(options)
  try {
    await written.write(output)
  } finally {
    await written.close()
  }
}

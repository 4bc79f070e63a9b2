import { mkdtemp, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

// The sources as JavaScript, for tools in processes of their own: a build may be older than they are, and translating
// in each process costs more than most of them have to do.

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const PROGRAMS = ['tool-process', 'ebb-main', 'machine-probe'].map((name) => `test/support/${name}.ts`)

/** A folder with the sources as JavaScript, laid out like `dist`, and the tests' programs beside them. */
export interface Compiled {
  readonly folder: string
  remove(): Promise<void>
}

/** Translates the sources as they are now. */
export async function compile(): Promise<Compiled> {
  const folder = await mkdtemp(join(ROOT, '.ebb-test-')) // one level below the root, as `dist`: they find migrations/
  const remove = () => rm(folder, { recursive: true, force: true })
  // In one piece, which starts quicker than hundreds of files; but for the one that finds its surroundings from there.
  const output = {
    entryFileNames: 'test/support/[name].js',
    chunkFileNames: ({ name }: { name: string }) => (name === 'version' ? '[name].js' : 'all/[name].js'),
    codeSplitting: {
      groups: [
        { name: 'version', test: /\/src\/version\.ts$/, priority: 1 },
        { name: 'all', test: /\/src\//, priority: 0 },
      ],
    },
  }
  try {
    await build({
      root: ROOT,
      configFile: false,
      logLevel: 'warn',
      publicDir: false,
      build: {
        ssr: true,
        target: 'node20',
        minify: false,
        outDir: relative(ROOT, folder),
        rolldownOptions: { input: PROGRAMS, output },
      },
    })
  } catch (error) {
    await remove()
    throw error
  }
  return { folder, remove }
}

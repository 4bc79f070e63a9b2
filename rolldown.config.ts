import { fileURLToPath } from 'node:url'
import type { InputOptions, OutputOptions } from 'rolldown'

// Makes of the sources what is installed: few files, which start quicker than hundreds, divided so that each command
// loads what it needs. All lie beside each other, one level below the root, where they find package.json and
// migrations/. Packages are not part of them: they are imported as they are installed.

const ROOT = fileURLToPath(new URL('.', import.meta.url))

/** How the programs of `input`, by name, become files in `folder`. */
export function bundle(input: Readonly<Record<string, string>>, folder: string) {
  return {
    cwd: ROOT,
    input: { ...input },
    platform: 'node',
    external: /^[^./]/,
    transform: { target: 'node20' },
    output: { dir: folder, entryFileNames: '[name].js', chunkFileNames: '[name].js', cleanDir: true },
  } satisfies InputOptions & { output: OutputOptions }
}

/** What the package has: the library, the command line, and what that starts as a process of its own. */
export const SHIPPED = {
  index: 'src/index.ts',
  cli: 'src/cli/main.ts',
  'replace-file': 'src/cli/replace-file-program.ts',
}

export default bundle(SHIPPED, 'dist')

import { fileURLToPath } from 'node:url'
import type { ChunkingContext, InputOptions, OutputOptions } from 'rolldown'

// Makes of the sources what is installed: few files, which start quicker than hundreds, divided so that each command
// loads what it needs. All lie beside each other, one level below the root, where they find package.json and
// migrations/. Packages are not part of them: they are imported as they are installed.

const ROOT = fileURLToPath(new URL('.', import.meta.url))

/**
 * What is loaded together at each start becomes one file, for to find, read and link a file takes half a millisecond of processor
 * time: what the command line needs for its help, what every command needs that asks a database, and what those need that plan and carry
 * out. The first that has a source takes it. The rest is divided by which commands need it.
 */
const TOGETHER = [
  { name: 'start', neededBy: ['cli/main'] },
  { name: 'database', neededBy: ['cli/commands/status'] },
  {
    name: 'tables',
    neededBy: ['partition', 'rebuild', 'rotate', 'purge', 'split'].map((command) => `cli/commands/${command}`),
  },
]

/** How the programs of `input`, by name, become files in `folder`. */
export function bundle(input: Readonly<Record<string, string>>, folder: string) {
  return {
    cwd: ROOT,
    input: { ...input },
    platform: 'node',
    external: /^[^./]/,
    transform: { target: 'node20' },
    output: {
      dir: folder,
      entryFileNames: '[name].js',
      chunkFileNames: '[name].js',
      cleanDir: true,
      codeSplitting: { groups: TOGETHER.map(groupOf) },
    },
  } satisfies InputOptions & { output: OutputOptions }
}

/** The sources that all of these import, directly or not. */
function groupOf({ name, neededBy }: (typeof TOGETHER)[number], position: number) {
  let needed: readonly ReadonlySet<string>[] | undefined
  return {
    debugName: name,
    priority: TOGETHER.length - position,
    name: (id: string, context: ChunkingContext) => {
      needed ??= neededBy.map((source) => importedBy(`${ROOT}src/${source}.ts`, context))
      return needed.every((sources) => sources.has(id)) ? name : null
    },
  }
}

function importedBy(id: string, context: ChunkingContext, found = new Set<string>()): ReadonlySet<string> {
  if (found.has(id)) return found
  found.add(id)
  for (const imported of context.getModuleInfo(id)?.importedIds ?? []) importedBy(imported, context, found)
  return found
}

/** What the package has: the library, the command line, and what that starts as a process of its own. */
export const SHIPPED = {
  index: 'src/index.ts',
  cli: 'src/cli/main.ts',
  'replace-file': 'src/cli/replace-file-program.ts',
}

export default bundle(SHIPPED, 'dist')

import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { register } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

// `node --import test/support/typescript.js some.ts` runs TypeScript on every Node that the project
// supports, straight from the sources: a build may be older than they are. What has been translated
// once is kept in the temporary folder, for the compiler takes longer to load than most tests to run.

const CACHE = join(tmpdir(), 'ebb-test-typescript')

if (!process.env.EBB_TEST_HOOKS) {
  process.env.EBB_TEST_HOOKS = '1'
  register(import.meta.url)
}

/** A module hook of Node: takes the types out of what is loaded. */
export async function load(url, context, next) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return next(url, context)
  const source = await translated(await readFile(fileURLToPath(url), 'utf8'))
  return { format: 'module', shortCircuit: true, source }
}

async function translated(source) {
  const place = join(CACHE, `${createHash('sha256').update(source).digest('hex')}.js`)
  return readFile(place, 'utf8').catch(async () => {
    const { default: ts } = await import('typescript')
    const compilerOptions = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true }
    const { outputText } = ts.transpileModule(source, { compilerOptions })
    await mkdir(CACHE, { recursive: true })
    await writeFile(`${place}.${process.pid}`, outputText)
    await rename(`${place}.${process.pid}`, place) // whole or not at all, whoever else is at it
    return outputText
  })
}

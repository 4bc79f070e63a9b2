import type { Context } from '../../src/cli/context.ts'
import { run } from '../../src/cli/run.ts'

/** What a command line has printed and returned. */
export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a command line as the process would, in this process. */
export async function ebb(args: readonly string[], given: Partial<Context> = {}): Promise<Ran> {
  const printed = { out: '', err: '' }
  const output = (to: 'out' | 'err') => ({
    write: (text: string) => void (printed[to] += text),
    isTTY: false,
    columns: 100,
  })
  const context: Context = {
    out: output('out'),
    err: output('err'),
    env: {},
    signal: new AbortController().signal,
    ...given,
  }
  const code = await run(args, context)
  return { code, ...printed }
}

/** The objects of JSON output. */
export function objects(out: string): Record<string, unknown>[] {
  return out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

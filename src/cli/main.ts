import type { ExitCode } from './exit-codes.ts'
import { processContext, type ProcessParts } from './context.ts'
import { run } from './run.ts'

/** The command line of this process, as bin/ebb.js starts it. Returns its exit code. */
export function main(parts: ProcessParts & Pick<NodeJS.Process, 'argv'>, signal: AbortSignal): Promise<ExitCode> {
  return run(parts.argv.slice(2), processContext(parts, signal))
}

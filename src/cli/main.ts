import type { ExitCode } from './exit-codes.ts'
import { processContext, type ProcessParts } from './context.ts'
import { logOf } from './log.ts'
import { run } from './run.ts'

const STOPPING = 'stopping after the current statement… (once more to stop at once)'

/** The command line of this process, as bin/ebb.js starts it. Returns its exit code. */
export function main(parts: ProcessParts & Pick<NodeJS.Process, 'argv'>, signal: AbortSignal): Promise<ExitCode> {
  const args = parts.argv.slice(2)
  const context = processContext(parts, signal)
  signal.addEventListener('abort', () => logOf(args, context).say(STOPPING))
  return run(args, context)
}

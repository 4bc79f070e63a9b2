import type { Output } from '../report/output.ts'

/** Everything the command line touches outside of itself. A test makes its own. */
export interface Context {
  /** Results: plans, reports, JSON. */
  readonly out: Output
  /** What people want to see meanwhile: progress, errors. */
  readonly err: Output
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborted when the user wants it to stop. */
  readonly signal: AbortSignal
}

/** What of the process a context is made of. */
export interface ProcessParts {
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly env: NodeJS.ProcessEnv
}

export function processContext({ stdout, stderr, env }: ProcessParts, signal: AbortSignal): Context {
  return { out: outputOf(stdout), err: outputOf(stderr), env, signal }
}

/** Where the width of a terminal cannot be learnt. */
const USUAL_COLUMNS = 80

function outputOf(stream: NodeJS.WriteStream): Output {
  return {
    write: (text) => stream.write(text),
    isTTY: stream.isTTY === true,
    get columns() {
      return stream.columns || USUAL_COLUMNS
    },
  }
}

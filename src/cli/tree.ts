import type { Command } from 'commander'
import { logOf } from './log.ts'
import { program } from './run.ts'

const USUAL_COLUMNS = 100

/** All commands with all that their help says, to be read and not run: what describes the command line is made of them. */
export function commandTree(): Promise<Command> {
  const silent = { write: () => {}, isTTY: false, columns: USUAL_COLUMNS }
  const context = { out: silent, err: silent, env: {}, signal: new AbortController().signal }
  return program({ context, log: logOf([], context), args: [], end: () => {}, atEnd: () => {} }, () => true)
}

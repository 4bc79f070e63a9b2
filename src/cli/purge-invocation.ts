import type { Target } from '../db/session.ts'
import type { PurgeOptions } from '../engine/commands/purge.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import type { Invocation } from './command.ts'
import type { Reporter } from './reporter.ts'

/** A purge on the command line, whatever rows it means. */
export interface PurgeInvocation {
  readonly invocation: Invocation
  readonly reporter: Reporter
  readonly target: Target
  readonly table: WrittenName
  readonly execute: boolean
  readonly engine: PurgeOptions
}

import type { Command } from 'commander'
import type { Invocation } from './command.ts'

/** A command in the list that `ebb --help` prints; the rest of it is loaded when it is asked for. */
export interface Listed {
  readonly name: string
  /** Its arguments, as the help shows them. */
  readonly takes: string
  readonly summary: string
  load(): Promise<(invocation: Invocation) => Command>
}

/** In the order in which a user meets them. */
export const COMMANDS: readonly Listed[] = [
  {
    name: 'inspect',
    takes: '<tables...>',
    summary: 'a table, its size, its dependent objects, and the risks',
    load: async () => (await import('./commands/inspect.ts')).inspectCommand,
  },
  {
    name: 'advise',
    takes: '<table>',
    summary: 'partition, rebuild or purge: what each would cost, and which to take',
    load: async () => (await import('./commands/advise.ts')).adviseCommand,
  },
  {
    name: 'partition',
    takes: '<tables...>',
    summary: 'partition a table online',
    load: async () => (await import('./commands/partition.ts')).partitionCommand,
  },
  {
    name: 'split',
    takes: '<table> [partition]',
    summary: 'split the history, or another wide partition, leaving expired rows behind',
    load: async () => (await import('./commands/split.ts')).splitCommand,
  },
  {
    name: 'rebuild',
    takes: '<tables...>',
    summary: 'rebuild a table with the rows to keep, online',
    load: async () => (await import('./commands/rebuild.ts')).rebuildCommand,
  },
  {
    name: 'rotate',
    takes: '[tables...]',
    summary: 'create partitions ahead, retire expired ones (retention)',
    load: async () => (await import('./commands/rotate.ts')).rotateCommand,
  },
  {
    name: 'reattach',
    takes: '<partition>',
    summary: 'attach a partition again that rotate has detached',
    load: async () => (await import('./commands/reattach.ts')).reattachCommand,
  },
  {
    name: 'init',
    takes: '',
    summary: 'write a first ebb.config.yaml, from what is in the database',
    load: async () => (await import('./commands/init.ts')).initCommand,
  },
  {
    name: 'run',
    takes: '',
    summary: 'do what is due according to ebb.config.yaml',
    load: async () => (await import('./commands/run.ts')).runCommand,
  },
  {
    name: 'check',
    takes: '',
    summary: 'what is due and what is wrong, for monitors',
    load: async () => (await import('./commands/check.ts')).checkCommand,
  },
  {
    name: 'purge',
    takes: '[table]',
    summary: 'delete rows in small batches, where partitions do not fit',
    load: async () => (await import('./commands/purge.ts')).purgeCommand,
  },
  {
    name: 'candidates',
    takes: '[set]',
    summary: 'list, export, approve and drop candidate sets',
    load: async () => (await import('./commands/candidates.ts')).candidatesCommand,
  },
  {
    name: 'mark',
    takes: '<table>',
    summary: 'mark rows as deleted, in small batches (soft delete)',
    load: async () => (await import('./commands/mark.ts')).markCommand,
  },
  {
    name: 'view',
    takes: '<table>',
    summary: 'maintain a view that hides marked or expired rows',
    load: async () => (await import('./commands/view.ts')).viewCommand,
  },
  {
    name: 'archive',
    takes: '<table>',
    summary: 'store rows in a directory or a bucket, with a receipt; list and verify archives',
    load: async () => (await import('./commands/archive.ts')).archiveCommand,
  },
  {
    name: 'restore',
    takes: '<receipt>',
    summary: 'put archived rows back into a table',
    load: async () => (await import('./commands/restore.ts')).restoreCommand,
  },
  {
    name: 'status',
    takes: '',
    summary: 'unfinished and recent runs, retired tables, and tables managed by rotate',
    load: async () => (await import('./commands/status.ts')).statusCommand,
  },
  {
    name: 'report',
    takes: '',
    summary: 'an HTML page: tables as timelines, what is due next, how runs went',
    load: async () => (await import('./commands/report.ts')).reportCommand,
  },
  {
    name: 'resume',
    takes: '[run]',
    summary: 'resume an unfinished run',
    load: async () => (await import('./commands/resume.ts')).resumeCommand,
  },
  {
    name: 'abandon',
    takes: '[run]',
    summary: 'undo an unfinished run',
    load: async () => (await import('./commands/abandon.ts')).abandonCommand,
  },
  {
    name: 'rollback',
    takes: '[run]',
    summary: 'undo a finished run',
    load: async () => (await import('./commands/rollback.ts')).rollbackCommand,
  },
  {
    name: 'retire',
    takes: '[run]',
    summary: 'drop a retired table',
    load: async () => (await import('./commands/retire.ts')).retireCommand,
  },
  {
    name: 'migrate',
    takes: 'up|down|status|create',
    summary: 'retention as migration files, for deploy pipelines',
    load: async () => (await import('./commands/migrate.ts')).migrateCommand,
  },
  {
    name: 'completion',
    takes: '<shell>',
    summary: 'a script that lets bash, zsh or fish complete the command line',
    load: async () => (await import('./commands/completion.ts')).completionCommand,
  },
  {
    name: 'demo',
    takes: '',
    summary: 'a demonstration on a temporary PostgreSQL server, with a running application',
    load: async () => (await import('./commands/demo.ts')).demoCommand,
  },
]

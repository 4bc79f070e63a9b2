import { Command } from 'commander'
import { createMigration } from '../../migrate/create.ts'
import { describeMigrated, describeMigrations, describePending, describeUndoing } from '../../migrate/describe.ts'
import { down, lastOf, migrationStatus, up } from '../../migrate/migrate.ts'
import { MIGRATE, MIGRATE_CREATE, MIGRATE_STATUS } from '../../requests/migrate.ts'
import { toText } from '../../text/comment.ts'
import { commandLine, executing, localCommandLine, type Invocation } from '../command.ts'

const upCommand = commandLine(
  MIGRATE,
  {
    description:
      'Runs the pending migrations in order, after finishing one that was interrupted. Without --execute they are only listed: what a JavaScript file does cannot be known without running it.',
  },
  async ({ execute, target, engine, reporter, invocation }, request) => {
    if (execute) {
      const result = await up(target, request, engine)
      return reporter.show('result', result, () => toText(describeMigrated(result)))
    }
    const { migrations } = await migrationStatus(target, request, engine)
    const pending = migrations.filter(({ state }) => state === 'pending' || state === 'unfinished')
    reporter.show('migrations', pending, () => toText(describePending(pending, executing(invocation))))
  },
)

const downCommand = commandLine(
  MIGRATE,
  { description: 'Undoes the last migration, with the function down that it exports, or its .down.sql file.' },
  async ({ execute, target, engine, reporter, invocation }, request) => {
    if (execute) {
      const result = await down(target, request, engine)
      return reporter.show('result', result, () => toText(describeMigrated(result)))
    }
    const last = lastOf((await migrationStatus(target, request, engine)).migrations)
    reporter.show('migration', last, () => toText(describeUndoing(last, executing(invocation))))
  },
)

const statusCommand = commandLine(
  MIGRATE_STATUS,
  { description: 'Lists all migrations: applied, pending, and those that were interrupted, with what they have done.' },
  async ({ target, engine, reporter }, request) => {
    const report = await migrationStatus(target, request, engine)
    reporter.show('migrations', report, () => toText(describeMigrations(report)))
  },
)

const createCommand = localCommandLine(
  MIGRATE_CREATE,
  { description: 'Writes a file from a template; the time is part of its name, so that it comes last.' },
  async ({ reporter }, request) => {
    const files = await createMigration(request, new Date())
    reporter.show('created', files, () => toText(files.map((file) => `wrote ${file}`)))
  },
)

/** `ebb migrate`: retention as migration files. */
export function migrateCommand(invocation: Invocation): Command {
  return new Command()
    .description(
      'Retention as migrations: files that partition, rebuild or purge, each of them run once in a database.',
    )
    .usage('up | down | status | create <name> [options]')
    .enablePositionalOptions()
    .helpCommand(false)
    .addCommand(upCommand(invocation).name('up').summary('run the pending migrations'))
    .addCommand(downCommand(invocation).name('down').summary('undo the last migration'))
    .addCommand(statusCommand(invocation).name('status').summary('how far each migration is'))
    .addCommand(createCommand(invocation).name('create').summary('write a migration from a template'))
}

import { resolve } from 'node:path'
import { DATABASE, EXECUTE, LOCKS } from './common.ts'
import { defaulted, required } from './option.ts'
import { oneOf, text } from './parsers.ts'
import { spec } from './spec.ts'
import { UsageError } from '../errors.ts'

const FOLDER = {
  folder: defaulted(
    '--folder <path>',
    'the folder with the migrations',
    (value) => resolve(text(value)),
    './ebb-migrations',
    {
      shown: 'ebb-migrations',
    },
  ),
}

/** Of `ebb migrate up` and `down`. */
export const MIGRATE = spec({
  options: {
    ...FOLDER,
    ...EXECUTE,
    lockTimeout: { ...LOCKS.lockTimeout, help: 'lock_timeout of SQL files: how long others may queue behind them' },
    deadline: { ...LOCKS.deadline, help: 'how long to wait for another deployment, and for the locks of SQL files' },
    ...DATABASE,
  },
  request: ({ folder }) => ({ folder }),
})

export const MIGRATE_STATUS = spec({ options: { ...FOLDER, ...DATABASE }, request: ({ folder }) => ({ folder }) })

/** A file to be written. */
export interface CreateRequest {
  readonly folder: string
  readonly name: string
  readonly type: 'js' | 'ts' | 'sql'
}

export const MIGRATE_CREATE = spec({
  options: {
    name: required('<name>', 'what it does: partition-events', fileName),
    ...FOLDER,
    type: defaulted('--type <ending>', 'js, ts or sql', oneOf('a type', 'js', 'ts', 'sql'), 'js'),
    json: DATABASE.json,
    logFormat: DATABASE.logFormat,
  },
  request: ({ name, folder, type }): CreateRequest => ({ name, folder, type }),
})

function fileName(value: unknown): string {
  const name = text(value)
  if (/^[a-z0-9][a-z0-9_-]*$/i.test(name)) return name
  throw new UsageError(`'${name}' is not a name for a file`, 'Use letters, digits, - and _: partition-events.')
}

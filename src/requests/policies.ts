import { UsageError } from '../errors.ts'
import { COMMON, DATABASE, EXECUTE, LOCKS, AT_END, TABLE } from './common.ts'
import { HOOKS } from './hooks.ts'
import { METRICS_PORT } from './metrics-port.ts'
import { defaulted, keysOf, option, required, withDefault, type Option } from './option.ts'
import { list, milliseconds, name, oneOf, tableName, text } from './parsers.ts'
import { spec } from './spec.ts'

// What is done with a config, or with one policy.

/** Of a program that puts one policy in force. */
export const APPLY_POLICY = spec({
  options: { table: TABLE, ...EXECUTE, ...COMMON },
  request: ({ table }) => table,
})

/** A config is given otherwise to a program. */
const CONFIG_FILE = {
  config: option(
    '--config <file>',
    'the config (default: ebb.config.yaml, .json, .js, .mjs or .ts, in this folder)',
    text,
    {
      property: null,
    },
  ),
}

/** A config may say itself where the journal is. */
const JOURNAL_AS_CONFIGURED = {
  journalSchema: withDefault(
    option('--journal-schema <name>', 'the schema of Ebb’s journal (default: as the config says, else ebb)', name),
    undefined,
  ),
}

const CONFIG = {
  ...CONFIG_FILE,
  only: withDefault(
    option('--only <table>', 'only the policy of this table; may be repeated', list(tableName), { repeated: true }),
    [],
  ),
  ...AT_END,
  ...COMMON,
  ...JOURNAL_AS_CONFIGURED,
}

export const RUN = spec({
  options: {
    ...CONFIG,
    ...METRICS_PORT,
    maxDuration: option('--max-duration <time>', 'end after this time, resumable: seconds, or 2 hours', milliseconds, {
      property: 'maxDurationMs',
    }),
    ...LOCKS,
    lockTimeout: asConfigured(LOCKS.lockTimeout),
    deadline: asConfigured(LOCKS.deadline),
    ...EXECUTE,
  },
  request: ({ only, maxDuration, lockTimeout: lockTimeoutMs, deadline: deadlineMs }) => ({
    only,
    mostMs: maxDuration,
    locks: {
      ...(lockTimeoutMs === undefined ? {} : { lockTimeoutMs }),
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    },
  }),
})

/** One that policies have, too: where it is not given, each has its own. */
function asConfigured<T>({ shown = '', help, ...one }: Option<T>): Option<T | undefined> {
  return withDefault({ ...one, help: `${help} (default: as the config says, else ${shown})` }, undefined)
}

export const CHECK = spec({
  options: {
    ...CONFIG,
    format: defaulted(
      '--format <how>',
      'text, json, prometheus (for its textfile collector) or nagios (with its exit codes)',
      oneOf('a format', 'text', 'json', 'prometheus', 'nagios'),
      'text',
      { property: null },
    ),
  },
  check(given, { format }) {
    for (const hook of keysOf(HOOKS))
      if (format === 'nagios' && given.has(hook))
        given.refuse(hook, `cannot be used with ${given.spell('format', 'nagios')}`, 'Omit it: the monitor tells.')
  },
  request: ({ only, format }) => ({ only, format }),
})

/** A page to look at, for the command line alone. */
export const REPORT = spec({
  options: {
    html: required('--html <file>', 'the file to write, with everything in it; one that is there is replaced', text, {
      property: null,
      example: ['<file>'],
    }),
    ...CONFIG_FILE,
    ...DATABASE,
    ...JOURNAL_AS_CONFIGURED,
  },
  request: ({ html }) => html,
})

/** A first config, for the command line alone. */
export const INIT = spec({
  options: {
    config: defaulted('--config <file>', 'the file to write, or - for standard output', yamlFile, 'ebb.config.yaml', {
      property: null,
    }),
    ...COMMON,
  },
  request: ({ config }) => (config === '-' ? null : config),
})

function yamlFile(value: unknown): string {
  const file = text(value)
  if (file === '-' || /\.ya?ml$/.test(file)) return file
  throw new UsageError(
    `${file} is not YAML by its name`,
    'Name a file that ends with .yaml, or pass - for standard output.',
  )
}

import { readFileSync } from 'node:fs'
import { cwd } from 'node:process'
import { reasonOf } from '../db/sqlstate.ts'
import { UsageError } from '../errors.ts'
import { objectUri, parseObjectUri, uriOf } from '../plan/archive/destination.ts'
import { parseIdentities } from '../plan/archive/identity.ts'
import { archiveUri } from './archive-options.ts'
import { DATABASE } from './common.ts'
import { option, required, withDefault } from './option.ts'
import { list, text } from './parsers.ts'
import { spec } from './spec.ts'

// Archives that are there already. They are looked at without a database.

const { json, logFormat } = DATABASE

/** Identities of age, from files: whatever stands on a command line is seen by others. */
export const IDENTITIES = {
  identityFile: withDefault(
    option(
      '--identity-file <path>',
      'an age key file, for decryption; may be repeated. Its contents may be in AGE_IDENTITY instead',
      (value) => list(text)(value).flatMap(readIdentities),
      { repeated: true, property: null },
    ),
    [],
  ),
}

export const VERIFY_ARCHIVE = spec({
  options: {
    receipt: required('<receipt>', 'the URI or path of a receipt.json', receiptPlace),
    ...IDENTITIES,
    json,
    logFormat,
  },
  request: ({ receipt }) => receipt,
})

export const LIST_ARCHIVES = spec({
  options: {
    archive: required('<archive>', 'a directory, file:///dir or s3://bucket/prefix', archiveUri, { property: 'uri' }),
    json,
    logFormat,
  },
  request: ({ archive }) => archive,
})

function receiptPlace(value: unknown) {
  const { destination, name } = parseObjectUri(text(value), cwd())
  return { folder: uriOf(destination), name, uri: objectUri(destination, name) }
}

function readIdentities(path: string): readonly string[] {
  if (/^AGE-SECRET-KEY-/i.test(path))
    throw new UsageError(
      'an identity on the command line is seen by others, and stays in the history of the shell',
      'Pass the name of a file, or set AGE_IDENTITY.',
    )
  return parseIdentities(readKeyFile(path), path)
}

function readKeyFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new UsageError(`the key file ${path} cannot be read: ${reasonOf(error)}`, 'Pass a file of age-keygen.', error)
  }
}

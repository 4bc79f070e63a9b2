import { text } from 'node:stream/consumers'
import { reasonOf } from '../db/sqlstate.ts'
import { replaceFile } from './replace-file.ts'

// A program of its own: replaces the file of its first argument, with the rights of its second (octal), by its standard input.
// A process waits, when it ends, for file operations that it has begun, and those on a file system that does not answer take
// for ever: so whoever cannot wait that long has this do it (bounded-program.ts).

const [file = '', mode = ''] = process.argv.slice(2)
try {
  await replaceFile(file, await text(process.stdin), Number.parseInt(mode, 8))
} catch (error) {
  process.stderr.write(reasonOf(error))
  process.exitCode = 1
}

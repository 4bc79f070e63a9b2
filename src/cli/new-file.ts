import { writeFile } from 'node:fs/promises'
import { UsageError } from '../errors.ts'

/** Writes a new file; an existing one is not overwritten. @throws {UsageError} */
export async function writeNewFile(file: string, content: string, mode = 0o666): Promise<void> {
  await writeFile(file, content, { flag: 'wx', mode }).catch((error: unknown) => refuseFile('write', file, error))
}

/** @throws {UsageError} where it is the file that is wrong */
export function refuseFile(verb: string, file: string, error: unknown): never {
  const { code, syscall, message } = error as NodeJS.ErrnoException
  if (syscall === undefined) throw error
  throw new UsageError(
    code === 'EEXIST' ? `${file} already exists` : `cannot ${verb} ${file}: ${message}`,
    'Pass another file.',
    error,
  )
}

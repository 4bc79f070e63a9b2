import { randomUUID } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'

/**
 * Replaces a file, or makes it, with these rights. Whole or not at all: who reads it meanwhile, or after a crash, finds the
 * old content or the new one.
 */
export async function replaceFile(file: string, content: string, mode: number): Promise<void> {
  // Its name does not end like that of the file: who collects such files would read it.
  const temporary = `${file}.${randomUUID()}.tmp`
  try {
    const handle = await open(temporary, 'wx', mode)
    try {
      await handle.chmod(mode)
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw error
  }
}

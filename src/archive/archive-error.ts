import { EbbError, type ErrorKind } from '../errors.ts'

/** True of every archive that is written, whatever happens to its store. */
const NOTHING_UNPROVEN = 'No row is removed before its archive has been read back.'

/** Something is wrong with what archives are written to and read from. */
export class ArchiveError extends EbbError {
  constructor(message: string, next: string, kind: ErrorKind = 'failed', cause?: unknown) {
    super(message, { state: NOTHING_UNPROVEN, next }, kind, cause)
  }
}

/** Does something for which archives are only read: how things `state` when one cannot be, is another matter then. */
export async function whileReading<T>(state: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error
    throw new EbbError(error.message, { ...error.advice, state }, error.kind, error)
  }
}

import { COPY_COMMANDS } from '../copy/run.ts'

/** Commands whose outcome can be taken back. */
export const REVERSIBLE = ['partition', ...COPY_COMMANDS]

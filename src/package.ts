import { readFileSync } from 'node:fs'

/** Of this package; a folder below it has what is running, be it the sources or what was built of them. */
export const PACKAGE = new URL('../', import.meta.url)

/** As in its package.json. */
export const VERSION = (JSON.parse(readFileSync(new URL('package.json', PACKAGE), 'utf8')) as { version: string })
  .version

import { access, constants, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { placeOf } from '../../db/session.ts'
import { UsageError } from '../../errors.ts'
import { VERSION } from '../../package.ts'
import { readConfig, readConfigIfAny } from '../../policy/read-config.ts'
import { readReport } from '../../policy/read-report.ts'
import { reportPage } from '../../report/page/page.ts'
import { REPORT } from '../../requests/policies.ts'
import { toText } from '../../text/comment.ts'
import { showBytes } from '../../text/units.ts'
import { commandLine } from '../command.ts'
import { refuseFile } from '../new-file.ts'
import { replaceFile } from '../replace-file.ts'

/** `ebb report`: a page to look at. */
export const reportCommand = commandLine(
  REPORT,
  {
    usage: '--html <file> [options]',
    description:
      'Writes one self-contained HTML page: what needs attention, what is due next, each partitioned table as a timeline, and how runs went. It only reads, also from a standby; with a config it includes the findings of ebb check.',
  },
  async ({ target, engine, reporter, invocation }, html, { config: file, journalSchema }) => {
    // Before anything is read: a report takes seconds.
    const place = await placeFor(html)
    const { env } = invocation.context
    const config = file === null ? await readConfigIfAny(env) : await readConfig(file, env)
    const schema = journalSchema ?? config?.journalSchema ?? engine.journalSchema
    const data = await readReport(target, config, { ...engine, journalSchema: schema })
    const page = reportPage({ ...data, place: placeOf(target), version: VERSION })
    await replaceFile(place.file, page, place.mode).catch((error: unknown) => refuseFile('write', html, error))
    const bytes = Buffer.byteLength(page)
    reporter.show('report', { file: html, bytes }, () => toText([`Wrote ${html} (${showBytes(bytes)}).`]))
  },
)

/** Names of tables and sizes are not for everybody. */
const FOR_OWNER = 0o600
const RIGHTS = 0o777

/** Where the page goes, and with which rights: a file that is there keeps its own. @throws {UsageError} */
async function placeFor(file: string): Promise<{ readonly file: string; readonly mode: number }> {
  const there = await stat(file).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    return refuseFile('write', file, error)
  })
  if (there !== null && !there.isFile())
    throw new UsageError(`${file} is not a file that could be replaced`, 'Pass another file.')
  // What a link leads to is replaced, not the link.
  const path = there === null ? file : await realpath(file)
  await access(dirname(path), constants.W_OK).catch((error: unknown) => refuseFile('write', file, error))
  return { file: path, mode: there === null ? FOR_OWNER : there.mode & RIGHTS }
}

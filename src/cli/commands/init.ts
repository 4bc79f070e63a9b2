import { UsageError } from '../../errors.ts'
import { assertNoConfig } from '../../policy/config-file.ts'
import { findAppendOnly } from '../../policy/find-append-only.ts'
import { firstConfig } from '../../policy/first-config.ts'
import { INIT } from '../../requests/policies.ts'
import { toText } from '../../text/comment.ts'
import { shellWord } from '../../text/shell-word.ts'
import { commandLine } from '../command.ts'
import { writeNewFile } from '../new-file.ts'
import { plural } from '../../text/units.ts'

/** `ebb init`: a first config, from what is in the database. */
export const initCommand = commandLine(
  INIT,
  {
    description:
      'Writes a first config: the largest tables into which rows are only inserted, with the keys by which they are or could be partitioned. What is kept is left for you to fill in. Nothing is changed in the database, and no file is overwritten.',
  },
  async ({ target, engine, reporter }, file) => {
    if (file !== null) await assertNoConfig(file)
    const tables = await findAppendOnly(target, engine)
    if (tables.length === 0)
      throw new UsageError(
        'there is no table that rows are only inserted into',
        'Write a config by hand: https://github.com/pg-ebb/pg-ebb/blob/main/docs/policies.md.',
      )
    const text = toText(firstConfig(tables))
    if (file !== null) await writeNewFile(file, text)
    reporter.show('config', { file, tables, text }, () =>
      file === null
        ? text
        : toText([
            `Wrote ${file}, with ${plural(tables.length, 'table')}.`,
            `Fill in what is empty in it, then: ebb check --config ${shellWord(file)}`,
          ]),
    )
  },
)

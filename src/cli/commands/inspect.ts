import { withSharedSessions } from '../../db/shared-sessions.ts'
import { findChosen } from '../../engine/choose-tables.ts'
import { inspect } from '../../engine/commands/inspect.ts'
import { outcomeOfEach } from '../../engine/many-tables.ts'
import { describeInspection } from '../../report/inspection.ts'
import { describeNotDone, tableForPrograms } from '../../report/several-tables.ts'
import { INSPECT } from '../../requests/inspect.ts'
import { forSeveralTables, onlyTable } from '../../requests/several-tables.ts'
import type { TableChoice } from '../../sql/table-pattern.ts'
import { toText } from '../../text/comment.ts'
import { commandLine, type Asked } from '../command.ts'
import { exitCodeOfTables } from '../exit-codes.ts'

/** `ebb inspect`: what a table is and what could go wrong with it. */
export const inspectCommand = commandLine(
  forSeveralTables(INSPECT),
  {
    description:
      'Shows a table without changing anything: its size, candidate keys, dependent objects, risks, and what to do next.',
  },
  async (asked, _, { tables, showValues }) => {
    const { target, engine, reporter } = asked
    const table = onlyTable(tables)
    if (table === null) return inspectEach(asked, tables, showValues)
    const inspection = await inspect(target, table, engine)
    reporter.show('inspection', inspection, () => toText(describeInspection(inspection)))
  },
)

async function inspectEach(
  { invocation, target, engine, reporter }: Asked,
  choices: readonly TableChoice[],
  showValues: boolean,
): Promise<void> {
  const outcomes = await withSharedSessions(target, async (shared) => {
    const { tables } = await findChosen(shared, choices, engine)
    return outcomeOfEach(tables, engine.signal, async (table) => {
      return { table, outcome: 'done', result: await inspect(shared, table, engine) }
    })
  })
  const value = outcomes.map((one) => tableForPrograms(one, showValues, (inspection) => ({ inspection })))
  reporter.show('inspections', value, () =>
    toText([
      ...outcomes.flatMap((one) => (one.outcome === 'done' ? [...describeInspection(one.result), ''] : [])),
      ...describeNotDone('inspect', outcomes, showValues),
    ]),
  )
  invocation.end(exitCodeOfTables(outcomes))
}

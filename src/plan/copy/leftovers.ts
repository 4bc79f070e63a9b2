import { display, type TableName } from '../../sql/names.ts'
import { showBytes } from '../../text/units.ts'
import type { OnlineStep, Plan, ShortLockStep } from '../language/step.ts'
import { online } from '../table/shadow.ts'
import { captureObjects, dropHelpers } from './capture.ts'
import { plan, release } from './undo.ts'

/** A change capture of no run that the journal knows: it was dropped, or restored without its rows. */
export interface Leftover {
  /** The common beginning of the names of log, function and triggers. */
  readonly name: string
  /** The table whose changes it captures, under its current name; null where its triggers are gone. */
  readonly table: TableName | null
  readonly logBytes: number
}

/** Removes such captures; tables that a copy has left beside are people's to judge. */
export function planLeftovers(schema: string, leftovers: readonly Leftover[]): Plan {
  const place = { schema, name: 'leftovers' }
  const evidence = [
    ...leftovers.map((one) => describeLeftover(schema, one)),
    'the tables themselves are left alone: the journal that knew which of them is a copy, or a retired table, has lost its rows',
  ]
  const steps = leftovers.map((one) => removal(schema, one))
  return plan('remove change captures of no known run', leftovers[0]?.table ?? place, evidence, [], steps)
}

/** A line about one. */
export function describeLeftover(schema: string, { name, table, logBytes }: Leftover): string {
  const log = `${display({ schema, name: `${name}_log` })}, ${showBytes(logBytes)}`
  return table === null
    ? `the log ${log}, is of no known run, and nothing writes to it`
    : `changes of ${display(table)} are captured in ${log}, for no known run`
}

function removal(schema: string, { name, table }: Leftover): ShortLockStep | OnlineStep {
  const capture = captureObjects(table ?? { schema, name }, schema, name)
  return table === null
    ? online(`leftover:${name}`, `drop ${name}`, 'nothing needs it', 'milliseconds', dropHelpers(capture))
    : release(`leftover:${name}`, capture)
}

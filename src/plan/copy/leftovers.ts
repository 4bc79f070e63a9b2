import { display, type TableName } from '../../sql/names.ts'
import { showBytes } from '../../text/units.ts'
import type { DropIndexStep, OnlineStep, Plan, ShortLockStep } from '../language/step.ts'
import { dropGuard } from '../partition/abandon.ts'
import { dropHelper } from '../references/helper-index.ts'
import { online } from '../table/shadow.ts'
import { captureObjects, dropHelpers } from './capture.ts'
import { plan, release } from './release.ts'

/** What a run has left behind that the journal does not know: its tables were dropped, or restored without their rows. */
export interface Leftover {
  readonly kind: 'change capture' | 'bound' | 'helper index'
  /** The common beginning of the names of log, function and triggers; or the name of the CHECK, or the index. */
  readonly name: string
  /** The table whose changes it captures, whose rows it rejects, or that it is an index of, under its current name; null where its triggers are gone. */
  readonly table: TableName | null
  /** Of a capture. */
  readonly logBytes: number
}

/** Removes them; tables that a copy has left beside are people's to judge. */
export function planLeftovers(schema: string, leftovers: readonly Leftover[]): Plan {
  const place = { schema, name: 'leftovers' }
  const evidence = [
    ...leftovers.map((one) => describeLeftover(schema, one)),
    'the tables themselves are left alone: the journal that knew which of them is a copy, or a retired table, has lost its rows',
  ]
  const steps = leftovers.map((one) => removal(schema, one))
  return plan('remove what no known run has left behind', leftovers[0]?.table ?? place, evidence, [], steps)
}

/** A line about one. */
export function describeLeftover(schema: string, { kind, name, table, logBytes }: Leftover): string {
  if (kind === 'bound' && table !== null)
    return `the CHECK ${name} of ${display(table)} rejects rows beyond its bound, for no known run`
  if (kind === 'helper index' && table !== null)
    return `the index ${name} of ${display(table)} was to help a purge, and is of no known run`
  const log = `${display({ schema, name: `${name}_log` })}, ${showBytes(logBytes)}`
  return table === null
    ? `the log ${log}, is of no known run, and nothing writes to it`
    : `changes of ${display(table)} are captured in ${log}, for no known run`
}

function removal(schema: string, { kind, name, table }: Leftover): ShortLockStep | OnlineStep | DropIndexStep {
  if (kind === 'helper index' && table !== null) return dropHelper({ table, index: name })
  if (kind === 'bound' && table !== null)
    return { ...dropGuard(table, name), key: `leftover:${display(table)}:${name}` }
  const capture = captureObjects(table ?? { schema, name }, schema, name)
  return table === null
    ? online(`leftover:${name}`, `drop ${name}`, 'nothing needs it', 'milliseconds', dropHelpers(capture))
    : release(`leftover:${name}`, capture)
}

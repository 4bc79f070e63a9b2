import { isPattern, parseTableChoice, type TableChoice } from '../sql/table-pattern.ts'
import { required, type Option, type Options, type Values } from './option.ts'
import { list, text } from './parsers.ts'
import type { PLAN_FILE } from './plan-file.ts'
import type { Given, Spec } from './spec.ts'

const TABLES = {
  tables: required(
    '<tables...>',
    'one or several, as SQL names them, or patterns as in psql: events, \'audit.*\', \'"My.Schema"."Events"\'',
    list((value) => parseTableChoice(text(value))),
  ),
}

type OfTables<O extends Options> = typeof TABLES & Omit<O, 'table'>

/** The command for one table, asked for several: a command line only, because a program has a loop. */
export function forSeveralTables<O extends Options & { readonly table: Option }, Request>(
  one: Spec<O, Request>,
): Spec<OfTables<O>, Request> {
  const { table: _, ...others } = one.options
  return {
    ...(one.pace === undefined ? {} : { pace: one.pace }),
    options: { ...TABLES, ...others },
    check(given, values) {
      one.check?.(given as unknown as Given<O>, values as Partial<Values<O>>)
      const { tables } = values as Partial<Values<typeof TABLES>>
      if (tables !== undefined && onlyTable(tables) === null && 'planOut' in others)
        refuseForSeveral(given as unknown as Given<typeof PLAN_FILE>)
    },
    request: (values) => one.request(values as unknown as Values<O>),
  }
}

/** The table, where it is one and named: what is answered then does not depend on what is in the database. */
export function onlyTable(tables: readonly TableChoice[]) {
  const [first, ...others] = tables
  return first === undefined || others.length > 0 || isPattern(first) ? null : first
}

function refuseForSeveral(given: Given<typeof PLAN_FILE>): void {
  for (const key of ['planOut', 'plan'] as const)
    if (given.has(key)) given.refuse(key, 'a plan that is saved is of one table', 'Name one table, without a pattern.')
}

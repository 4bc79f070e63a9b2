import type { ConstraintTrigger } from '../../catalog/references/constraint-triggers.ts'
import type { Constraint, InboundForeignKey, TableModel } from '../../catalog/table/table-model.ts'
import { display, quoted, sameName, type TableName } from '../../sql/names.ts'
import { dollarQuoted, join, literal, sql } from '../../sql/sql.ts'
import { objection } from '../language/objection.ts'
import type { Objection } from '../language/step.ts'
import { foreignKeysOf, TRIGGER_STATE } from './definitions.ts'
import { disabledConstraintObjections } from './objections/disabled-constraints.ts'

// Triggers of PostgreSQL's own, by which it enforces foreign keys: a foreign key that is created again has them in their
// ordinary state. As they were they are made by a superuser alone, in partitions to come they would not be, and what a key
// that is switched off lets in keeps it from being validated.

type Carried = (trigger: ConstraintTrigger) => boolean

/** Where the table stays a plain one: those of every foreign key. */
export const ofForeignKeys: Carried = ({ function: name }) => name.startsWith('RI_FKey_')

/** Where it becomes a partitioned one: those on other tables. */
export const ofOtherTables: Carried = ({ function: name }) => name.startsWith('RI_FKey_check_')

/** Those whose state would be lost. */
export function constraintTriggerObjections(table: TableModel, superuser: boolean, carried: Carried): Objection[] {
  const lost = (table.constraintTriggers ?? []).filter(
    (one) =>
      !superuser ||
      one.enabled === 'mixed' ||
      !carried(one) ||
      (carried === ofOtherTables && sameName(one.of, table.name)),
  )
  const always = lost.filter(({ enabled }) => enabled === 'always')
  const off = lost.filter(({ enabled }) => enabled !== 'always')
  return [
    ...disabledConstraintObjections(
      distinct(
        off.flatMap(({ constraint, of, on }) => on.map((one) => ({ name: constraint, of: display(of), on: one }))),
      ),
    ),
    ...distinct(always.map(({ constraint, of }) => ({ constraint, of: display(of) }))).map(({ constraint, of }) =>
      objection(
        `always:${constraint}`,
        `the triggers of ${constraint} of ${of} are enabled always, which could not be carried over`,
        'Let a superuser rebuild it, or enable them as usual (alter table … enable trigger all), and always again afterwards.',
      ),
    ),
  ]
}

function distinct<Value>(values: readonly Value[]): Value[] {
  return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()]
}

/** Whether it may be violated: PostgreSQL does not look after it, on one side or the other. */
export function isOff(table: TableModel, { name }: { readonly name: string }, of: TableName): boolean {
  return (table.constraintTriggers ?? []).some(
    (one) =>
      one.constraint === name && sameName(one.of, of) && (one.enabled === 'disabled' || one.enabled === 'replica'),
  )
}

/** The table's foreign keys that hold, and are validated once they have been created again. */
export function provenKeys(table: TableModel): Constraint[] {
  return foreignKeysOf(table).filter((key) => key.validated && !isOff(table, key, table.name))
}

/** The same of other tables' onto it. */
export function provenInbound(table: TableModel): InboundForeignKey[] {
  return table.inboundForeignKeys.filter((key) => key.validated && !isOff(table, key, key.table))
}

/** The triggers have numbers for names, so they are looked for when they have been made. */
export function restoreConstraintTriggers(triggers: readonly ConstraintTrigger[]): string[] {
  if (triggers.length === 0) return []
  const wanted = triggers.flatMap(({ constraint, of, function: name, enabled }) =>
    enabled === 'mixed'
      ? []
      : [
          sql`(${literal(constraint)}, ${literal(quoted(of).text)}::pg_catalog.regclass, ${literal(name)}, ${literal(TRIGGER_STATE[enabled])})`,
        ],
  )
  const body = sql`
declare
  ebb_statement text;
begin
  for ebb_statement in
    with recursive part (oid, function, state) as (
      select k.oid, w.function, w.state from (values ${join(wanted)}) w (name, place, function, state)
      join pg_catalog.pg_constraint k on k.conname = w.name and k.conrelid = w.place
      union
      select k.oid, p.function, p.state from part p join pg_catalog.pg_constraint k on k.conparentid = p.oid)
    select pg_catalog.format('alter table only %s %s trigger %I', t.tgrelid::pg_catalog.regclass, p.state, t.tgname)
    from part p join pg_catalog.pg_trigger t on t.tgconstraint = p.oid
    join pg_catalog.pg_proc f on f.oid = t.tgfoid and f.proname = p.function
  loop
    execute ebb_statement;
  end loop;
end`
  return [sql`do ${dollarQuoted(body.text)}`.text]
}

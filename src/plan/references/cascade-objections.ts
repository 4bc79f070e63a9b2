import type { GraphTable, ReferenceGraph } from '../../catalog/references/reference-graph.ts'
import { publicationObjections } from '../table/published.ts'
import { display, quoted, sameName } from '../../sql/names.ts'
import { ident } from '../../sql/sql.ts'
import { distinctTables, type Cascade, type CascadeRequest } from './cascade.ts'
import { disabledConstraintObjections } from '../table/objections/disabled-constraints.ts'
import { objection, when } from '../language/objection.ts'
import { ruleObjections, trackCounts } from '../purge/objections.ts'
import type { Fate, WalkedReference } from './graph.ts'
import { shellWord } from '../../text/shell-word.ts'
import type { Objection } from '../language/step.ts'

/** Objections that come from tables related to the root. `role` is the connected role. */
export function cascadeObjections(
  graph: ReferenceGraph,
  cascade: Cascade,
  request: CascadeRequest,
  role: string,
): Objection[] {
  return [
    ...protectionObjections(graph, cascade, request),
    ...cascade.walked.flatMap((one) => silentCascade(one)),
    ...cascade.walked.flatMap((one) => indescribable(one)),
    ...disabledObjections(cascade),
    ...updatedObjections(cascade),
    ...privilegeObjections(cascade, role),
    ...countObjections(graph, cascade, role),
  ]
}

function protectionObjections(graph: ReferenceGraph, { root }: Cascade, { protect }: CascadeRequest): Objection[] {
  return protect.flatMap((name) => {
    const table = graph.tables.find((one) => sameName(one.name, name))
    if (table === undefined)
      return [
        objection(
          `protect:${display(name)}`,
          `${display(name)} does not reference ${display(root.name)}, directly or through other tables, so it cannot protect any row`,
          'Check the name; if it is right, omit --protect: none of its rows is touched.',
        ),
      ]
    if (table.oid === root.oid)
      return [objection('protect-root', `${display(name)} is the table to be purged`, 'Omit --protect for it.')]
    return []
  })
}

/** ON DELETE CASCADE deletes rows of other tables, whether or not that was asked for. */
function silentCascade({ reference, from, to, fate }: WalkedReference): Objection[] {
  if (fate !== 'held' || reference.onDelete !== 'cascade') return []
  const table = display(from.name)
  return [
    objection(
      `cascade:${table}.${reference.name}`,
      `rows of ${table} would be deleted with the rows of ${display(to.name)} they reference (${reference.name}, on delete cascade)`,
      `To delete them too: --cascade; to keep them: --protect ${shellWord(table)}.`,
    ),
  ]
}

function indescribable({ reference, from, to, fate }: WalkedReference): Objection[] {
  if (fate === 'set null' || fate === 'set default') return []
  const name = `${display(from.name)}.${reference.name}`
  const drop = `alter table ${quoted(from.name).text} drop constraint ${ident(reference.name).text};`
  return [
    ...when(reference.ontoPartition, () =>
      objection(
        `onto-partition:${name}`,
        `foreign key ${name} references one partition of ${display(to.name)}, or a table that inherits from it, so a key alone does not identify the row`,
        `Purge the table that it references by itself, or drop the foreign key: ${drop}`,
      ),
    ),
    ...when(reference.temporal, () =>
      objection(
        `temporal:${name}`,
        `foreign key ${name} is temporal (PERIOD), so what references a row cannot be found by equality`,
        `Drop it for the duration of the purge: ${drop}`,
      ),
    ),
  ]
}

const CHANGED: ReadonlySet<Fate> = new Set(['followed', 'set null', 'set default', 'self', 'cycle', 'subtree'])

/** For tables whose rows are deleted or change; those of the root are checked for its leaves. */
function disabledObjections({ root, walked }: Cascade): Objection[] {
  const changed = walked.filter(({ fate }) => CHANGED.has(fate)).map(({ from }) => from)
  const others = distinctTables(changed).filter(({ oid }) => oid !== root.oid)
  return disabledConstraintObjections(others.flatMap(({ disabledConstraints }) => disabledConstraints))
}

/** Where ON DELETE SET NULL or SET DEFAULT updates rows that are published. */
function updatedObjections({ root, walked }: Cascade): Objection[] {
  const updated = walked.filter(({ fate }) => fate === 'set null' || fate === 'set default').map(({ from }) => from)
  const others = distinctTables(updated).filter(({ oid }) => oid !== root.oid)
  return others.flatMap(({ name, published }) =>
    published === null ? [] : publicationObjections('updates', name, published),
  )
}

const LOOKED_AT: ReadonlySet<Fate> = new Set(['followed', 'held', 'protected', 'subtree', 'self'])

function privilegeObjections(cascade: Cascade, role: string): Objection[] {
  const us = ident(role).text
  const looked = cascade.walked.filter(({ fate, again }) => LOOKED_AT.has(fate) && !again)
  return [
    ...distinctTables(looked.map(({ from }) => from)).flatMap((table) => tableObjections(cascade, table, role)),
    ...looked
      .filter(({ reference }) => !reference.readable)
      .map(({ reference, from, to }) =>
        objection(
          `no-select:${display(from.name)}.${reference.name}`,
          `${role} may not read the columns of foreign key ${reference.name}, by which rows of ${display(from.name)} reference ${display(to.name)}`,
          `As the owner: grant select on ${quoted(from.name).text}, ${quoted(to.name).text} to ${us};`,
        ),
      ),
  ]
}

function tableObjections({ root, emptied }: Cascade, table: GraphTable, role: string): Objection[] {
  if (table.oid === root.oid) return []
  const name = display(table.name)
  const goes = emptied.some(({ oid }) => oid === table.oid)
  return [
    ...when(goes && !table.mayDelete, () =>
      objection(
        `no-delete:${name}`,
        `${role} may not delete from ${name}, whose rows would be deleted too`,
        `As ${table.owner}: grant select, delete on ${quoted(table.name).text} to ${ident(role).text};`,
      ),
    ),
    ...when(table.rowsHidden, () =>
      objection(
        `row-security:${name}`,
        `row-level security hides rows of ${name} from ${role}, so what references a row cannot be determined`,
        'Connect as a role with BYPASSRLS or, where it is not forced on owners, as the owner.',
      ),
    ),
    ...(goes ? ruleObjections({ name: table.name, deleteRules: table.deleteRules ?? [] }) : []),
    ...(goes && table.published !== null ? publicationObjections('deletes', table.name, table.published) : []),
  ]
}

/** Where only PostgreSQL's own counters show that a row was cascaded, they have to be on. */
function countObjections({ counts }: ReferenceGraph, { walked }: Cascade, role: string): Objection[] {
  const silent = walked.find(
    ({ fate, reference }) =>
      (fate === 'protected' && reference.onDelete !== 'no action' && reference.onDelete !== 'restrict') ||
      ((fate === 'self' || fate === 'cycle') && reference.onDelete === 'cascade'),
  )
  if (counts || silent === undefined) return []
  const name = `${display(silent.from.name)}.${silent.reference.name}`
  return [trackCounts(`a row deleted by ${name} at the wrong moment`, role)]
}

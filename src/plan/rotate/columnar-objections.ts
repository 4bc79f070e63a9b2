import type { ColumnarFacts } from '../../catalog/partitions/columnar-facts.ts'
import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { display, quoted } from '../../sql/names.ts'
import { ident, sql } from '../../sql/sql.ts'
import { objection, when } from '../language/objection.ts'
import type { Objection } from '../language/step.ts'

// Why partitions cannot be stored in columns: what Citus' access method does not have.

/** The kinds of index that it has. */
const INDEXED_BY = ['btree', 'hash']

export function columnarObjections(
  set: PartitionedTable,
  facts: ColumnarFacts | undefined,
  removable: readonly Pick<Partition, 'bytes'>[],
): Objection[] {
  if (facts === undefined) throw new Error('what decides about columnar partitions was not read')
  const name = display(set.name)
  if (!facts.isThere) return [notThere(name)]
  const others = facts.indexes.filter(({ method }) => !INDEXED_BY.includes(method))
  return [
    ...when(set.references.length + set.inboundForeignKeys.length > 0, () =>
      objection(
        'columnar-references',
        `foreign keys connect ${name} with ${[...set.references, ...set.inboundForeignKeys.map(({ table }) => table)].map(display).join(', ')}, and a columnar partition can have none`,
        'Drop them, or keep expired partitions as they are: --retire detach makes tables of their own of them.',
      ),
    ),
    ...when(secondsToCount(set, removable) > 1, () => writersWait(set, secondsToCount(set, removable))),
    ...others.map((index) =>
      objection(
        'columnar-index',
        `the index ${index.name} of ${name} is of kind ${index.method}, and a columnar partition can have only ${INDEXED_BY.join(' and ')} ones`,
        sql`Make it one of each partition that is not columnar: drop index ${ident(set.name.schema, index.name)}; then create index … on each of these.`
          .text,
      ),
    ),
    ...facts.afterTriggers.map((trigger) =>
      objection(
        'columnar-trigger',
        `the trigger ${trigger} of ${name} fires after each row, which it cannot on a columnar partition`,
        sql`Make it one of each partition that is written to: drop trigger ${ident(trigger)} on ${quoted(set.name)}; then create it on these.`
          .text,
      ),
    ),
  ]
}

/** What a node reads of a table in memory, in a second, when it counts rows. */
const COUNTED_BYTES = 500_000_000

/** Of the largest partition. */
export function secondsToCount({ citus }: PartitionedTable, partitions: readonly Pick<Partition, 'bytes'>[]): number {
  const nodes = Math.max(1, citus?.nodes.length ?? 1)
  return Math.max(0, ...partitions.map(({ bytes }) => bytes)) / nodes / COUNTED_BYTES
}

function writersWait({ name }: PartitionedTable, seconds: number): Objection {
  return {
    code: 'columnar-writers',
    what: `whoever writes to ${display(name)} would wait while the rows of a partition are counted under lock, for about ${Math.ceil(seconds)} s for the largest one, and for 10 s at most`,
    fix: 'If writers can wait for that, at a quiet hour perhaps: --accept columnar-writers',
    acceptable: true,
  }
}

function notThere(name: string): Objection {
  return objection(
    'columnar-missing',
    `there is no access method columnar in this database, so partitions of ${name} cannot be stored in columns`,
    'It comes with Citus: create extension citus_columnar; (its library in shared_preload_libraries). Without it: --retire detach keeps expired partitions as tables of their own, --retire move has them on another server.',
  )
}

/** What a partition has by itself and could not have any more; null where it is nothing. */
export function notColumnar({ own }: Partition): string | null {
  const part = own.find(
    (one) =>
      ['foreign key', 'exclusion', 'trigger', 'publication'].includes(one.kind) ||
      (one.kind === 'index' && !INDEXED_BY.some((method) => one.tail.startsWith(`USING ${method} `))),
  )
  return part === undefined
    ? null
    : `it has the ${part.kind} ${part.name} of its own, which a columnar table cannot have`
}

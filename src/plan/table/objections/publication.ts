import type { ReplicaIdentity, Sending } from '../../../catalog/table/published.ts'
import type { SubscribedSequence } from '../../../catalog/table/subscribed-sequences.ts'
import type { TableModel } from '../../../catalog/table/table-model.ts'
import { display, quoted } from '../../../sql/names.ts'
import { ident, join } from '../../../sql/sql.ts'
import { objection, when } from '../../language/objection.ts'
import type { Objection } from '../../language/step.ts'
import type { NewPrimaryKey } from '../primary-key.ts'
import { refusals } from '../published.ts'

/** What a publication or subscription would do with a table that is partitioned. */
export function replicationObjections(table: TableModel): Objection[] {
  const name = display(table.name)
  const fix = (publication: string) =>
    `Publish under the name of the root: alter publication ${ident(publication).text} set (publish_via_partition_root = true); subscribers then go on receiving ${name}.`
  return [
    ...table.publications
      .filter(({ viaRoot }) => !viaRoot)
      .map((publication) =>
        objection(
          `publication:${publication.name}`,
          `publication ${publication.name} would send the partitions under their own names, which subscribers do not know`,
          fix(publication.name),
        ),
      ),
    ...exceptObjections(table),
    ...identityObjections(table),
    ...when(table.subscriptions.length > 0, () =>
      objection(
        'subscribed',
        `${name} receives a logical replication subscription, which would lose track of it`,
        `End the subscription of this table first (alter subscription … refresh publication on a publication without it).`,
      ),
    ),
  ]
}

/** A subscription knows a sequence by its oid, and that of an identity column is replaced by a new one of its name. */
export function subscribedSequenceObjections(sequences: readonly SubscribedSequence[]): Objection[] {
  return sequences.map(({ name, subscriptions }) => {
    const code = `subscribed-sequence:${display(name)}`
    const refresh = subscriptions.map((one) => `alter subscription ${ident(one).text} refresh publication;`)
    return {
      code,
      what: `a subscription brings the value of the sequence ${display(name)}, and would lose track of it without a word: a new sequence takes its name`,
      fix: `Afterwards: ${refresh.join(' ')} If that will be done: --accept ${code}`,
      acceptable: true,
    }
  })
}

/** What a new table beside this one would be sent as, while it is filled: rows of a table that subscribers do not know. */
export function publishedCopyObjections(table: TableModel): Objection[] {
  return [
    ...table.publications
      .filter(({ covers }) => covers !== 'table')
      .map(({ name, covers }) =>
        objection(
          `publication:${name}`,
          `publication ${name} publishes ${covers === 'schema' ? 'every table of the schema' : 'all tables'}, so subscribers would be sent the new table under a name they do not know, and stop`,
          'Let it list its tables, or take this schema out of it, for the time of the run.',
        ),
      ),
    ...exceptObjections(table),
  ]
}

// PostgreSQL cannot attach a table that a publication excepts, nor except one that is not there yet.
function exceptObjections(table: TableModel): Objection[] {
  const name = display(table.name)
  return table.exceptedFrom.map((publication) =>
    objection(
      `excepted:${publication}`,
      `publication ${publication} publishes all tables except ${name}, and would publish the new table that takes its name`,
      `Let subscribers use a publication that lists its tables, and drop ${publication}; afterwards it can be created again, FOR ALL TABLES EXCEPT (TABLE ${quoted(table.name).text}).`,
    ),
  )
}

/** A replica identity that cannot be given to another table. */
export function identityObjections(table: TableModel): Objection[] {
  const gone = table.replicaIdentity === 'index' && !table.indexes.some(({ replicaIdentity }) => replicaIdentity)
  return when(gone, () =>
    objection(
      'replica-identity',
      `the replica identity of ${display(table.name)} is an index that has been dropped`,
      `Say what it is to be: alter table ${quoted(table.name).text} replica identity nothing; means the same, and replica identity default; the primary key.`,
    ),
  )
}

/** Publications that would refuse updates and deletes once the primary key has another column. */
export function publishedKeyObjections(
  table: TableModel,
  sendings: readonly Sending[],
  primaryKey: NewPrimaryKey | null,
): Objection[] {
  if (primaryKey === null) return []
  const refused = (identity: ReplicaIdentity) =>
    (['updates', 'deletes'] as const).flatMap((what) => refusals(what, sendings, identity))
  const before = new Set(refused(identityOf(table, null)).map(({ publication }) => publication))
  const after = refused(identityOf(table, primaryKey)).filter(({ publication }) => !before.has(publication))
  const because = new Map(after.map((refusal) => [refusal.publication, refusal.because]))
  return [...because].map(([publication, why]) => {
    const columns = sendings.find((sending) => sending.publication === publication)?.columns ?? []
    const all = [...new Set([...columns, ...primaryKey.columns])]
    const [name, place] = [ident(publication).text, quoted(table.name).text]
    return objection(
      `published-columns:${publication}`,
      `with the primary key that is needed, updates and deletes would be refused for the sake of publication ${publication}: ${why}`,
      `Let it send these as well, in one transaction: alter publication ${name} drop table ${place}; alter publication ${name} add table ${place} (${join(all.map((column) => ident(column))).text}); with the row filter it has.`,
    )
  })
}

function identityOf(
  { replicaIdentity: kind, indexes, constraints }: TableModel,
  primaryKey: NewPrimaryKey | null,
): ReplicaIdentity {
  const index = indexes.find((one) => (kind === 'index' ? one.replicaIdentity : kind === 'default' && one.primary))
  const constraint = constraints.find(({ name }) => name === index?.constraint)
  if (index === undefined || constraint?.deferrable === true) return { kind, columns: [] }
  const replaced = primaryKey !== null && primaryKey.constraint === index.constraint
  return { kind, columns: replaced ? primaryKey.columns : index.columns.flatMap((column) => column ?? []) }
}

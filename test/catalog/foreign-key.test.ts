import { expect } from 'vitest'
import { readPartitionedTable } from '../../src/catalog/partitions/partitioned-table.ts'
import { IS_KEY_OF, IS_KEY_ONTO, OID, readForeignKeys } from '../../src/catalog/references/foreign-key.ts'
import { readReferences } from '../../src/catalog/references/inspect-references.ts'
import { DEPENDING_ON } from '../../src/catalog/table/json-parts.ts'
import type { TableName } from '../../src/sql/names.ts'
import { test } from '../support/database.ts'
import { modelOf } from '../support/tool.ts'

test('a foreign key between partitioned tables is listed once, from either side', async ({ database }) => {
  const owner = await database.session('owner')
  await owner.query(`
    create table parent (id int primary key) partition by range (id);
    create table parent_1 partition of parent for values from (0) to (100);
    create table parent_2 partition of parent for values from (100) to (200) partition by range (id);
    create table parent_2_1 partition of parent_2 for values from (100) to (200);
    create table child (id int primary key, parent_id int constraint of_parent references parent) partition by range (id);
    create table child_1 partition of child for values from (0) to (100);
    create table beside (id int primary key, a int constraint whole references parent, b int constraint part references parent_1)`)
  await owner.query(`
    create table tree (id int primary key, up int constraint upwards references tree);
    create function nothing() returns trigger language plpgsql as 'begin return null; end';
    create constraint trigger watch after insert on beside from parent_1 for each row execute function nothing()`)
  const name = (table: string): TableName => ({ schema: 'public', name: table })
  const keys = async (which: string) =>
    (await readForeignKeys<{ name: string }>(owner, ['name'], which)).map((key) => key.name)

  expect(await keys(IS_KEY_OF(OID(name('child'))))).toEqual(['of_parent'])
  expect(await keys(IS_KEY_OF(OID(name('child_1'))))).toEqual(['of_parent'])
  expect(await keys(IS_KEY_OF(OID(name('beside'))))).toEqual(['whole', 'part'])
  expect(await keys(IS_KEY_ONTO(OID(name('parent'))))).toEqual(['whole', 'of_parent'])
  expect(await keys(IS_KEY_ONTO(OID(name('parent_1'))))).toEqual(['part'])

  expect(await keys(IS_KEY_ONTO(OID(name('tree'))))).toEqual(['upwards'])
  // All that name another table depend on it: by that they are found, for no index has their own columns.
  const { rows } = await owner.query<{ name: string }>(`
    select conname as name from pg_constraint k where contype = 'f' and not oid = any (${DEPENDING_ON('k.confrelid', 'pg_constraint')})
    union all select tgname from pg_trigger t where tgconstrrelid <> 0 and not tgisinternal and not oid = any (${DEPENDING_ON('t.tgconstrrelid', 'pg_trigger')})`)
  expect(rows).toEqual([])

  const child = await modelOf(database, name('child'))
  expect(child.constraints.filter(({ type }) => type === 'foreign key')).toMatchObject([
    { name: 'of_parent', ontoPartitioned: true, references: name('parent') },
  ])
  const parent = await modelOf(database, name('parent'))
  expect(parent.inboundForeignKeys.map((key) => key.name)).toEqual(['whole', 'of_parent'])
  expect((await readReferences(owner, name('parent'))).map((key) => key.name)).toEqual(['whole', 'of_parent'])
  const set = await readPartitionedTable(owner, name('child'))
  expect(set?.references).toEqual([name('parent')])
  expect(set?.partitions[0]?.foreignKeys).toEqual([{ name: 'of_parent', references: name('parent') }])
})

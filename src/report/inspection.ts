import { describeCitus } from '../catalog/citus.ts'
import type { KeyModel } from '../catalog/table/key-model.ts'
import type { Index, TableModel } from '../catalog/table/table-model.ts'
import type { Inspection } from '../engine/commands/inspect.ts'
import type { KeyAdvice } from '../plan/advise/key-advice.ts'
import type { Risk } from '../plan/advise/risks.ts'
import { NOT_ANALYZED, showBytes, showCount } from '../text/units.ts'
import { wrap } from '../text/comment.ts'
import { display } from '../sql/names.ts'
import { columns } from '../text/columns.ts'
import { indented } from './partitioned.ts'
import { partitionMap } from './partition-map.ts'

/** Everything known about a table, in sections; empty sections are left out. */
export function describeInspection(inspection: Inspection): string[] {
  const { table, keys, partitions, advice, risks } = inspection
  return [
    ...whatItIs(inspection),
    ...section('Size', describeSize(inspection)),
    ...section(`Partitions (${partitions.length})`, partitionMap(partitions), partitions.length > 0),
    ...section('Candidate keys', describeKeys(keys), keys.length > 0),
    ...section('Indexes', describeIndexes(table.indexes), table.indexes.length > 0),
    ...section('Dependent objects', describeDependents(inspection)),
    ...section('Risks', risks.flatMap(describeRisk)),
    ...section('Ways to partition it, best first', advice.flatMap(describeAdvice)),
    ...section('Next steps', whatNext(inspection)),
  ]
}

function section(title: string, lines: readonly string[], isThere = lines.length > 0): string[] {
  return isThere ? ['', title, ...indented(lines)] : []
}

const WIDTH = 112

/** A list item, with its further lines aligned below its first words. */
function point(text: string, bullet = '- '): string[] {
  return wrap(text, WIDTH).map((line, i) => (i === 0 ? bullet : ' '.repeat(bullet.length)) + line)
}

function whatItIs({ server, table }: Inspection): string[] {
  const kind = [...(table.persistence === 'permanent' ? [] : [table.persistence]), table.kind].join(' ')
  const by = table.partitionKey === null ? '' : ` by ${table.partitionKey}`
  return [
    `${display(table.name)}: a ${kind}${by} of ${table.columns.length} columns, owned by ${table.owner}`,
    ...(table.comment === null ? [] : wrap(`“${table.comment}”`, WIDTH)),
    `PostgreSQL ${server.versionText}, database ${server.database}, connected as ${server.role}`,
  ]
}

/** Counted by the nodes: what this server counts of the table is nothing. */
function describeShards({ table, partitions, citus }: Inspection): string[] {
  if (citus === null) return []
  const bytes = partitions.reduce((sum, one) => sum + (one.bytes ?? 0), table.size.heap)
  const silent = citus.shares.filter((one) => one.bytes === null).map(({ node }) => node)
  return columns([
    ['Citus', describeCitus(citus)],
    ['size', silent.length === 0 ? showBytes(bytes) : `unknown: ${silent.join(', ')} cannot be reached`],
    ['rows', table.estimatedRows === null ? NOT_ANALYZED : `about ${showCount(table.estimatedRows)}`],
    ...citus.shares.map(({ node, shards, bytes: of }) => [
      '',
      `${node}: ${showCount(shards)} shards, ${of === null ? 'size unknown' : showBytes(of)}`,
    ]),
  ])
}

function describeSize(inspection: Inspection): string[] {
  const { server, table, activity, partitions, citus } = inspection
  if (citus !== null) return describeShards(inspection)
  if (table.kind !== 'table' && table.kind !== 'partitioned table') return []
  const { heap, indexes, toast } = table.size
  const total = partitions.reduce((sum, { bytes }) => sum + (bytes ?? 0), heap + indexes + toast)
  const parts =
    table.kind === 'table' ? ` (rows ${showBytes(heap)}, indexes ${showBytes(indexes)}, TOAST ${showBytes(toast)})` : ''
  const rows = table.estimatedRows === null ? NOT_ANALYZED : `about ${showCount(table.estimatedRows)}`
  const size: [string, string] = ['size', `${showBytes(total)}${parts}`]
  // Writes, dead rows and maintenance are counted on the primary only.
  if (server.inRecovery) return columns([size, ['rows', rows], ['written', 'not known on a replica']])
  const { inserted, updated, deleted, deadRows, analyzedAt, vacuumedAt } = activity
  return columns([
    size,
    ['rows', `${rows}; ${showCount(deadRows)} dead`],
    [
      'written',
      `${showCount(inserted)} inserted, ${showCount(updated)} updated, ${showCount(deleted)} deleted since the last statistics reset`,
    ],
    ['analyzed', analyzedAt ?? 'not known'],
    ['vacuumed', vacuumedAt ?? 'not known'],
  ])
}

function describeKeys(keys: readonly KeyModel[]): string[] {
  const rows = keys.map((key) => [
    key.column,
    key.type,
    key.min === null ? 'no values' : `${key.min} … ${key.max ?? '?'}${key.range === 'sampled' ? ' (sampled)' : ''}`,
    key.correlation === null ? '?' : key.correlation.toFixed(2),
    key.indexed ? 'yes' : 'no',
  ])
  return columns([['column', 'type', 'range', 'correlation', 'leads an index'], ...rows])
}

function describeIndexes(indexes: readonly Index[]): string[] {
  return columns(
    indexes.map((index) => [
      index.name,
      index.bytes === 0 ? '' : showBytes(index.bytes),
      `${properties(index)}${access(index)}`,
    ]),
  )
}

function properties({ primary, unique, valid, partial, replicaIdentity }: Index): string {
  const words = [
    ...(primary ? ['primary key'] : unique ? ['unique'] : []),
    ...(valid ? [] : ['INVALID']),
    ...(partial ? ['partial'] : []),
    ...(replicaIdentity ? ['replica identity'] : []),
  ]
  return words.length === 0 ? '' : `${words.join(', ')}, `
}

function access({ definition }: Index): string {
  return /\bUSING (.*)$/s.exec(definition)?.[1] ?? definition
}

function describeDependents({ table, references }: Inspection): string[] {
  return columns([
    ...table.constraints
      .filter(({ type }) => type !== 'primary key' && type !== 'unique' && type !== 'not null')
      .map(({ type, name, definition, validated }) => [
        type,
        name,
        validated ? definition : `${definition} (not validated)`,
      ]),
    ...references.map((reference) => [
      'referenced by',
      `${display(reference.table)}.${reference.name}`,
      `(${reference.columns.join(', ')})${reference.indexed ? '' : ', not indexed'}`,
    ]),
    ...table.sequences.map(({ name, column, identity }) => [
      identity ? 'identity' : 'sequence',
      display(name),
      `of ${column}`,
    ]),
    ...table.triggers.map(({ name, enabled, definition }) => [
      'trigger',
      name,
      enabled === 'origin' ? actionOf(definition) : enabled,
    ]),
    ...table.policies.map(({ name, command, roles }) => [
      'policy',
      name,
      `${command} for ${roles.map((role) => role ?? 'public').join(', ')}`,
    ]),
    ...(table.rowSecurity === 'off' ? [] : [['row security', table.rowSecurity, '']]),
    ...table.rules.map(({ name }) => ['rule', name, '']),
    ...table.views.map(({ name, owner }) => ['view', display(name), `of ${owner}`]),
    ...table.functions.map(({ signature, owner }) => ['function', signature, `of ${owner}`]),
    ...table.statistics.map(({ name }) => ['statistics', display(name), '']),
    ...table.publications.map(({ name, covers }) => [
      'publication',
      name,
      `of ${covers === 'table' ? 'this table' : covers}`,
    ]),
    ...table.exceptedFrom.map((name) => ['publication', name, 'of all tables but this one']),
    ...table.subscriptions.map((subscription) => ['subscription', subscription, '']),
    ...describeGrants(table),
    ...(table.otherRules ?? []).map(({ of, name }) => ['rule', name, `of ${display(of)}, mentions the table`]),
    ...(table.otherPolicies ?? []).map(({ of, name }) => ['policy', name, `of ${display(of)}, mentions the table`]),
    ...(table.otherTriggers ?? []).map(({ of, name }) => ['trigger', name, `of ${display(of)}, mentions the table`]),
    ...table.otherDependents.map(({ description, because }) => ['also', description, because]),
  ])
}

function describeGrants({ grants }: TableModel): string[][] {
  const byGrantee = new Map<string, string[]>()
  for (const { grantee, privilege, column } of grants) {
    const what = column === null ? privilege : `${privilege} (${column})`
    byGrantee.set(grantee ?? 'public', [...(byGrantee.get(grantee ?? 'public') ?? []), what])
  }
  return [...byGrantee].map(([grantee, privileges]) => ['granted to', grantee, privileges.join(', ')])
}

// `CREATE TRIGGER name AFTER INSERT ON schema.name FOR EACH ROW EXECUTE FUNCTION …`
function actionOf(definition: string): string {
  return /\b(BEFORE|AFTER|INSTEAD OF) .*$/s.exec(definition)?.[0] ?? definition
}

function describeRisk({ what, fix }: Risk): string[] {
  return [...point(what), ...(fix === '' ? [] : point(fix, '    '))]
}

function describeAdvice(advice: KeyAdvice, position: number): string[] {
  const { verdict, by, expireBy, every, reasons, obstacles, command } = advice
  const how = expireBy === null ? `by ${by}, every ${every}` : `by ${by}, ${every} a partition, expiring by ${expireBy}`
  const inTheWay = obstacles.flatMap(({ what }) => point(`blocked: ${what}`, '   - '))
  // Of the blocked ways, only the best is worth its arguments; the plan shows the fixes.
  const isWorthMore = position === 0 || verdict !== 'obstructed'
  return [
    ...(position === 0 ? [] : ['']),
    `${position + 1}. ${how} (${VERDICT[verdict]})`,
    ...(isWorthMore ? reasons.flatMap((reason) => point(reason, '   - ')) : []),
    ...inTheWay,
    `   ${command}`,
  ]
}

const VERDICT: Readonly<Record<KeyAdvice['verdict'], string>> = {
  recommended: 'recommended',
  possible: 'possible',
  obstructed: 'blocked',
}

function whatNext(inspection: Inspection): string[] {
  const { table, advice } = inspection
  const name = display(table.name)
  if (table.kind === 'partitioned table') return [`see what is due:  ebb rotate ${name}`]
  if (table.kind !== 'table') return []
  if (inspection.citus !== null) return ['See the risks: Citus decides where its rows are.']
  const [best] = advice
  if (best === undefined && !inspection.rowsReadable) return ['Inspect it as a role that may read its rows.']
  if (best === undefined && inspection.keys.length > 0)
    return ['See the risks: something else decides where its rows are.']
  if (best === undefined) return ['No column is a time or a growing id, so it cannot be partitioned by age.']
  if (best.verdict === 'obstructed')
    return ['Resolve what blocks one of the ways above; the plan lists all of it:', best.command]
  return ['show the plan, which changes nothing:', `  ${best.command} --keep '90 days'`]
}

import type { ServerModel } from '../catalog/server-model.ts'
import type { Privileges } from '../catalog/situation.ts'
import type { TableModel } from '../catalog/table-model.ts'
import type { Predicate } from '../sql/predicate.ts'
import { display, freeCompanion, quoted, type TableName } from '../sql/names.ts'
import { ident, literal, raw, sql } from '../sql/sql.ts'
import { captureOf, endCapture, prepareCapture, startCapture, type Capture } from './capture.ts'
import { validateInbound } from './conversion.ts'
import { copyKeyOf, noKeyObjection, sameKey, type CopyKey } from './copy-key.ts'
import type { CopyWork, Transport } from './copy-work.ts'
import * as definitions from './definitions.ts'
import { factsOf } from './facts.ts'
import { privilegeObjections } from './privilege-objections.ts'
import { serverNotes, serverObjections } from './server-objections.ts'
import {
  createShadow,
  shadowCheck,
  shadowForeignKey,
  shadowIndex,
  shadowNames,
  writtenColumns,
  type ShadowNames,
} from './shadow.ts'
import {
  assertDistinctKeys,
  type BriefStep,
  type Lock,
  type Objection,
  type OnlineStep,
  type Plan,
  type Step,
  type SwapStep,
} from './step.ts'
import { acquire, asideNames, neighbours, sequencesUnderLock, type AsideNames } from './swap.ts'
import { kindObjection, tableObjections } from './table-objections.ts'
import { showBytes, showCount, showDuration } from './units.ts'

/** What the user asked for. */
export interface RebuildRequest {
  /** The rows worth keeping; null keeps all. */
  readonly keep: string | null
  readonly transport: Transport | 'auto'
  readonly jobs: number
  /** Rows that are left out go for good: there is no archive. */
  readonly noArchive: boolean
}

export interface RebuildSituation {
  readonly server: ServerModel
  readonly journalSchema: string
  readonly table: TableModel
  readonly privileges: Privileges
  readonly predicate: Predicate | null
  /** Functions in the condition that give another answer each time. */
  readonly volatile: readonly string[]
  /** Rows to be kept, as the planner estimates. */
  readonly keptRows: number
  readonly searchPath: string
  readonly taken: ReadonlySet<string>
  /** Makes the names of this run's helpers unlike those of any other. */
  readonly tag: string
}

export interface RebuildPlan extends Plan {
  /** Null where there are objections. */
  readonly rebuild: RebuildSummary | null
}

/** What later runs need to know: to undo preparations, to go back, to let the former table go. */
export interface RebuildSummary {
  readonly former: TableModel
  readonly shadow: TableName
  readonly retired: TableName
  readonly aside: AsideNames
  /** From the table into the shadow. */
  readonly forward: CopyWork
  /** From the new table into the retired one, from the swap on. */
  readonly back: CopyWork
}

/** Plans a new table with the rows worth keeping, built beside the old one and swapped in. Pure. */
export function planRebuild(situation: RebuildSituation, request: RebuildRequest): RebuildPlan {
  const { table, server } = situation
  const kind = kindObjection(table)
  const fundamental = [...serverObjections(server, situation.journalSchema), ...(kind === undefined ? [] : [kind])]
  const key = copyKeyOf(table)
  const objections =
    fundamental.length > 0
      ? fundamental
      : [
          ...privilegeObjections(table, situation.privileges, server.role),
          ...rebuildObjections(situation, request, key),
        ]
  const base = { goal: goalOf(table, request), table: table.name, fates: [], notes: serverNotes(server) }
  if (objections.length > 0 || key === null) return { ...base, objections, evidence: [], steps: [], rebuild: null }
  const rebuild = summaryOf(situation, key)
  const steps = rebuildSteps(situation, request, rebuild, shadowNames(table, situation.taken))
  assertDistinctKeys(steps)
  return { ...base, objections, evidence: evidenceOf(situation, request, key), steps, rebuild }
}

function goalOf({ name }: TableModel, { keep }: RebuildRequest): string {
  return keep === null
    ? `rebuild ${display(name)} with all its rows`
    : `rebuild ${display(name)} around the rows where ${keep}`
}

/** What stands against a new table in the place of this one. Most is as for a conversion; some things a copy can do. */
function rebuildObjections(
  { table, volatile }: RebuildSituation,
  request: RebuildRequest,
  key: CopyKey | null,
): Objection[] {
  const copied = ['exclusion:', 'not-valid:', 'no-inherit:', 'transition-tables:', 'publication:']
  return [
    ...tableObjections(table).filter(({ code }) => !copied.some((start) => code.startsWith(start))),
    ...(key === null ? [noKeyObjection(table)] : []),
    ...table.publications
      .filter(({ covers }) => covers !== 'table')
      .map(({ name, covers }) =>
        object(
          `publication:${name}`,
          `publication ${name} publishes ${covers === 'schema' ? 'every table of the schema' : 'all tables'}, so subscribers would be sent the new table under a name they do not know, and stop`,
          'Let it list its tables, or take this schema out of it, for the time of the rebuild.',
        ),
      ),
    ...volatile.map((name) =>
      object(
        `volatile:${name}`,
        `${name}() in the condition gives another answer each time it is asked`,
        'Use only what depends on the row; now() is fixed once at the start.',
      ),
    ),
    ...(request.keep !== null && !request.noArchive
      ? [
          object(
            'archive',
            'the rows that are left out would be gone, and archives cannot be written by this version',
            'If they are not needed any more, say --no-archive. Until `ebb retire` they are still in the former table.',
          ),
        ]
      : []),
  ]
}

function summaryOf(
  { table, journalSchema, predicate, searchPath, taken, tag }: RebuildSituation,
  key: CopyKey,
): RebuildSummary {
  const { shadow } = shadowNames(table, taken)
  const retired = { schema: table.name.schema, name: freeCompanion(table.name.name, '_retired', taken) }
  const columns = writtenColumns(table).text
  const work = (source: TableName, target: TableName, keep: string | null, capture: Capture): CopyWork => ({
    source,
    target,
    columns,
    keep,
    searchPath,
    capture,
  })
  return {
    former: table,
    shadow,
    retired,
    aside: asideNames(table, null, taken, '_retired'),
    forward: work(
      table.name,
      shadow,
      predicate?.text ?? null,
      captureOf(table.name, key, journalSchema, `ebb_${tag}_forward`),
    ),
    back: work(table.name, retired, null, captureOf(table.name, key, journalSchema, `ebb_${tag}_back`)),
  }
}

function rebuildSteps(
  situation: RebuildSituation,
  request: RebuildRequest,
  rebuild: RebuildSummary,
  names: ShadowNames,
): Step[] {
  const { table, server } = situation
  const { forward } = rebuild
  const checks = table.constraints.filter(({ type }) => type === 'check')
  const foreignKeys = table.constraints.filter(({ type }) => type === 'foreign key')
  return [
    online(
      'shadow',
      `create ${display(names.shadow)}, with the columns of ${display(table.name)}`,
      'the rows worth keeping go there',
      'milliseconds',
      [
        ...createShadow(table, names),
        ...definitions.ownership(names.shadow, table.owner, server.role),
        ...prepareCapture(forward.capture),
      ],
    ),
    beginCapture(forward.capture),
    copyStep(situation, request, forward),
    {
      ...described(
        'reconcile-first',
        'set what has changed meanwhile to its present state',
        'in one join, before there are unique indexes',
      ),
      kind: 'reconcile',
      work: forward,
      pass: 'whole log at once',
    },
    ...table.indexes.map((index) =>
      online(
        `index:${index.name}`,
        `build index ${index.name}`,
        'after the load, which is several times faster than during it',
        costOf(index.bytes, situation),
        shadowIndex(table, names, index),
      ),
    ),
    ...checks.map((check) =>
      online(
        `check:${check.name}`,
        `add check ${check.name}`,
        'in the state it is in',
        'reads the new table once',
        shadowCheck(names.shadow, check),
      ),
    ),
    ...foreignKeys.flatMap((foreignKey) => addForeignKey(names.shadow, foreignKey)),
    {
      ...described('reconcile', 'catch up until the log is short', 'what is left is caught up with under the lock'),
      kind: 'reconcile',
      work: forward,
      pass: 'until the log is short',
    },
    {
      ...described(
        'vacuum',
        `vacuum and analyze ${display(names.shadow)}`,
        'its plans and its visibility map are ready when it takes over',
      ),
      kind: 'alone',
      statements: [sql`vacuum (analyze) ${quoted(names.shadow)}`.text],
    },
    {
      ...described(
        'verify',
        'compare both tables, row by row',
        'counts and hashes in one snapshot, exact while everybody writes',
      ),
      kind: 'verify',
      work: forward,
      rowExpression: rowExpression(table),
    },
    online(
      'way-back',
      'prepare to catch changes for the way back',
      'from the swap on, so that a roll-back loses nothing',
      'milliseconds',
      prepareCapture(rebuild.back.capture),
    ),
    swapStep(situation, rebuild, names),
    ...table.inboundForeignKeys
      .filter(({ validated }) => validated)
      .map((inbound) => validateInbound(table.name, inbound)),
    online(
      'release',
      'drop the log of the copy',
      'nothing is caught there any more',
      'milliseconds',
      endCapture({ ...forward.capture, table: rebuild.retired }),
    ),
    online('analyze', `analyze ${display(table.name)}`, 'for its extended statistics', 'reads a sample', [
      sql`analyze ${quoted(table.name)}`.text,
    ]),
  ]
}

function described(key: string, title: string, because: string) {
  return { key, title, because, locks: [] as Lock[], cost: '', statements: [] as string[] }
}

function online(key: string, title: string, because: string, cost: string, statements: readonly string[]): OnlineStep {
  return { kind: 'online', key, title, because, locks: [], cost, statements }
}

function beginCapture(capture: Capture): BriefStep {
  const { table } = capture
  return {
    kind: 'brief',
    key: 'capture',
    title: `catch the changes of ${display(table)} from now on`,
    because: 'the key of each changed row goes into a log; about 3 µs a row',
    locks: [{ table, mode: 'SHARE ROW EXCLUSIVE', blocks: 'writes', held: 'milliseconds' }],
    cost: 'milliseconds',
    quiet: table,
    acquire: [sql`lock table ${quoted(table)} in share row exclusive mode`.text],
    statements: startCapture(capture),
  }
}

function copyStep({ table, keptRows }: RebuildSituation, { transport, jobs }: RebuildRequest, work: CopyWork): Step {
  const key = sameKey(work.capture.key, 'l', 's').text
  return {
    kind: 'copy',
    key: 'copy',
    title: `copy about ${showCount(keptRows)} rows`,
    because:
      'in chunks of blocks, each under a short snapshot and recorded with its rows, so that a kill costs one chunk',
    locks: [{ table: table.name, mode: 'ACCESS SHARE', blocks: 'nothing', held: 'all along' }],
    cost: `reads ${showBytes(table.size.heap + table.size.toast)}, about ${showDuration((table.size.heap + table.size.toast) / 100_000_000)}`,
    statements: [
      `-- for each range of blocks\ninsert into ${quoted(work.target).text} (${work.columns}) select ${work.columns} from ${quoted(work.source).text} s where ctid >= … and ctid < … and ${work.keep === null ? 'true' : `(${work.keep})`} and not exists (select from ${quoted(work.capture.log).text} l where ${key})`,
    ],
    work,
    transport,
    jobs,
  }
}

function addForeignKey(shadow: TableName, key: TableModel['constraints'][number]): Step[] {
  const referenced = key.references as TableName
  const add: BriefStep = {
    kind: 'brief',
    key: `foreign-key:${key.name}`,
    title: `add foreign key ${key.name}`,
    because: 'without looking at the rows yet',
    locks: [{ table: referenced, mode: 'SHARE ROW EXCLUSIVE', blocks: 'writes', held: 'milliseconds' }],
    cost: 'milliseconds',
    quiet: null,
    acquire: [],
    statements: shadowForeignKey(shadow, key),
  }
  if (!key.validated) return [add]
  return [
    add,
    online(
      `validate:${key.name}`,
      `validate foreign key ${key.name}`,
      'this reads every row once, while everybody works',
      'reads the new table once',
      [sql`alter table ${quoted(shadow)} validate constraint ${ident(key.name)}`.text],
    ),
  ]
}

function swapStep(situation: RebuildSituation, rebuild: RebuildSummary, names: ShadowNames): SwapStep {
  const { table, server } = situation
  const { retired, aside, forward, back } = rebuild
  const exclusive = (name: TableName): Lock => ({
    table: name,
    mode: 'ACCESS EXCLUSIVE',
    blocks: 'reads and writes',
    held: 'milliseconds',
  })
  const ours = [forward, back].flatMap(({ capture }) => [capture.trigger, capture.truncateTrigger])
  return {
    kind: 'swap',
    key: 'swap',
    title: `let ${display(names.shadow)} become ${display(table.name)}, and ${display(table.name)} ${display(retired)}`,
    because: 'it holds every row worth keeping, in its present state',
    locks: [...table.views.map(({ name }) => name), table.name, ...neighbours(table)].map(exclusive),
    cost: 'milliseconds; the time under lock is measured and reported',
    quiet: table.name,
    table: table.name,
    acquire: acquire(table, aside),
    statements: [
      ...stepAside(table, rebuild),
      ...takePlace(table, names),
      ...definitions.grants('table', table.name, table.owner, table.grants, table.defaultGrantees),
      ...table.triggers.flatMap((trigger) => definitions.trigger(table.name, trigger)),
      ...table.triggers.flatMap((trigger) => definitions.triggerState([table.name], trigger)),
      ...definitions.rowSecurity(table.name, table.rowSecurity),
      ...definitions.policies(table),
      ...definitions.rules(table),
      ...definitions.statistics(table, server.role),
      ...definitions.replicaIdentity(
        table.name,
        table,
        table.indexes.find(({ replicaIdentity }) => replicaIdentity)?.name ?? null,
      ),
      ...definitions.tableComment(table),
      ...definitions.publications(table.name, retired, table.publications),
      ...definitions.sequences(table, retired, aside.sequences),
      ...definitions.views(table),
      ...definitions.functions(table),
      ...table.inboundForeignKeys.flatMap((key) => definitions.repointForeignKey(key)),
      ...startCapture(back.capture),
    ],
    before: factsOf({ ...table, sequences: sequencesUnderLock(table, aside) }),
    after: factsOf(table),
    ours,
    partitions: [],
    mustBeEmpty: [],
    work: forward,
  }
}

// The retired table must not stand in anybody's way: its triggers would fire when it is brought up to date for a
// roll-back, and its foreign keys would keep rows elsewhere from being deleted for the sake of rows nobody sees.
function stepAside(table: TableModel, { retired, aside, forward }: RebuildSummary): string[] {
  const place = quoted(retired)
  const { trigger, truncateTrigger } = forward.capture
  return [
    sql`alter table ${quoted(table.name)} rename to ${ident(retired.name)}`.text,
    ...Object.entries(aside.indexes).map(
      ([name, other]) => sql`alter index ${ident(table.name.schema, name)} rename to ${ident(other)}`.text,
    ),
    ...table.statistics.map(
      ({ name }) => sql`alter statistics ${quoted(name)} rename to ${ident(aside.statistics[name.name] ?? '')}`.text,
    ),
    ...[trigger, truncateTrigger, ...table.triggers.map(({ name }) => name)].map(
      (name) => sql`drop trigger ${ident(name)} on ${place}`.text,
    ),
    ...table.constraints
      .filter(({ type }) => type === 'foreign key')
      .map(({ name }) => sql`alter table ${place} drop constraint ${ident(name)}`.text),
  ]
}

function takePlace(table: TableModel, { shadow, indexes }: ShadowNames): string[] {
  const autovacuum = table.options.find((option) => option.startsWith('autovacuum_enabled='))
  return [
    sql`alter table ${quoted(shadow)} rename to ${ident(table.name.name)}`.text,
    ...Object.entries(indexes).map(
      ([name, built]) => sql`alter index ${ident(table.name.schema, built)} rename to ${ident(name)}`.text,
    ),
    autovacuum === undefined
      ? sql`alter table ${quoted(table.name)} reset (autovacuum_enabled)`.text
      : sql`alter table ${quoted(table.name)} set (${raw(autovacuum)})`.text,
  ]
}

/** Types that PostgreSQL cannot hash go as text. */
const UNHASHED =
  /^(json|xml|point|line|lseg|box|path|polygon|circle|tsquery|txid_snapshot|pg_snapshot|money|bit|bit varying|tsvector)\b/

function rowExpression(table: TableModel): string {
  if (!table.columns.some(({ type }) => UNHASHED.test(type))) return 's'
  return `row(${table.columns.map(({ name, type }) => `s.${ident(name).text}${UNHASHED.test(type) ? '::text' : ''}`).join(', ')})`
}

function costOf(bytes: number, { keptRows, table }: RebuildSituation): string {
  const share =
    table.estimatedRows === null || table.estimatedRows === 0 ? 1 : Math.min(1, keptRows / table.estimatedRows)
  return `about ${showBytes(bytes * share)}`
}

function evidenceOf({ table, keptRows, predicate }: RebuildSituation, request: RebuildRequest, key: CopyKey): string[] {
  const rows = table.estimatedRows
  const share = rows === null || rows === 0 ? 1 : Math.min(1, keptRows / rows)
  const size = (table.size.heap + table.size.toast + table.size.indexes) * share
  return [
    ...(predicate === null ? [] : [`kept: ${predicate.text}`]),
    `${showCount(keptRows)} of ${rows === null ? 'an unknown number of' : showCount(rows)} rows are kept, by the planner’s estimate`,
    `rows are recognised by ${key.columns.map(({ name }) => name).join(', ')} (${key.index})`,
    `the new table needs about ${showBytes(size)} of disk; ${display(table.name)} keeps its ${showBytes(table.size.heap + table.size.toast + table.size.indexes)} until \`ebb retire\``,
    `transport: ${request.transport === 'auto' ? 'both are tried on the first chunks, and the faster one goes on' : request.transport}`,
  ]
}

function object(code: string, what: string, wayOut: string): Objection {
  return { code, what, wayOut, acceptable: false }
}

/** The literal for the moment that now() stands for. */
export function momentLiteral(nowMicros: string): string {
  const micros = BigInt(nowMicros)
  const iso = new Date(Number(micros / 1000n))
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, '')
  return literal(`${iso}.${String(micros % 1_000_000n).padStart(6, '0')}+00`).text.slice(1, -1)
}

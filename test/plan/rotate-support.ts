import type { Partition, PartitionedTable } from '../../src/catalog/partitions/partitioned-table.ts'
import { fromText, type KeyKind } from '../../src/grid/key.ts'
import { parseInterval } from '../../src/grid/interval.ts'
import type { RotateRequest } from '../../src/plan/rotate/request.ts'
import type { RotationPlan, RotationSituation } from '../../src/plan/rotate/plan.ts'
import type { SetPolicy } from '../../src/plan/language/policy.ts'
import { instant, server } from '../support/models.ts'

export const MONTHLY: SetPolicy = {
  column: 'at',
  kind: 'timestamptz',
  timezone: 'UTC',
  every: { kind: 'interval', interval: { count: 1, unit: 'month' } },
  expireBy: null,
  keep: { count: 90, unit: 'day' },
  premake: 3,
}

export const BY_ID: SetPolicy = {
  ...MONTHLY,
  column: 'id',
  kind: 'id',
  every: { kind: 'ids', ids: 1000n },
  expireBy: 'at',
}

/** A partition between two bounds as text; null is without a bound. */
export function partition(
  from: string | null,
  to: string | null,
  changes: Partial<Partition> = {},
  kind: KeyKind = 'timestamptz',
): Partition {
  const whole = (text: string) => (kind === 'timestamptz' && text.length === 10 ? `${text} 00:00:00+00` : text)
  const place = (text: string | null) => (text === null ? null : fromText(kind, whole(text)))
  const fromText_ = from === null ? null : whole(from)
  const toText = to === null ? null : whole(to)
  const name = `p_${from ?? 'min'}`
  return {
    oid: `oid of ${name}`,
    name: { schema: 'public', name },
    kind: 'table',
    columnar: false,
    isDefault: false,
    detachPending: false,
    range: { from: place(from), to: place(to), fromText: fromText_, toText, toIsExact: true },
    boundsText: `FOR VALUES FROM (${fromText_ === null ? 'MINVALUE' : `'${fromText_}'`}) TO (${toText === null ? 'MAXVALUE' : `'${toText}'`})`,
    estimatedRows: 100,
    bytes: 8192,
    empty: false,
    actAsOwner: true,
    tablespace: null,
    accessMethod: 'heap',
    options: [],
    rowSecurity: false,
    rowsHidden: false,
    identity: 'default',
    own: [],
    foreignKeys: [],
    dependents: [],
    tree: null,
    ...changes,
  }
}

/** Partitions between each two of the bounds. */
export function partitions(...bounds: (string | null)[]): Partition[] {
  return bounds.slice(1).map((to, i) => partition(bounds[i] ?? null, to))
}

export function setOf(list: readonly Partition[], changes: Partial<PartitionedTable> = {}): PartitionedTable {
  return {
    oid: '1',
    name: { schema: 'public', name: 'events' },
    owner: 'ebb_owner',
    strategy: 'range',
    key: { column: 'at', type: 'timestamp with time zone', kind: 'timestamptz' },
    columns: [
      { name: 'id', type: 'bigint', notNull: true, generated: false },
      { name: 'at', type: 'timestamp with time zone', notNull: true, generated: false },
    ],
    partitions: list,
    tablespace: null,
    accessMethod: null,
    rowSecurity: 'off',
    defaultGrantees: [],
    unusualTriggers: [],
    references: [],
    inboundForeignKeys: [],
    publications: [],
    excludes: false,
    actAsOwner: true,
    createInSchema: true,
    sequencePosition: null,
    ...changes,
  }
}

export function idSet(list: readonly Partition[], changes: Partial<PartitionedTable> = {}): PartitionedTable {
  return setOf(list, { key: { column: 'id', type: 'bigint', kind: 'id' }, ...changes })
}

export function situation(
  set: PartitionedTable,
  now: string,
  changes: Partial<RotationSituation> = {},
): RotationSituation {
  return {
    server: server({ now: instant(now).toString() }),
    readAt: instant(now).toString(),
    journalSchema: 'ebb',
    set,
    registered: MONTHLY,
    timezone: 'UTC',
    newest: { key: instant(now), time: null },
    thorough: false,
    idRate: null,
    fallback: null,
    moved: [],
    newestIn: new Map(),
    begun: [],
    holds: [],
    unfinished: null,
    taken: new Set(),
    ...changes,
  }
}

export function request(
  changes: Partial<Omit<RotateRequest, 'keep' | 'grace'>> & { keep?: string; grace?: string } = {},
): RotateRequest {
  const { keep, grace, ...rest } = changes
  return {
    tables: 'all',
    keep: keep === undefined ? null : parseInterval(keep),
    retire: 'drop',
    grace: grace === undefined ? null : parseInterval(grace),
    archive: null,
    noArchive: true,
    forget: false,
    accept: [],
    ...rest,
  }
}

/** What a plan would make and remove, in few words. */
export function gist(plan: RotationPlan) {
  return {
    create: plan.create.map(({ shown }) => `${shown.from} … ${shown.to}`.replaceAll(' 00:00 UTC', '')),
    retire: plan.retire.map(({ partition }) => partition.name.name),
    objections: plan.objections.map(({ code }) => code),
  }
}

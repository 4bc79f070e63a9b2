import type { Retire } from '../plan/rotate/request.ts'

// What a config may say, for those who write it as a program. The same as the schema (schema.ts), with types.

/** Says what is kept of each table. Returns it as it is; editors complete and check it. */
export function defineConfig(config: Config): Config {
  return config
}

export interface Config {
  /** The schema of Ebb's journal; `ebb` by default. */
  readonly journalSchema?: string
  /** What policies have that do not say otherwise. */
  readonly defaults?: PolicyDefaults
  /** Who is told how `ebb run` has ended: a webhook (`https://…`), or a shell command. A program awaits the result instead. */
  readonly hooks?: { readonly onFailure?: string; readonly onObjection?: string; readonly onFinish?: string }
  /** By table, as SQL names it: `public.events`. */
  readonly policies: Readonly<Record<string, PolicyConfig>>
}

/** What commands have in common. */
export interface SharedConfig {
  /** Retention period of a partitioned table: `90 days`. */
  readonly keep?: string
  /** What happens to expired partitions; `drop` by default. */
  readonly retire?: Retire
  /** With `retire: 'move'`: the foreign server of postgres_fdw. */
  readonly to?: string
  /** The same server as Ebb reaches it; a variable of the environment, `${COLD_URL}`. */
  readonly toUrl?: string
  /** With `retire: 'move'`: rows older than this are removed from the other server, too: `7 years`. */
  readonly keepMoved?: string
  /** How long detached partitions stay before they are dropped: `7 days`. */
  readonly grace?: string
  /** Where rows are archived before they are removed: a directory, `file:///dir`, `s3://bucket/prefix`; or `none`. */
  readonly archive?: string
  readonly partSize?: string | number
  readonly archiveFormat?: 'csv' | 'parquet'
  readonly compression?: 'zstd' | 'gzip' | 'none'
  readonly encryptTo?: readonly string[]
  /** What the journal says of the table is kept for longer than 400 days: `7 years`. */
  readonly keepJournal?: string
  /** lock_timeout of each attempt: how long others may queue behind it. */
  readonly lockTimeoutMs?: number
  /** How long locks are retried, of tables and of rows: `10 minutes`, or milliseconds. */
  readonly deadlineMs?: string | number
  /** Waits for another run on the same table: `10 minutes`, milliseconds, or `true`: as long as `deadlineMs`. */
  readonly wait?: string | number | true
  readonly pace?: PaceConfig
  /** Codes of blocking issues that are accepted at every run. */
  readonly accept?: readonly string[]
}

/** When a run gives way: as the flags and options of that name. */
export interface PaceConfig {
  readonly maxBlocked?: string | number
  readonly maxReplicaLagBytes?: string | number
  readonly maxSlotWalBytes?: string | number
  readonly maxWalBytesPerSecond?: string | number
  readonly maxArchiveBacklogBytes?: string | number
  readonly maxActive?: string | number
  readonly yieldToVacuum?: 'none' | 'wraparound' | 'any'
  /** Times of the day: `01:00-05:00`, `22:00-04:00 Europe/Berlin`. */
  readonly windows?: readonly string[]
  readonly healthSql?: string
  readonly healthUrl?: string
  readonly pauseFile?: string
  readonly stopFile?: string
  readonly pauseMs?: number
  readonly targetMs?: number
  readonly paceFile?: string
}

export interface PolicyDefaults extends SharedConfig {
  readonly partition?: { readonly premake?: number; readonly timezone?: string }
}

export interface PolicyConfig extends SharedConfig {
  /** How the table is partitioned; `ebb partition` converts one that is not. */
  readonly partition?: {
    readonly by: string
    readonly every: string | number
    readonly premake?: number
    readonly timezone?: string
    readonly expireBy?: string
  }
  /** Rows that are marked as deleted. */
  readonly mark?: {
    readonly where: string
    readonly column: string
    readonly allRows?: boolean
    readonly vacuum?: boolean
  }
  /** A view without the rows that are marked, expired or older. */
  readonly view?: {
    /** The table's with `_live` by default. */
    readonly name?: string
    readonly hideMarked?: string
    readonly expired?: string
    readonly keep?: { readonly by: string; readonly interval: string }
  }
  /** Until when no row is removed: `2027-01-01`. */
  readonly hold?: { readonly until: string; readonly reason?: string }
  /** Groups without activity, whose rows are removed. */
  readonly stale?: DeletionConfig & {
    readonly group: string
    readonly activity: string
    readonly idle: string
    /** `experiments.archived`: where the groups are marked first. */
    readonly flag?: string
  }
  /** Rows that are removed: those of a condition, or those that `mark` has marked. */
  readonly purge?: DeletionConfig & {
    readonly where?: string
    readonly marked?: { readonly column: string; readonly olderThan?: string }
  }
}

/** How rows are deleted. */
export interface DeletionConfig {
  readonly cascade?: boolean
  readonly protect?: readonly string[]
  readonly orderBy?: string
  readonly allRows?: boolean
  readonly vacuum?: boolean
}

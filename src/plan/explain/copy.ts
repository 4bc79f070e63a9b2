import { comment } from '../../text/comment.ts'
import { quoted } from '../../sql/names.ts'
import { statementComment } from '../../sql/spelled-out.ts'
import { takeFromLog } from '../copy/capture.ts'
import { sameKey } from '../copy/key.ts'
import type { CopyWork } from '../copy/work.ts'
import { dualWritesBlock, ROWS_OF_A_TRANSACTION } from '../copy/dual-writes.ts'
import type { CopyStep, ReconcileStep, Step, VerifyStep } from '../language/step.ts'

// The steps of a copy are loops around SQL, with decisions in between, which a
// script cannot perform. Their statements are shown as comments, and psql is kept
// from running the steps around them, which would swap in a table without rows.

/** Whether only Ebb itself can perform the step. */
export function isBeyondSql(step: Step): boolean {
  if (step.kind === 'swap') return step.work !== null
  return BEYOND_SQL[step.kind]
}

/** By kind, so that a new kind does not compile until it is known whether psql may run it. Of a swap it depends on its work. */
export const BEYOND_SQL = {
  'dry run': false,
  index: false,
  'drop index': false,
  copy: true,
  reconcile: true,
  verify: true,
  purge: true,
  vacuum: false,
  check: true,
  'archive set': true,
  removal: true,
  alone: false,
  online: false,
  'short lock': false,
  swap: false,
  detach: false,
  archive: true,
  move: true,
  rewrite: true,
  restore: true,
} satisfies Record<Step['kind'], boolean>

/** Stops psql. */
export const STOP_PSQL =
  "do $$ begin raise exception 'This plan is for reading only: it has steps that only Ebb can perform.' using hint = 'Nothing has been changed. The last line of the plan is the command to run.'; end $$;"

/** The statements a step of a copy repeats, as comments. */
export function explainCopying(step: CopyStep | ReconcileStep | VerifyStep): string[] {
  switch (step.kind) {
    case 'copy':
      return pattern(
        'not plain SQL: Ebb repeats this for each range of blocks, or of values of an index on the kept rows',
        chunk(step),
      )
    case 'reconcile':
      return pattern(
        step.pass === 'whole log at once'
          ? 'not plain SQL: Ebb does this once'
          : 'not plain SQL: Ebb repeats this batch by batch until the backlog is small',
        ['begin isolation level repeatable read;', ...catchUp(step.work, BATCH[step.pass]), 'commit;'],
      )
    case 'verify':
      return pattern(
        'not plain SQL: Ebb repeats this for each range of keys, and compares rows that differ once more, as text and in binary form',
        compare(step),
      )
  }
}

/** What precedes the locks of a swap. */
export function explainDualWrites(work: CopyWork): string[] {
  return pattern(
    'not plain SQL: from here on each change is written to both tables, as follows; Ebb applies the rest of the backlog, and waits for all transactions that began before',
    [dualWritesBlock(work, { rows: ROWS_OF_A_TRANSACTION, deferrable: [] })],
  )
}

/** What a swap does between taking its locks and renaming the tables. */
export function explainComplete({ capture: { log } }: CopyWork): string[] {
  return pattern('not plain SQL: Ebb checks that the capture has no gap and that the log is empty', [
    `select from ${quoted(log).text} limit 1;`,
  ])
}

function pattern(what: string, statements: readonly string[]): string[] {
  return [...comment(`${what}:`, '  '), ...statements.flatMap((statement) => statementComment(statement, '    '))]
}

function chunk({ work, transport }: CopyStep): string[] {
  const { columns, source } = work
  const range = "s.ctid >= '(first block,0)' and s.ctid < '(end block,0)'"
  const rows = `select ${columns} from ${quoted(source).text} s where ${range} and ${kept(work)}`
  const streamed = [
    `copy (${rows}) to stdout (format binary);`,
    `copy ${place(work)} from stdin (format binary); -- in another session, from the first`,
  ]
  const inside = [`insert into ${place(work)} ${rows};`]
  switch (transport) {
    case 'copy':
      return streamed
    case 'server':
      return inside
    case 'auto':
      return [...inside, 'or, if that is faster here:', ...streamed]
  }
}

const BATCH = { 'whole log at once': null, 'until the log is short': '…' } as const

function catchUp(work: CopyWork, limit: string | null): string[] {
  const { capture, source, target, columns } = work
  const { key } = capture
  return [
    `create temporary table batch as with taken as (${takeFromLog(capture, limit).text}) select * from taken;`,
    `delete from ${quoted(target).text} t using batch b where ${sameKey(key, 't', 'b').text};`,
    `insert into ${place(work)} select ${columns} from ${quoted(source).text} s where ${kept(work)} and exists (select from batch b where ${sameKey(key, 's', 'b').text});`,
  ]
}

function compare({ work, shared }: VerifyStep): string[] {
  const side = (columns: string, table: CopyWork['source'], rows: string) =>
    `(select ${columns} from ${quoted(table).text} s where … and ${rows} and ${notInLog(work)})`
  const source = side('*', work.source, kept(work))
  const target = side(shared === null ? '*' : `*, (${shared}\n) as shared`, work.target, 'true')
  const alone = shared === null ? 's is null' : 's is null and t.shared'
  return [
    'begin isolation level repeatable read, read only;',
    `select count(*) from ${source} s full join ${target} t on ${sameKey(work.capture.key, 's', 't').text} where t is null or ${alone} or s.* *<> t.*;`,
    'commit;',
  ]
}

function place({ target, columns }: CopyWork): string {
  return `${quoted(target).text} (${columns})`
}

// The condition may end in a comment.
function kept({ keep }: CopyWork): string {
  return keep === null ? 'true' : `(${keep}\n)`
}

function notInLog({ capture: { key, log } }: CopyWork): string {
  return `not exists (select from ${quoted(log).text} l where ${sameKey(key, 'l', 's').text})`
}

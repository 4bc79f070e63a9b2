import { comment } from '../../text/comment.ts'
import { quoted } from '../../sql/names.ts'
import { statementComment } from '../../sql/spelled-out.ts'
import { keyList, sameKey } from '../copy/key.ts'
import type { CopyWork } from '../copy/work.ts'
import { dualWritesBlock, ROWS_OF_A_TRANSACTION } from '../copy/dual-writes.ts'
import type { RotationStep } from '../rotate/step.ts'
import type { CopyStep, ReconcileStep, Step, VerifyStep } from '../language/step.ts'

// The steps of a copy are loops around SQL, with decisions in between: no script
// can do them. Their pattern is shown in comments, and psql is kept from running
// what stands around them, for that would swap in a table without its rows.

/** Whether Ebb itself is needed for it. */
export function isBeyondSql(step: Step | RotationStep): boolean {
  if (step.kind === 'swap') return step.work !== null
  return BEYOND.includes(step.kind)
}

const BEYOND: readonly string[] = ['copy', 'reconcile', 'verify', 'purge', 'check']

/** Lets psql go no further. */
export const STOP_PSQL =
  "do $$ begin raise exception 'This plan is for reading. What Ebb itself does in it, no script can do.' using hint = 'Nothing has been changed. The last line of the plan says what to type.'; end $$;"

/** What a step of a copy repeats, as comments. */
export function explainCopying(step: CopyStep | ReconcileStep | VerifyStep): string[] {
  switch (step.kind) {
    case 'copy':
      return pattern(
        'no plain SQL: Ebb does this for one range of blocks after the other, or of values of an index that reaches the kept rows',
        chunk(step),
      )
    case 'reconcile':
      return pattern(
        step.pass === 'whole log at once'
          ? 'no plain SQL: Ebb does this once'
          : 'no plain SQL: Ebb does this batch by batch, until few entries are left in the log',
        ['begin isolation level repeatable read;', ...catchUp(step.work, BATCH[step.pass]), 'commit;'],
      )
    case 'verify':
      return pattern(
        'no plain SQL: Ebb does this for one range of keys after the other, and looks at rows that differ once more, as text and in binary form',
        compare(step),
      )
  }
}

/** What comes before the locks of a swap. */
export function explainDualWrites(work: CopyWork): string[] {
  return pattern(
    'no plain SQL: Ebb has each change written to both tables from here on, as follows, catches up with the rest of the log, and waits until no transaction is left that began before',
    [dualWritesBlock(work, { rows: ROWS_OF_A_TRANSACTION, deferrable: [] })],
  )
}

/** What a swap does between taking its locks and exchanging the names. */
export function explainComplete({ capture: { log } }: CopyWork): string[] {
  return pattern('no plain SQL: Ebb makes sure that the capture has no gap, and that nothing is left in the log', [
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

const BATCH = { 'whole log at once': '', 'until the log is short': ' order by ebb_seq limit …' } as const

function catchUp(work: CopyWork, some: string): string[] {
  const { capture, source, target, columns } = work
  const { key } = capture
  const log = quoted(capture.log).text
  return [
    `create temporary table batch as with taken as (delete from ${log} where ebb_seq in (select ebb_seq from ${log}${some}) returning ${keyList(key).text}) select * from taken;`,
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

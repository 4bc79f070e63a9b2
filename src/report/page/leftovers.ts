import { heldRows, heldText } from '../../plan/language/hold.ts'
import { display } from '../../sql/names.ts'
import type { ReportData } from './data.ts'
import { bytes, count, moment } from './figures.ts'
import { html, type Content, type Html } from './html.ts'
import { table } from './table.ts'

/** What still takes room, or is kept for a reason: retired tables, detached partitions, holds, archives. */
export function leftoversSection({ overview, retired }: ReportData): Html | null {
  const { detached, holds } = overview.status
  const parts = [
    ...(retired.length === 0 ? [] : [retiredTables(retired)]),
    ...(detached.length === 0 ? [] : [detachedPartitions(detached)]),
    ...(holds.length === 0 ? [] : [held(holds)]),
    ...(overview.archived.length === 0 ? [] : [archived(overview.archived)]),
  ]
  return parts.length === 0
    ? null
    : html`<section id="kept">
        <h2>Kept, and stored elsewhere</h2>
        ${parts}
      </section>`
}

function retiredTables(retired: ReportData['retired']): Html {
  return table(
    'Retired tables: kept for a rollback.',
    [
      { title: 'Table' },
      { title: 'Of run' },
      { title: 'Since' },
      { title: 'May be dropped' },
      { title: 'Size', figure: true },
    ],
    retired.map(({ retired, recorded, runId, since, goesAt }): Content[] => [
      html`<bdi>${display(retired?.name ?? recorded)}</bdi
        >${retired === null ? ' (dropped; its capture is left)' : null}`,
      ...[
        runId,
        moment(since),
        goesAt === null ? `by ebb retire ${runId}` : moment(goesAt),
        bytes(retired?.bytes ?? null),
      ],
    ]),
  )
}

function detachedPartitions(detached: ReportData['overview']['status']['detached']): Html {
  const goes = { renamed: 'not by itself: it was renamed', written: 'not by itself: it was written to' }
  return table(
    'Detached partitions: ebb reattach takes one back.',
    [
      { title: 'Partition' },
      { title: 'Of' },
      { title: 'Since' },
      { title: 'May be dropped' },
      { title: 'Size', figure: true },
    ],
    detached.map((one): Content[] => [
      html`<bdi>${display(one.partition)}</bdi>`,
      html`<bdi>${display(one.table)}</bdi>`,
      moment(one.detachedAt),
      one.kept !== null ? goes[one.kept] : one.goesAt === null ? 'with the next rotation' : moment(one.goesAt),
      bytes(one.bytes),
    ]),
  )
}

function held(holds: ReportData['overview']['status']['holds']): Html {
  return table(
    'On hold: no command removes these rows before.',
    [{ title: 'Table' }, { title: 'What' }, { title: 'Until' }],
    holds.map((hold): Content[] => [
      html`<bdi>${display(hold.table)}</bdi>`,
      html`${heldRows(hold)} <bdi>${hold.bounds}</bdi>, ${heldText(hold)}`,
      moment(hold.until),
    ]),
  )
}

function archived(tables: ReportData['overview']['archived']): Html {
  return table(
    'Archives with a receipt, by table.',
    [
      { title: 'Table' },
      { title: 'Archives', figure: true },
      { title: 'Rows', figure: true },
      { title: 'Stored', figure: true },
      { title: 'Latest' },
    ],
    tables.map(({ table: name, archives, rows, bytes: stored, latest }): Content[] => [
      ...[html`<bdi>${display(name)}</bdi>`, count(archives), count(rows), bytes(stored), moment(latest)],
    ]),
  )
}

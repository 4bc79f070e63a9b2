import { display, sameName, type TableName } from '../../sql/names.ts'
import type { Notice, ReportData } from './data.ts'
import { html, type Html } from './html.ts'
import type { PartitionState, SeenSet } from './seen-set.ts'
import { plural } from '../../text/units.ts'

const MOST = 50

/**
 * What has been found, and without a config what the partitions tell: how many have expired, and how many are missing
 * ahead. With one, that has been found by planning.
 */
export function allNotices(sets: readonly SeenSet[], { notices, hasConfig }: ReportData): Notice[] {
  return [...notices, ...(hasConfig ? [] : sets.flatMap(dueOf))]
}

function dueOf({ table, partitions, runway, set: { policy } }: SeenSet): Notice[] {
  const of = (...states: readonly PartitionState[]) => partitions.filter(({ state }) => states.includes(state)).length
  const [expired, missing] = [of('expired'), runway === null ? 0 : policy.premake - of('ahead')]
  const name = display(table)
  return [
    ...(missing > 0 && runway !== 'missing'
      ? [
          due(
            table,
            `${name}: ${plural(missing, 'partition')} of ${policy.premake} ahead ${missing === 1 ? 'is' : 'are'} missing`,
          ),
        ]
      : []),
    ...(expired > 0 ? [due(table, `${name}: ${plural(expired, 'partition')} can be retired`)] : []),
  ]
}

function due(table: TableName, text: string): Notice {
  return { level: 'due', table, text }
}

/** What somebody should look at, the worst first. */
export function attentionSection({ notices, hasConfig }: ReportData): Html {
  const shown = notices.slice(0, MOST)
  const more = notices.length - shown.length
  return html`<section id="attention">
    <h2>Needs attention</h2>
    ${
      notices.length === 0
        ? html`<p>Nothing is due, and nothing is wrong${hasConfig ? '' : ', as far as the journal tells'}.</p>`
        : noticeList(shown)
    }${more > 0 ? html`<p>… and ${more} more: ebb check lists all of them.</p>` : null}
  </section>`
}

export function noticeList(notices: readonly Notice[]): Html {
  return html`<ul class="notices">
    ${notices.map(({ level, text }) => html`<li class="${level}">${badge(level)} <bdi>${text}</bdi></li>`)}
  </ul>`
}

export function badge(level: Notice['level']): Html {
  return html`<span class="badge ${level}">${level}</span>`
}

export function noticesOf(notices: readonly Notice[], table: TableName): Notice[] {
  return notices.filter((one) => one.table !== null && sameName(one.table, table))
}

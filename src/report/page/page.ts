import { allNotices, attentionSection } from './attention.ts'
import { comingSection, comingUp } from './coming.ts'
import type { ReportData } from './data.ts'
import { bytes, count, dateOf, moment } from './figures.ts'
import { html, type Content, type Html } from './html.ts'
import { leftoversSection } from './leftovers.ts'
import { PATTERNS } from './legend.ts'
import { runsSection } from './runs.ts'
import { seenSet, type SeenSet } from './seen-set.ts'
import { setsSection } from './sets.ts'
import { STYLE } from './style.ts'

/** Nothing is loaded from anywhere, and nothing runs, whatever the names of tables are. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

/** One page with everything in it, to be opened in a browser. Pure: the same data make the same page. */
export function reportPage(given: ReportData): string {
  const { status, now } = given.overview
  const sets = given.overview.sets.map((set) => seenSet(set, status.holds, now))
  const data = { ...given, notices: allNotices(sets, given) }
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="robots" content="noindex" />
        <link rel="icon" href="data:," />
        <title>Ebb: ${data.overview.server.database}</title>
        <style>
          ${STYLE}
        </style>
      </head>
      <body>
        ${PATTERNS}
        <header>${heading(data)}${summary(sets, data)}${contents()}</header>
        <main>
          ${attentionSection(data)} ${comingSection(comingUp(sets, data))} ${setsSection(sets, data)}
          ${runsSection(data)} ${leftoversSection(data)}
        </main>
        <footer>
          <p>
            Made by Ebb ${data.version} from the catalogue and the journal of the database. Numbers of rows marked
            “about” are the planner’s estimates; sizes are with indexes and TOAST, in powers of 1,000. Times are in UTC
            unless another zone is named.
          </p>
        </footer>
      </body>
    </html> `.text
}

function heading({ place, overview }: ReportData): Html {
  const { server, now } = overview
  return html`<h1>Ebb on <bdi>${server.database}</bdi></h1>
    <p class="place">
      <bdi>${place}</bdi>, PostgreSQL ${server.versionText}${server.inRecovery ? ' (a standby)' : ''}, as of
      ${moment(dateOf(now))}
    </p>`
}

function summary(sets: readonly SeenSet[], { notices, overview }: ReportData): Html {
  const of = (level: string) => notices.filter((one) => one.level === level).length
  const unfinished = overview.status.runs.filter(({ status }) => status === 'running').length
  const tiles: readonly (readonly [string, Content])[] = [
    ['critical', count(of('critical'))],
    ['warnings', count(of('warning'))],
    ['due', count(of('due'))],
    ['unfinished runs', count(unfinished)],
    ['tables rotated', count(sets.length)],
    ['partitions', count(sets.reduce((sum, { partitions }) => sum + partitions.length, 0))],
    ['total size', bytes(sets.reduce((sum, set) => sum + set.bytes, 0))],
  ]
  return html`<dl class="tiles">
    ${tiles.map(
      ([term, figure]) =>
        html`<div>
          <dt>${term}</dt>
          <dd>${figure}</dd>
        </div>`,
    )}
  </dl>`
}

function contents(): Html {
  const parts = [
    ['attention', 'Needs attention'],
    ['coming', 'Due next'],
    ['tables', 'Partitioned tables'],
    ['runs', 'Runs'],
  ]
  return html`<nav aria-label="On this page">
    <ul>
      ${parts.map(([id, title]) => html`<li><a href="#${id ?? ''}">${title ?? ''}</a></li>`)}
    </ul>
  </nav>`
}

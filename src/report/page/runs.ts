import type { RunStatusLine } from '../../engine/runs/status.ts'
import type { RunFigures } from '../../journal/run-figures.ts'
import { display } from '../../sql/names.ts'
import type { ReportData } from './data.ts'
import { bytes, count, elapsed, instant, moment, NONE } from './figures.ts'
import { html, type Content, type Html } from './html.ts'
import { reasonsOf, runCharts } from './run-chart.ts'
import { table } from './table.ts'
import { plural } from '../../text/units.ts'

const COLUMNS = [
  ...[{ title: 'Run' }, { title: 'What' }, { title: 'State' }, { title: 'Started' }, { title: 'Took', figure: true }],
  ...[
    { title: 'Rows', figure: true },
    { title: 'Paused', figure: true },
    { title: 'Blocked others', figure: true },
  ],
]

/** Unfinished and recent runs, and how the latest of those that work in pieces went. */
export function runsSection({ overview }: ReportData): Html {
  const { status, figures, courses } = overview
  const { runs } = status
  if (runs.length === 0)
    return html`<section id="runs">
      <h2>Runs</h2>
      <p>There were no runs in the last 30 days.</p>
    </section>`
  const figuresOf = new Map((figures ?? []).map((one) => [one.runId, one]))
  const charted = courses.flatMap((course) => {
    const run = runs.find(({ id }) => id === course.runId)
    const charts = runCharts(course, `r${course.runId}`)
    return run === undefined || charts === null ? [] : [runDetails(run, figuresOf.get(run.id), charts)]
  })
  const links = new Set(courses.map(({ runId }) => runId))
  return html`<section id="runs">
      <h2>Runs</h2>
      ${
        figures === null
          ? html`<p>
              This journal was written by an earlier version of Ebb, and does not show how runs went. The next command
              that changes something brings it up to date.
            </p>`
          : null
      }${table(
        'Unfinished runs first, then those of the last 30 days, the latest first. Blocked others: the longest time for which other sessions may have waited for short locks of the run, or were seen waiting for its other locks.',
        COLUMNS,
        runs.map((run) => lineOf(run, figuresOf.get(run.id), links.has(run.id))),
      )}
    </section>
    ${charted}`
}

function lineOf(run: RunStatusLine, figures: RunFigures | undefined, isLinked: boolean): Content[] {
  const { id, command, table, startedAt, endedAt } = run
  return [
    isLinked ? html`<a href="#r${id}">${id}</a>` : id,
    html`${command} <bdi>${display(table)}</bdi>`,
    stateOf(run),
    moment(startedAt),
    endedAt === null ? NONE : elapsed(endedAt.getTime() - startedAt.getTime()),
    count(figures?.pieces?.rows ?? run.rows),
    elapsed(figures?.pace == null ? null : sumOf(figures.pace.pausedMs)),
    elapsed(blockedMs(figures)),
  ]
}

function stateOf({ status, atWork, stepsDone, steps }: RunStatusLine): Content {
  if (status !== 'running') return status
  const done = `${stepsDone} of ${steps} steps`
  return atWork ? `running, ${done}` : html`<strong>unfinished</strong>, ${done}`
}

function sumOf(pausedMs: Readonly<Record<string, number>>): number {
  return Object.values(pausedMs).reduce((sum, ms) => sum + ms, 0)
}

/** Null where neither is known. */
function blockedMs(figures: RunFigures | undefined): number | null {
  const known = [figures?.locks?.longestWaitMs, figures?.pace?.longestWaitMs].filter((ms) => ms != null)
  return known.length === 0 ? null : Math.max(...known)
}

function runDetails(run: RunStatusLine, figures: RunFigures | undefined, charts: Html): Html {
  const { id, command, table, status, lastError, atWork, startedAt, endedAt } = run
  return html`<section id="r${id}" class="run" data-run="${id}">
    <h3>Run ${id}: ${command} <bdi>${display(table)}</bdi></h3>
    <dl class="facts">
      ${[
        ['State', stateOf(run)],
        [
          'Time',
          html`${instant(startedAt)}
          ${endedAt === null ? (atWork ? 'until now' : '(not ended)') : html`to ${instant(endedAt)} (${elapsed(endedAt.getTime() - startedAt.getTime())})`}`,
        ],
        ...piecesOf(figures),
        ...paceOf(figures),
        ...locksOf(figures),
        ...(status === 'running' && !atWork && lastError !== null
          ? [['Stopped by', html`<bdi>${lastError}</bdi>`]]
          : []),
      ].map(
        ([term, content]) =>
          html`<div>
            <dt>${term ?? null}</dt>
            <dd>${content ?? null}</dd>
          </div>`,
      )}
    </dl>
    ${charts}
  </section>`
}

type Fact = readonly [string, Content]

function piecesOf(figures: RunFigures | undefined): Fact[] {
  if (figures?.pieces == null) return []
  const { count: number, rows, slowestMs } = figures.pieces
  return [['Work', html`${count(rows)} rows in ${plural(number, 'transaction')}, the slowest ${elapsed(slowestMs)}`]]
}

function paceOf(figures: RunFigures | undefined): Fact[] {
  if (figures?.pace == null) return []
  const { pausedMs, lagBytes, waits, longestWaitMs } = figures.pace
  const paused = sumOf(pausedMs)
  return [
    ['Paused', paused === 0 ? 'no pause recorded' : html`${elapsed(paused)}: ${reasonsOf([{ pausedMs }])}`],
    ...(lagBytes === null ? [] : [['Replica lag', html`at most ${bytes(lagBytes)}`] as const]),
    ...(waits === null
      ? []
      : [
          [
            'Waits seen',
            html`${count(waits)}${waits === 0 ? null : html`, the longest ${elapsed(longestWaitMs)}`}`,
          ] as const,
        ]),
  ]
}

function locksOf(figures: RunFigures | undefined): Fact[] {
  if (figures?.locks == null) return []
  const { heldMs, longestWaitMs } = figures.locks
  return [
    [
      'Short locks',
      html`held for at most ${elapsed(heldMs)}; others may have waited for at most ${elapsed(longestWaitMs)}`,
    ],
  ]
}

import { displayPosition, type KeyKind, type Position } from '../../grid/key.ts'
import { showElapsed } from '../../text/elapsed.ts'
import { showBytes, showCount } from '../../text/units.ts'
import { html, type Html } from './html.ts'

// Figures as people read them, with the exact value beside: for programs, and for whoever hovers over them.

export const NONE = html`<span class="none">–</span>`

export function bytes(value: number | null): Html {
  return value === null ? NONE : html`<data value="${value}">${showBytes(value)}</data>`
}

export function count(value: number | null): Html {
  return value === null ? NONE : html`<data value="${value}">${showCount(value)}</data>`
}

/** Rows as the planner believes. */
export function about(rows: number | null): Html {
  return rows === null
    ? html`<span class="none">not analyzed</span>`
    : html`<data value="${rows}">about ${showCount(rows)}</data>`
}

export function elapsed(milliseconds: number | null): Html {
  return milliseconds === null ? NONE : html`<data value="${milliseconds}">${showElapsed(milliseconds)}</data>`
}

/** To the minute, in UTC. */
export function moment(at: Date | null): Html {
  return at === null ? NONE : html`<time datetime="${at.toISOString()}">${showMinute(at)}</time>`
}

/** To the second, in UTC. */
export function instant(at: Date): Html {
  return html`<time datetime="${at.toISOString()}">${showSecond(at)}</time>`
}

export function showSecond(at: Date): string {
  return `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

function showMinute(at: Date): string {
  return `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

export function dateOf(micros: bigint): Date {
  return new Date(Number(micros / 1000n))
}

/** A bound without its zone, which is said elsewhere, without seconds and without a midnight. */
export function showBound(position: Position, kind: KeyKind, timezone: string): string {
  if (kind === 'id') return showCount(Number(position))
  const shown = displayPosition(kind, position, timezone)
  return withoutSeconds(shown)
    .replace(` ${timezone}`, '')
    .replace(/ 00:00$/, '')
}

/** A horizon is the moment of the report, long ago. */
export function withoutSeconds(shown: string): string {
  return shown.replace(/( \d\d:\d\d):\d\d(?:\.\d+)?/, '$1')
}

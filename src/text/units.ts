// Figures for display: `921 MB`, `5,000,000`, `3 min`.

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** In powers of a thousand, with up to three digits before the decimal point. */
export function showBytes(bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), BYTE_UNITS.length - 1)
  const value = bytes / 1000 ** power
  return `${value.toFixed(power === 0 || value >= 100 ? 0 : 1)} ${BYTE_UNITS[power]}`
}

export function showCount(n: number): string {
  return Math.round(n).toLocaleString('en-US')
}

/** `1 partition`, `5,000 partitions`; `1 policy`, `2 policies` where the plural is given. */
export function plural(n: number, one: string, several = `${one}s`): string {
  return `${showCount(n)} ${n === 1 ? one : several}`
}

/** `1 row`, `5,000 rows`. */
export function showRows(n: number): string {
  return plural(n, 'row')
}

/** What is said of the rows of a table without statistics, for which the planner would assume some from its size. */
export const NOT_ANALYZED = 'not analyzed: number of rows unknown'

/** An estimate by statistics; null where there are none. */
export function showAbout(rows: number | null): string {
  return rows === null ? NOT_ANALYZED : `about ${showRows(rows)}`
}

/** Rounded up: `a second`, `42 s`, `7 min`, `2.5 h`, `3.1 days`. */
export function showDuration(seconds: number): string {
  if (seconds <= 1) return 'a second'
  if (seconds < 90) return `${Math.ceil(seconds)} s`
  if (seconds < 5400) return `${Math.ceil(seconds / 60)} min`
  return seconds < 172_800 ? `${(seconds / 3600).toFixed(1)} h` : `${(seconds / 86_400).toFixed(1)} days`
}

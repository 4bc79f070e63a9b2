import { UsageError } from '../../errors.ts'
import { parseInterval } from '../../grid/interval.ts'
import type { Width } from '../language/policy.ts'

/** `month`, `90 days`, or so many ids: `10000000`, `10_000_000`. */
export function parseWidth(text: string): Width {
  if (!/^\d/.test(text) || /[a-z]/i.test(text)) return { kind: 'interval', interval: parseInterval(text) }
  if (!/^[1-9]\d*(_\d+)*$/.test(text))
    throw new UsageError(`'${text}' is no number of ids`, "Write 'month' or '7 days' for times, 10_000_000 for ids.")
  return { kind: 'ids', ids: BigInt(text.replaceAll('_', '')) }
}

import { UsageError } from '../errors.ts'

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB']

/** A size in bytes: `800 MB`, `1.5TB`, in powers of a thousand as sizes are shown; `GiB` and its kin are powers of 1024. */
export function parseSize(text: string): number {
  const [, digits, unit = '', binary] = /^(\d+(?:\.\d+)?) ?([kKMGT]?)(i?)B?$/.exec(text) ?? []
  const power = UNITS.findIndex((one) => one === `${unit.replace('K', 'k')}B`)
  if (digits === undefined || power === -1 || (binary === 'i' && unit === ''))
    throw new UsageError(`'${text}' is no size`, "Write '800 MB', '50 GB', '1.5 TB' or '50 GiB'.")
  return Number(digits) * (binary === 'i' ? 1024 : 1000) ** power
}

import { UsageError } from '../errors.ts'
import { option } from './option.ts'
import { written } from '../pacing/parse-settings.ts'

/** Where something is listened for. */
export interface Place {
  readonly host: string
  readonly port: number
}

/** Of commands that take a while. */
export const METRICS_PORT = {
  metricsPort: option(
    '--metrics-port <port>',
    'while it runs, serve its metrics for Prometheus at http://127.0.0.1:<port>/metrics; 0.0.0.0:9187 for all addresses',
    place,
    { property: null },
  ),
}

function place(value: unknown): Place {
  const given = written(value)
  const [, host = '127.0.0.1', digits = ''] = /^(?:(\[[0-9a-f:.]+\]|[\w.-]+):)?(\d{1,5})$/i.exec(given) ?? []
  const port = Number(digits)
  if (port >= 1 && port <= 65_535) return { host: host.replace(/^\[|\]$/g, ''), port }
  throw new UsageError(`'${given}' is not a port`, 'Write a port, or host and port: 9187, 0.0.0.0:9187, [::1]:9187.')
}

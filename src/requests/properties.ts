import { UsageError } from '../errors.ts'
import type { Faults } from './faults.ts'
import type { Option, Options } from './option.ts'
import { inQuotes, type Source } from './spec.ts'

/** Options of a call that no request has. */
const OF_CALLS = ['signal', 'observer']

/** The options of a program. An unknown one is noted by its name; its value is not repeated. */
export function propertiesOf(options: Options, given: object, faults: Faults): Source {
  const described = Object.values(options)
  const known = described.flatMap(({ property }) => property ?? [])
  const values = new Map<string, unknown>()
  collect('', given)

  function collect(prefix: string, object: object): void {
    for (const [key, value] of Object.entries(object)) {
      const path = prefix + key
      if (value === undefined || OF_CALLS.includes(path)) continue
      const inner = below(`${path}.`)
      if (known.includes(path)) values.set(path, value)
      else if (inner.length === 0)
        faults.note(path, new UsageError('there is no such option', `Pass ${below(prefix).join(', ')}.`))
      else if (typeof value === 'object' && value !== null) collect(`${path}.`, value as object)
      else faults.note(path, new UsageError(`expected an object with ${inner.join(', ')}`, 'Pass such an object.'))
    }
  }

  /** The names that an object may have. */
  function below(prefix: string): string[] {
    const paths = known.filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length))
    return [...new Set(paths.map((path) => path.replace(/\..*/, '')))]
  }

  const name = ({ property, flags }: Option): string => property ?? flags
  return {
    offers: ({ property }) => property !== null,
    value: (option) => (option.means === undefined ? plain(option) : meant(option, values.get(name(option)))),
    name,
    spell(option, value) {
      if (option.means !== undefined) return `${name(option)}: ${JSON.stringify(option.means)}`
      return value === undefined ? name(option) : `${name(option)}: ${inQuotes(value)}`
    },
  }

  /** Unless it says the same as a flag. */
  function plain(option: Option): unknown {
    const value = values.get(name(option))
    return described.some(({ property, means }) => property === option.property && means === value) ? undefined : value
  }
}

/** True where a property says the same as a flag. Where only true and false are possible, anything else is left for the parser to refuse. */
function meant({ means }: Option, value: unknown): unknown {
  if (value === means) return true
  return typeof means === 'boolean' && value !== !means ? value : undefined
}

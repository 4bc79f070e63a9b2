import type * as zod from 'zod'
import { HOOKS } from '../requests/hooks.ts'
import type { Form, Option } from '../requests/option.ts'
import { optionsOf, SECTION_NAMES, SHARED } from './sections.ts'

// The file as a whole: which keys there are, and how their values are written. What a value means, and what contradicts
// what, is read by the options themselves. The schema for editors is made of this one (docs/config.schema.json).

/** A file that has been found to have the right shape. */
export interface ConfigShape {
  readonly journalSchema?: string | undefined
  readonly defaults?: PolicyShape | undefined
  readonly hooks?: PolicyShape | undefined
  readonly policies: Readonly<Record<string, PolicyShape>>
}

export type PolicyShape = Readonly<Record<string, unknown>>

/** The schema of a config. */
export function configSchema({ z }: typeof zod): zod.ZodType<ConfigShape> {
  const sections = Object.fromEntries(SECTION_NAMES.map((name) => [name, objectOf(z, optionsOf(name))]))
  const shared = fieldsOf(z, Object.values(SHARED))
  const policy = z.strictObject({ ...optional(sections), ...shared })
  // What says which rows are removed cannot be a default.
  const common = optionsOf('partition').filter(({ property }) => ['premake', 'timezone'].includes(property ?? ''))
  const defaults = z.strictObject({
    partition: objectOf(z, common).optional(),
    ...shared,
  })
  return z.strictObject({
    $schema: z.string(NOT_TEXT).optional().describe('the schema for editors'),
    journalSchema: z.string(NOT_TEXT).optional().describe('the schema of Ebb’s journal'),
    defaults: defaults.optional().describe('what policies have that do not say otherwise'),
    hooks: z
      .strictObject(fieldsOf(z, Object.values(HOOKS)), { error: notAnObject })
      .optional()
      .describe('who is told how ebb run has ended'),
    policies: z.record(z.string(), policy).describe('by table, as SQL names it: public.events'),
  })
}

const NOT_TEXT = {
  error: ({ input }: { readonly input?: unknown }) =>
    typeof input === 'number'
      ? `expected text, and ${input} is a number (a time has a unit: ${input} days)`
      : 'expected text',
}

type Z = (typeof zod)['z']

/** The options as an object, those with a point in their name in an object of their own. */
function objectOf(z: Z, options: readonly Option[], prefix = ''): zod.ZodType {
  return z.strictObject(fieldsOf(z, options, prefix), { error: notAnObject })
}

function notAnObject({ code }: { readonly code: string }): string | undefined {
  return code === 'invalid_type' ? 'expected an object' : undefined
}

function fieldsOf(z: Z, options: readonly Option[], prefix = ''): Record<string, zod.ZodType> {
  const named = options.filter(({ property }) => property?.startsWith(prefix))
  const names = new Set(named.map(({ property }) => (property ?? '').slice(prefix.length).replace(/\..*/, '')))
  return optional(
    Object.fromEntries(
      [...names].map((name) => {
        const own = named.find(({ property }) => property === prefix + name)
        return [name, own === undefined ? objectOf(z, named, `${prefix}${name}.`) : valueOf(z, own)]
      }),
    ),
  )
}

function optional(fields: Record<string, zod.ZodType>): Record<string, zod.ZodType> {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.optional()]))
}

function valueOf(z: Z, { help, parse, repeated }: Option): zod.ZodType {
  const one = written(z, parse.form ?? 'text')
  return (repeated === true ? z.array(one, { error: 'expected a list' }) : one).describe(
    help.replace(/^with --[a-z-]+: /, ''),
  )
}

function written(z: Z, form: Form): zod.ZodType {
  switch (form) {
    case 'text':
      return z.string(NOT_TEXT)
    case 'number':
      return z.number({ error: 'expected a number' })
    case 'yes or no':
      return z.boolean({ error: 'expected true or false' })
    case 'text or number':
      return z.union([z.string(), z.number()], { error: 'expected text or a number' })
    case 'text, number or true':
      return z.union([z.string(), z.number(), z.literal(true)], { error: 'expected text, a number or true' })
    default:
      return z.enum(form.words as [string, ...string[]], { error: `expected ${eitherOf(form.words)}` })
  }
}

function eitherOf(words: readonly string[]): string {
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}

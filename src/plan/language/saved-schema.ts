import * as z from 'zod'
import { SAVED_FORMAT, type SavedPlan, type SavedPlans } from './saved.ts'

// In a file of its own because zod takes long to load, and only who executes a saved plan needs it.

const SAVED = z.strictObject({
  type: z.literal('ebb plan'),
  format: z.literal(SAVED_FORMAT),
  version: z.string(),
  system: z.string().nullable(),
  database: z.string(),
  table: z.strictObject({ schema: z.string(), name: z.string(), oid: z.string() }),
  definition: z.string(),
  command: z.string(),
  request: z.unknown(),
  now: z.string().regex(/^\d{1,18}$/),
  suffix: z.string().regex(/^[0-9a-f]{8}$/),
  besides: z.record(z.string(), z.string()).optional(),
  steps: z.array(z.strictObject({ key: z.string(), title: z.string(), sha256: z.string() })),
})

const SEVERAL = z.strictObject({
  type: z.literal('ebb plans'),
  format: z.literal(SAVED_FORMAT),
  plans: z.array(SAVED).min(1),
})

/** The content of a file; null if it is no saved plan, or one of another format. */
export function parseSavedPlan(text: string): SavedPlan | SavedPlans | null {
  const parsed = z.union([SAVED, SEVERAL]).safeParse(json(text))
  return parsed.success ? (parsed.data as SavedPlan | SavedPlans) : null
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

import type { ClientBase } from 'pg'
import { EXPLAIN_ANALYZE, explained } from '../../catalog/explain.ts'
import { within } from '../../db/savepoint.ts'
import { oneRowOf, referringRows } from '../../plan/references/cascade-sql.ts'
import type { LookUpCost } from '../../plan/references/look-up-cost.ts'
import type { WalkedReference } from '../../plan/references/graph.ts'
import { sql } from '../../sql/sql.ts'

/** Rows of the referred table that are tried; odd, so that there is a middle one. */
const SAMPLES = 3

/** A single look-up that takes longer is slow enough to be told, and not to be waited for. */
const LONGEST_MS = 2_000

/**
 * Measures, for references that no whole index serves, what it costs to find the
 * rows that refer to one row: PostgreSQL does so for each row it deletes. In a
 * READ ONLY transaction; nothing that is found leaves the server.
 */
export async function measureLookUps(
  session: ClientBase,
  walked: readonly WalkedReference[],
): Promise<readonly LookUpCost[]> {
  const costs: LookUpCost[] = []
  for (const one of walked) {
    if (one.reference.indexed || !one.reference.readable || one.from.rowsHidden) continue
    const { name, from } = one.reference
    costs.push({ name, from, ...(await measureOne(session, one)) })
  }
  return costs
}

async function measureOne(
  session: ClientBase,
  one: WalkedReference,
): Promise<Pick<LookUpCost, 'milliseconds' | 'atLeast'>> {
  const times: number[] = []
  for (let sample = 0; sample < SAMPLES; sample++) {
    const milliseconds = await lookUp(session, one, sample)
    if (milliseconds === 'unknown') return { milliseconds: LONGEST_MS, atLeast: true }
    times.push(milliseconds)
  }
  // The middle one: a single one that took longer had to read from disk what the purge, too, reads once, or met with a busy
  // server. A small table must not become a blocking issue for it.
  const milliseconds = times.sort((a, b) => a - b)[(SAMPLES - 1) / 2] ?? 0
  return { milliseconds, atLeast: false }
}

/** In milliseconds, as the server measures; unknown where it takes too long. */
async function lookUp(
  session: ClientBase,
  { reference, from, to }: WalkedReference,
  sample: number,
): Promise<number | 'unknown'> {
  const query = sql`select from (${oneRowOf(reference, to, sample)}) p, ${referringRows(reference, from, 'c', 'p')}`
  return within(session, LONGEST_MS, async () => {
    const [first] = await explained(session, query, EXPLAIN_ANALYZE)
    return first?.['Execution Time'] ?? 0
  })
}

import { readAllPrepared } from '../db/query.ts'
import type { Session } from '../db/session.ts'
import { sql } from '../sql/sql.ts'

/** An event trigger that fires for DDL of Ebb's sessions. */
export interface EventTrigger {
  readonly name: string
  readonly event: string
  /** The commands it fires for; null for all. */
  readonly tags: readonly string[] | null
  readonly function: string
}

/** What a copy or a conversion consists of. */
const OURS = [
  ...['TABLE', 'INDEX', 'TRIGGER', 'FUNCTION', 'SEQUENCE', 'VIEW'].flatMap((what) =>
    ['CREATE', 'ALTER', 'DROP'].map((verb) => `${verb} ${what}`),
  ),
  ...['COMMENT', 'GRANT', 'REVOKE', 'ALTER PUBLICATION', 'CREATE POLICY', 'CREATE RULE', 'CREATE STATISTICS'],
]

export function readEventTriggers(session: Session): Promise<EventTrigger[]> {
  return readAllPrepared<EventTrigger>(
    session,
    sql`
    select e.evtname::text as name, e.evtevent::text as event, e.evttags as tags, e.evtfoid::regprocedure::text as function
    from pg_event_trigger e where e.evtenabled in ('O', 'A') and e.evtevent <> 'login'
      and (e.evttags is null or e.evttags && ${OURS}::text[]) order by e.evtname`,
  )
}

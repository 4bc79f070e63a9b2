import type pg from 'pg'
import type { Database } from './database.ts'
import { until } from './until.ts'

const LOCK = 4242

/**
 * Stops a copy in the midst of a chunk, when its snapshot is taken and half of its rows are read: by a condition that
 * waits at one row. `keep` is to be handed to the rebuild.
 */
export class Hold {
  readonly keep: string
  private readonly keeper: pg.Client

  private constructor(keeper: pg.Client, keep: string) {
    this.keeper = keeper
    this.keep = keep
  }

  /** Waits at the row where `expression` is true. */
  static async at(database: Database, expression: string): Promise<Hold> {
    const keeper = await database.session('gatekeeper')
    // Immutable, for the sake of the condition; what pg_locks shows is always the present.
    await keeper.query(`
      create function public.hold(here boolean) returns boolean language plpgsql immutable as $$
      begin
        while here and exists (select from pg_catalog.pg_locks where locktype = 'advisory' and objid = ${LOCK} and granted
          and database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())) loop
          perform pg_catalog.pg_sleep(0.005);
        end loop;
        return true;
      end $$`)
    await keeper.query(`select pg_advisory_lock(${LOCK})`)
    return new Hold(keeper, `public.hold(${expression})`)
  }

  /** Comes back when the copy has stopped there. */
  async reached(): Promise<void> {
    await until(
      async () => {
        const { rowCount } = await this.keeper.query(
          `select from pg_stat_activity where datname = current_database() and application_name like 'ebb %' and wait_event = 'PgSleep'`,
        )
        return rowCount !== 0
      },
      { what: 'the copy to stop at the row' },
    )
  }

  async release(): Promise<void> {
    await this.keeper.query(`select pg_advisory_unlock(${LOCK})`)
  }
}

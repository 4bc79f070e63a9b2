import { afterAll, describe, expect } from 'vitest'
import type { EngineOptions } from '../../src/engine/options.ts'
import type { Event } from '../../src/events.ts'
import { ebb, type Ran } from '../cli/support.ts'
import { splitOrder } from '../engine/split-support.ts'
import { partition, partitionByCopy, rebuild, split } from '../support/commands.ts'
import { Database, test } from '../support/database.ts'
import { differences, dumpOf, type Dump } from '../support/fidelity/dumps.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import type { Skip } from '../support/programs.ts'
import { dumpableGround, restoredFrom, type DumpableGround, type Format } from '../support/restored.ts'
import { beforeStep } from '../support/stopped-rebuild.ts'
import { monthly, quietly, written } from '../support/tool.ts'

// Runs that were unfinished when the database was dumped, in the database that the dump was restored into, as whoever
// types commands there sees them.

const EV = written({ schema: 'public', name: 'ev' })
const BY_MONTH = monthly({ by: 'at', keep: null, premake: 1 })
const COPIED = { transport: 'server', jobs: 1, noArchive: true, retireAfter: null } as const

type Run = (database: Database, options: EngineOptions) => Promise<unknown>

const byAttaching: Run = ({ url }, options) => partition(url, EV, BY_MONTH, options)
const byCopy: Run = ({ url }, options) => partitionByCopy(url, EV, { ...BY_MONTH, ...COPIED }, options)
const rebuilding: Run = ({ url }, options) => rebuild(url, EV, rebuildRequest(), options)
const splitting: Run = ({ url }, options) => split(url, EV, splitOrder({ noArchive: true }), options)

interface Case {
  readonly before?: Run
  readonly run: Run
  readonly stop: string
  readonly format: Format
}

const IS_ABANDONED = /^Run \d+ is abandoned: public\.ev is as it was before\.$/m

describe('stopped before the swap', () => {
  const CASES: Record<string, Case & { readonly resumes: RegExp }> = {
    partition: { run: byAttaching, stop: 'swap', format: 'plain', resumes: /public\.ev is partitioned \(run 1\)/ },
    'partition --method copy': { run: byCopy, stop: 'swap', format: 'custom', resumes: /restored from a dump since/ },
    rebuild: { run: rebuilding, stop: 'copy', format: 'plain', resumes: /rows copied so far can no longer be trusted/ },
    split: {
      before: byAttaching,
      run: splitting,
      stop: 'reconcile',
      format: 'custom',
      resumes: /restored from a dump since/,
    },
  }

  test.for(Object.entries(CASES))('%s: resume says what it can, abandon leaves nothing', async ([, one], { skip }) => {
    await restored(skip, one, async ({ cli, copy, schemaBefore }) => {
      expect((await cli('status')).out).toMatch(/public\.ev +unfinished, \d+ of \d+ steps done/)
      for (const words of [['rollback'], ['retire', '--all']])
        expect((await cli(...words, '--execute')).out).not.toMatch(/is a plain table again|dropped/)

      const { out, err, code } = await cli('resume', '--execute')
      expect(out + err).toMatch(one.resumes)
      if (code === 0) expect((await cli('rollback', '--execute')).code).toBe(0)
      else {
        expect(err).toMatch(/next: .*ebb abandon/)
        expect((await cli('abandon', '--execute')).out).toMatch(IS_ABANDONED)
      }
      expect(differences(schemaBefore, await schemaOf(copy))).toEqual({ missing: [], added: [] })
      expect((await cli('abandon', '--leftovers', '--execute')).out).toBe('There was nothing to remove.\n')
    })
  })

  test('renamed as well, or without its journal: abandon --leftovers removes what still rejects or logs rows', async ({
    skip,
  }) => {
    const bound = { run: byAttaching, stop: 'swap', format: 'custom' } as const
    await restored(skip, bound, async ({ cli, copy, schemaBefore }) => {
      const insertLate = () => copy.admin(`insert into ev (at) values (now() + interval '10 years') returning id`)
      await copy.admin('alter table ev rename to ev2')
      expect((await cli('abandon', '--execute')).code).toBe(0)
      await copy.admin('alter table ev2 rename to ev')
      await expect(insertLate()).rejects.toThrow(/ev_ebb_bound/)

      expect((await cli('status')).out).toMatch(/the CHECK ev_ebb_bound of public\.ev rejects rows beyond its bound/)
      const plan = await cli('abandon', '--leftovers')
      expect(plan.out).toContain('drop constraint if exists "ev_ebb_bound"')
      await expect(insertLate()).rejects.toThrow(/ev_ebb_bound/)
      expect((await cli('abandon', '--leftovers', '--execute')).out).toBe('done: drop the CHECK ev_ebb_bound\n')
      await insertLate()
      expect(differences(schemaBefore, await schemaOf(copy)).added).toEqual([])
      expect((await cli('status')).out).not.toContain('Left behind')
    })
    await restored(skip, { run: rebuilding, stop: 'swap', format: 'plain' }, async ({ cli, copy, schemaBefore }) => {
      expect((await cli('abandon', '--leftovers', '--execute')).out).toBe('There was nothing to remove.\n')
      await copy.admin('truncate ebb.run cascade')
      expect((await cli('status')).out).toMatch(
        /changes of public\.ev are captured[^]*ebb abandon --leftovers --execute/,
      )
      expect((await cli('abandon', '--leftovers')).out).toMatch(/drop trigger if exists "ebb_.*_forward_capture"/)
      expect((await cli('abandon', '--leftovers', '--execute')).out).toContain(
        'done: stop capturing changes of public.ev\n',
      )
      const { missing, added } = differences(schemaBefore, await schemaOf(copy))
      expect({ missing, added: added.filter((entry) => !/^Name: .*_ebb/.test(entry)) }).toEqual({
        missing: [],
        added: [],
      })
    })
  })
})

describe('stopped after the swap', () => {
  const CASES: Record<string, Case> = {
    partition: { run: byAttaching, stop: 'analyze', format: 'custom' },
    rebuild: { run: rebuilding, stop: 'release', format: 'plain' },
  }

  test.for(Object.entries(CASES))('%s: resume finishes it, and what is left can go', async ([, one], { skip }) => {
    await restored(skip, one, async ({ cli, copy, schemaBefore }) => {
      const refused = await cli('abandon', '--execute')
      expect(`${refused.code} ${refused.err}`).toMatch(/^3 [^]*next: Finish it with ebb resume 1/)
      expect((await cli('resume', '1', '--execute')).code).toBe(0)
      const back = await cli('rollback', '--execute')
      if (one.run === rebuilding) {
        const said = back.out.replaceAll(/\s+(-- *)?/g, ' ')
        expect(`${back.code} ${said}`).toMatch(/^3 .*gap: .*restored from a dump since.*ebb retire/)
        expect((await cli('retire', '1', '--execute')).code).toBe(0)
      } else expect(back.code).toBe(0)
      expect(differences(schemaBefore, await schemaOf(copy))).toEqual({ missing: [], added: [] })
      expect((await cli('status')).out).not.toContain('Left behind')
    })
  })
})

interface Restored {
  readonly copy: Database
  /** Types a command in the restored database. */
  readonly cli: (...words: string[]) => Promise<Ran>
  /** That of the first database before the run. */
  readonly schemaBefore: Dump
}

/** Stops a run before a step, restores a dump of the database into another one, and works there. */
async function restored(
  skip: Skip,
  { before, run, stop, format }: Case,
  work: (restored: Restored) => Promise<void>,
): Promise<void> {
  const server = await ground(skip)
  const database = await Database.create(server.ground)
  try {
    await create(database)
    await before?.(database, quietly())
    const schemaBefore = await schemaOf(database)
    const stopping = new AbortController()
    const observer = (event: Event) => void (beforeStep(stop)(event) && stopping.abort())
    await run(database, quietly({ signal: stopping.signal, observer })).catch((error: unknown) => {
      if (!stopping.signal.aborted) throw error
    })
    const copy = await restoredFrom(server, database, format)
    try {
      await work({ copy, schemaBefore, cli: (...words) => ebb([...words, '--url', copy.url]) })
    } finally {
      await copy.close()
      await copy.drop()
    }
  } finally {
    await database.close()
    await database.drop()
  }
}

let started: Promise<DumpableGround> | undefined
const ground = (skip: Skip) => (started ??= dumpableGround(skip))
afterAll(async () => (await started)?.remove())

async function schemaOf({ adminUrl }: Database): Promise<Dump> {
  return dumpOf((await started!).program, adminUrl)
}

async function create(database: Database): Promise<void> {
  const app = await database.session('app')
  await app.query(`create table kinds (id int primary key); insert into kinds values (1);
    create table ev (id bigint generated always as identity primary key, at timestamptz not null, kind int default 1 references kinds);
    create index on ev (at);
    insert into ev (at) select now() - n * interval '1 hour' from generate_series(1, 1000) n;
    analyze ev`)
}

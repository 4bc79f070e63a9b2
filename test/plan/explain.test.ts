import { describe, expect, test } from 'vitest'
import { explain } from '../../src/plan/explain/explain.ts'
import { captureOf } from '../../src/plan/copy/capture.ts'
import { BEYOND_SQL } from '../../src/plan/explain/copy.ts'
import type { CopyWork } from '../../src/plan/copy/work.ts'
import type { Plan, Step } from '../../src/plan/language/step.ts'

const events = { schema: 'public', name: 'events' }
const CARRY_OUT = { command: 'ebb partition events --by at --every month --execute' }

const plan: Plan = {
  goal: 'partition public.events by at',
  table: events,
  evidence: ['at runs from 2026-01-01 to 2026-11-21'],
  dependents: [
    { name: 'index events_at_idx', outcome: 'carried', how: 'adopted' },
    { name: 'view recent', outcome: 'rebuilt', how: 'create or replace' },
  ],
  objections: [],
  notes: ['ctid is unique only within one partition'],
  steps: [],
}

const described = { because: 'it must be', cost: 'milliseconds', locks: [] }

const index: Step = {
  ...described,
  kind: 'index',
  key: 'index',
  title: 'build an index',
  index: { schema: 'public', name: 'i' },
  locks: [{ table: events, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
  statements: ['create index concurrently "i" on "public"."events" ("at")'],
}

const brief: Step = {
  ...described,
  kind: 'short lock',
  key: 'guard',
  title: 'guard the bound',
  locks: [{ table: events, mode: 'ACCESS EXCLUSIVE', blocks: 'reads and writes', held: 'milliseconds' }],
  quiet: events,
  acquire: ['lock table "public"."events" in access exclusive mode'],
  statements: ['alter table "public"."events" add check (true) not valid'],
}

const dryRun: Step = {
  ...described,
  kind: 'dry run',
  key: 'dry run',
  title: 'dry run',
  twin: { schema: 'pg_temp', name: 'twin' },
  statements: ['create temporary table twin ()'],
}

test('a plan is a script: comments for people, statements for psql', () => {
  expect(explain({ ...plan, steps: [dryRun, index, brief] }, CARRY_OUT)).toMatchInlineSnapshot(`
    "-- partition public.events by at
    --
    -- Basis
    --   at runs from 2026-01-01 to 2026-11-21
    --
    -- Dependent objects
    --   carried  index events_at_idx: adopted
    --   rebuilt  view recent: create or replace
    --
    -- Notes
    --   ctid is unique only within one partition

    -- psql stops at the first error. With --execute Ebb also waits for lock holders, retries, compares the catalogue
    --   before it commits, and can resume after an interruption.
    \\set ON_ERROR_STOP on
    set search_path to '';

    -- Step 1 of 3: dry run
    --   why:   it must be
    --   locks: none
    --   cost:  milliseconds
    begin;
    create temporary table twin ();
    rollback;

    -- Step 2 of 3: build an index
    --   why:   it must be
    --   locks: public.events in SHARE UPDATE EXCLUSIVE while it runs, which blocks neither reads nor writes
    --   cost:  milliseconds
    create index concurrently "i" on "public"."events" ("at");

    -- Step 3 of 3: guard the bound
    --   why:   it must be
    --   locks: public.events in ACCESS EXCLUSIVE for milliseconds, which blocks reads and writes
    --   cost:  milliseconds
    begin;
    set local lock_timeout = '50ms';
    lock table "public"."events" in access exclusive mode;
    alter table "public"."events" add check (true) not valid;
    commit;

    -- Nothing has been changed. To execute: ebb partition events --by at --every month --execute
    "
  `)
})

test('with objections there is nothing to execute, and each has its fix', () => {
  const objections = [
    { code: 'key-nullable', what: 'column at may be null', fix: 'alter table …', acceptable: false },
    { code: 'upsert', what: 'ON CONFLICT is used', fix: '--accept upsert', acceptable: true },
  ]
  expect(explain({ ...plan, objections }, CARRY_OUT)).toMatchInlineSnapshot(`
    "-- partition public.events by at
    --
    -- Basis
    --   at runs from 2026-01-01 to 2026-11-21
    --
    -- Dependent objects
    --   carried  index events_at_idx: adopted
    --   rebuilt  view recent: create or replace
    --
    -- Notes
    --   ctid is unique only within one partition
    --
    -- Blocking issues (2)
    --   key-nullable: column at may be null
    --       fix: alter table …
    --   upsert: ON CONFLICT is used
    --       fix: --accept upsert

    -- Nothing has been changed. Resolve the blocking issues first.
    "
  `)
})

test('a plan without steps says so', () => {
  expect(explain(plan, CARRY_OUT).trimEnd().split('\n').at(-1)).toBe(
    '-- Nothing has been changed, and there is nothing to do.',
  )
})

describe('a name cannot end its comment', () => {
  const breaks = { LF: '\n', CR: '\r', 'CR LF': '\r\n' }
  test.each(Object.entries(breaks))('by %s', (_, lineBreak) => {
    const evil = `e${lineBreak}drop table users; --`
    const table = { schema: 'public', name: evil }
    const text = explain(
      {
        ...plan,
        goal: evil,
        evidence: [evil],
        notes: [evil],
        dependents: [{ name: evil, outcome: 'kept', how: evil }],
        steps: [{ ...brief, title: evil, because: evil, cost: evil, locks: [{ ...brief.locks[0]!, table }] }],
      },
      { command: evil },
    )
    const lines = text.split(/\r\n|\r|\n/)
    expect(lines.filter((line) => /drop table/.test(line) && !line.startsWith('-- '))).toEqual([])
    expect(text).not.toContain('\r')
  })

  test('nor inject control characters', () => {
    expect(explain({ ...plan, goal: 'partition \u001b[2Kx' }, CARRY_OUT)).toMatch(/^-- partition \\x1b\[2Kx\n/)
  })
})

test('the command is printed on one line of any length', () => {
  const command = `ebb partition events ${'--accept some-code '.repeat(20)}--execute`
  expect(explain({ ...plan, steps: [index] }, { command })).toContain(`To execute: ${command}\n`)
})

const work: CopyWork = {
  source: events,
  target: { schema: 'public', name: 'events_ebb' },
  columns: '"id", "at"',
  keep: "at > '2026-08-23' -- ours",
  settings: {},
  capture: captureOf(
    events,
    { columns: [{ name: 'id', type: 'bigint' }], index: 'events_pkey' },
    'ebb',
    'ebb_0_forward',
  ),
}

const copying: Step[] = [
  { ...described, kind: 'copy', key: 'copy', title: 'copy', statements: [], work, transport: 'copy', jobs: 1 },
  {
    ...described,
    kind: 'reconcile',
    key: 'r',
    title: 'catch up',
    statements: [],
    work,
    pass: 'until the log is short',
  },
  {
    ...described,
    kind: 'verify',
    jobs: 1,
    key: 'v',
    title: 'compare',
    statements: [],
    work,
    shared: null,
  },
]

test('copying, catching up and comparing are shown as patterns, and psql is stopped first', () => {
  expect(explain({ ...plan, evidence: [], dependents: [], notes: [], steps: copying }, CARRY_OUT))
    .toMatchInlineSnapshot(`
      "-- partition public.events by at

      -- For reading only: some steps are not plain SQL, so psql stops here. With --execute Ebb performs them, waits for lock
      --   holders, retries, compares the catalogue before it commits, and can resume after an interruption.
      \\set ON_ERROR_STOP on
      do $$ begin raise exception 'This plan is for reading only: it has steps that only Ebb can perform.' using hint = 'Nothing has been changed. The last line of the plan is the command to run.'; end $$;
      set search_path to '';

      -- Step 1 of 3: copy
      --   why:   it must be
      --   locks: none
      --   cost:  milliseconds
      --   not plain SQL: Ebb repeats this for each range of blocks, or of values of an index on the kept rows:
      --     copy (select "id", "at" from "public"."events" s where s.ctid >= '(first block,0)' and s.ctid < '(end block,0)'
      --       and (at > '2026-08-23' -- ours
      --     )) to stdout (format binary);
      --     copy "public"."events_ebb" ("id", "at") from stdin (format binary); -- in another session, from the first

      -- Step 2 of 3: catch up
      --   why:   it must be
      --   locks: none
      --   cost:  milliseconds
      --   not plain SQL: Ebb repeats this batch by batch until the backlog is small:
      --     begin isolation level repeatable read;
      --     create temporary table batch as with taken as (delete from "ebb"."ebb_0_forward_log" where ctid = any
      --       (array(select ctid from "ebb"."ebb_0_forward_log" order by ebb_seq limit …)) returning "id") select * from
      --       taken;
      --     delete from "public"."events_ebb" t using batch b where t."id" = b."id";
      --     insert into "public"."events_ebb" ("id", "at") select "id", "at" from "public"."events" s where (at >
      --       '2026-08-23' -- ours
      --     ) and exists (select from batch b where s."id" = b."id");
      --     commit;

      -- Step 3 of 3: compare
      --   why:   it must be
      --   locks: none
      --   cost:  milliseconds
      --   not plain SQL: Ebb repeats this for each range of keys, and compares rows that differ once more, as text and in
      --     binary form:
      --     begin isolation level repeatable read, read only;
      --     select count(*) from (select * from "public"."events" s where … and (at > '2026-08-23' -- ours
      --     ) and not exists (select from "ebb"."ebb_0_forward_log" l where l."id" = s."id")) s full join (select * from
      --       "public"."events_ebb" s where … and true and not exists (select from "ebb"."ebb_0_forward_log" l where l."id" =
      --       s."id")) t on s."id" = t."id" where t is null or s is null or s.* *<> t.*;
      --     commit;

      -- Nothing has been changed. To execute: ebb partition events --by at --every month --execute
      "
    `)
})

test.for(copying)('a condition cannot end the comment of its step: $kind', (step) => {
  const keep = "kind = 'a\ndrop table users; --'"
  const text = explain({ ...plan, steps: [{ ...step, work: { ...work, keep } } as Step] }, CARRY_OUT)
  expect(text.split('\n').filter((line) => /^\s*drop table/.test(line))).toEqual([])
})

// @ts-expect-error A new kind of step does not compile until it is known whether psql may run it.
BEYOND_SQL satisfies Record<Step['kind'] | 'a new kind', boolean>

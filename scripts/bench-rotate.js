// Measures what `ebb run`, `ebb rotate` and `ebb check` take to plan many partition sets of which nothing is due, beside
// the same queries by psql:
//
//   npm run bench:rotate              1,000 sets of 30 partitions each, 3 rounds
//   npm run bench:rotate -- 200 30 3  fewer
//
// The role is one that owns the tables and is no superuser: a superuser also asks which code of others it would run.
// Each set has an identity column, a primary key, an index by time and a row in each month that has begun.

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { clearInterval, setInterval } from 'node:timers'
import pg from 'pg'
import { planRotations } from '../build/engine/commands/rotate.js'
import { median, onOwnServer, program, quietly } from './bench/ground.js'
import { busyShare, mayTell } from './bench/quiet.js'

const [sets = 1000, partitions = 30, rounds = 3] = process.argv.slice(2, 5).map(Number)
const folder = mkdtempSync(join(tmpdir(), 'ebb-bench-rotate-'))
const config = join(folder, 'ebb.config.json')
const script = join(folder, 'same-queries.sql')
const AHEAD = 3

const REQUEST = {
  tables: 'all',
  keep: null,
  retire: 'drop',
  grace: null,
  archive: null,
  noArchive: true,
  forget: false,
  accept: [],
}

async function fill(client) {
  console.log(`making ${sets} sets of ${partitions} partitions`)
  await client.query(
    `create role app login; grant create on schema public to app; grant create on database postgres to app`,
  )
  await client.query(`set role app; set timezone = 'UTC'`)
  for (let i = 1; i <= sets; i++)
    await client.query(`do $$ declare m timestamptz := date_trunc('month', now()); k int; begin
      create table public.set_${i} (id bigint generated always as identity, at timestamptz not null, kind text, payload jsonb,
        primary key (id, at)) partition by range (at);
      create index on public.set_${i} (at);
      for k in ${AHEAD + 1 - partitions}..${AHEAD} loop
        execute format('create table public.set_${i}_p%s partition of public.set_${i} for values from (%L) to (%L)',
          ${partitions} + k, m + k * interval '1 month', m + (k + 1) * interval '1 month');
      end loop;
      insert into public.set_${i} (at) select m - n * interval '1 month' from generate_series(0, ${partitions - AHEAD - 1}) n;
    end $$`)
  await client.query('reset role')
  await client.query('vacuum (analyze)')
  const policy = { partition: { by: 'at', every: '1 month', premake: AHEAD }, keep: '10 years', archive: 'none' }
  const policies = Object.fromEntries(Array.from({ length: sets }, (_, i) => [`public.set_${i + 1}`, policy]))
  writeFileSync(config, JSON.stringify({ policies }))
}

/** A command in a process of its own: seconds, and the most memory that it has had, in MB. */
async function ebb(url, ...words) {
  const began = performance.now()
  const child = spawn(process.execPath, ['bin/ebb.js', ...words, '--url', url], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  let peak = 0
  const looking = setInterval(() => (peak = Math.max(peak, peakOf(child.pid))), 20)
  const code = await new Promise((resolve) => child.on('exit', resolve))
  clearInterval(looking)
  if (code !== 0) throw new Error(`ebb ${words[0]} ended with ${code}`)
  return { seconds: (performance.now() - began) / 1000, peak: peak / 1024 }
}

/** KB; 0 where the system does not tell. */
function peakOf(pid) {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** What planning asks, in each session in turn, as a script for psql: by prepared statements as the driver does. */
async function recordQueries(url) {
  const sessions = new Map()
  const { query } = pg.Client.prototype
  pg.Client.prototype.query = function (first, values) {
    if (!sessions.has(this)) sessions.set(this, [])
    sessions.get(this).push(typeof first === 'string' ? { text: first, values } : first)
    return query.apply(this, [first, values])
  }
  try {
    await planRotations(url, REQUEST, quietly)
  } finally {
    pg.Client.prototype.query = query
  }
  const scripts = [...sessions.values()].map((asked) => [
    "set client_min_messages = 'warning';",
    ...new Script(asked).lines,
  ])
  writeFileSync(script, scripts.map((lines) => lines.join('\n')).join('\n\\c\n'))
  console.log(`${[...sessions.values()].flat().length} queries in ${sessions.size} sessions`)
}

class Script {
  constructor(asked) {
    this.prepared = new Set()
    this.lines = asked.flatMap(({ name, text, values }) => {
      if (values === undefined || values.length === 0) return [`${text};`]
      const given = values.map(literal).join(', ')
      if (name === undefined) return [`prepare once as ${text};`, `execute once(${given});`, 'deallocate once;']
      const prepare = this.prepared.has(name) ? [] : [`prepare ${name} as ${text};`]
      this.prepared.add(name)
      return [...prepare, `execute ${name}(${given});`]
    })
  }
}

function literal(value) {
  if (value === null || value === undefined) return 'null'
  return pg.escapeLiteral(
    Array.isArray(value) ? `{${value.map((one) => JSON.stringify(one)).join(',')}}` : String(value),
  )
}

async function psql(url) {
  const began = performance.now()
  const child = spawn(program('psql'), ['-X', '-q', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f', script, url], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const code = await new Promise((resolve) => child.on('exit', resolve))
  if (code !== 0) throw new Error(`psql ended with ${code}`)
  return { seconds: (performance.now() - began) / 1000, peak: 0 }
}

const CONTESTANTS = {
  'ebb run': (url) => ebb(url, 'run', '--config', config),
  'ebb rotate --all': (url) => ebb(url, 'rotate', '--all', '--no-archive'),
  'ebb check': (url) => ebb(url, 'check', '--config', config),
  'psql, the queries of ebb rotate --all': psql,
}

try {
  await onOwnServer(async ({ client, server }) => {
    await fill(client)
    const url = server.url.replace('postgres@', 'app@')
    console.log(`registering them: ${(await ebb(url, 'run', '--config', config, '--execute')).seconds.toFixed(1)} s`)
    await recordQueries(url)
    const results = Object.fromEntries(Object.keys(CONTESTANTS).map((name) => [name, []]))
    const busy = [await busyShare()]
    for (let round = 1; round <= rounds; round++) {
      for (const [name, contestant] of Object.entries(CONTESTANTS)) {
        const measured = await contestant(url)
        results[name].push(measured)
        console.log(
          `round ${round}: ${name.padEnd(40)} ${measured.seconds.toFixed(2)} s  ${measured.peak.toFixed(0)} MB`,
        )
      }
      busy.push(await busyShare())
    }
    const seconds = Object.entries(results).map(([name, of]) => [name, of.map((one) => one.seconds)])
    if (!mayTell(busy, Object.fromEntries(seconds))) return
    console.log(
      `\n| ${sets.toLocaleString('en-US')} sets of ${partitions} partitions | s | memory of Ebb, MB |\n| --- | --: | --: |`,
    )
    for (const [name, of] of Object.entries(results)) {
      const peak = Math.max(...of.map((one) => one.peak))
      console.log(
        `| ${name} | ${median(of.map((one) => one.seconds)).toFixed(1)} | ${peak === 0 ? '' : peak.toFixed(0)} |`,
      )
    }
  })
} finally {
  rmSync(folder, { recursive: true })
}

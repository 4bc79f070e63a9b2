// Rows are removed with an archive and restored, in each way that there is, into a bucket or a directory, while an application
// writes, and the process is killed, the server crashes or the store is away at random moments: `npm run soak:archives -- 50`
// rounds (20 otherwise), some twenty seconds each. In the end each row that was removed is in one archive, all of them together come
// back, and nothing else than it should be is left, in the database or the store. A round that fails prints its
// seed, which repeats the choices, and as far as the machine does, the moments; the ways to remove rows may be named after it.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { createJiti } from 'jiti'
import { startServer } from '../build/embedded/server.js'
import { conflicting, create, SCENARIOS } from './soak/archive-scenarios.js'
import { assert, on, randomOf, startEbb } from './soak/ground.js'

const rounds = Number(process.argv[2] ?? 20)
const firstSeed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31))
const names = process.argv.length > 4 ? process.argv.slice(4) : Object.keys(SCENARIOS)
if (!Number.isInteger(rounds) || rounds < 1 || names.some((name) => !(name in SCENARIOS))) {
  console.error(`usage: npm run soak:archives -- <rounds> [<seed> [<way>…]], of ${Object.keys(SCENARIOS).join(', ')}`)
  process.exit(2)
}

const MOST_CUTS = 4
const { S3Server, ACCESS_KEY } = await createJiti(import.meta.url).import('../test/support/s3-server.ts')
const identity = await generateX25519Identity()
const recipient = await identityToRecipient(identity)
const ENV = {
  AWS_ACCESS_KEY_ID: ACCESS_KEY,
  AWS_SECRET_ACCESS_KEY: ACCESS_KEY,
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  AGE_IDENTITY: identity,
}

const server = await startServer()
const bucket = await S3Server.start('archive')

/** What a command is cut by; what it takes to go on afterwards. */
const CUTS = {
  kill: (child) => {
    child.kill('SIGKILL')
    return async () => {}
  },
  crash: async () => {
    await server.crash()
    return () => server.restart()
  },
  'store away': async () => {
    bucket.fault = () => 'reset'
    return async () => bucket.calm()
  },
}

/** Some requests of a bucket fail now and then, before or after they have been carried out. */
function unreliable(random) {
  bucket.fault = () => {
    const what = random()
    if (what > 0.02) return undefined
    return what > 0.01 ? 'reset afterwards' : what > 0.005 ? 'reset' : { status: 500, code: 'InternalError' }
  }
}

function bucketFor(database) {
  const options = `?region=us-east-1&endpoint=${bucket.endpoint}`
  const prefix = `${database}/`
  return {
    uri: `s3://archive/${database}${options}`,
    uriOf: (name) => `s3://archive/${prefix}${name}${options}`,
    read: (name) => bucket.objects.get(prefix + name).body.toString(),
    objects: () =>
      [...bucket.objects.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length)),
    unfinished: () => [...bucket.uploads.values()].map(({ key }) => key),
    close: () => bucket.objects.clear(),
  }
}

function directory() {
  const folder = mkdtempSync(join(tmpdir(), 'ebb-soak-'))
  const files = () =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1))
  const isUnfinished = (name) => name.includes('.ebb-unfinished-')
  return {
    uri: pathToFileURL(folder).href,
    uriOf: (name) => pathToFileURL(join(folder, name)).href,
    read: (name) => readFileSync(join(folder, name), 'utf8'),
    objects: () => files().filter((name) => !isUnfinished(name)),
    unfinished: () => files().filter(isUnfinished),
    close: () => rmSync(folder, { recursive: true }),
  }
}

/** An application that writes until it is stopped, and tries again whatever becomes of the server. */
function startWriting(database, random, write) {
  let [stopped, done] = [false, 0]
  const writing = (async () => {
    for (let number = 0; !stopped;) {
      await on(server, database, async (query) => {
        for (; !stopped; number += 1) {
          await query(write(random, number)).then(
            () => (done += 1),
            (error) => {
              if (error.code === undefined || /^(57P|08|E)/.test(error.code)) throw error
            },
          )
          await sleep(random() * 20)
        }
      }).catch(() => sleep(50))
    }
  })()
  return async () => {
    stopped = true
    await writing
    return done
  }
}

/** Runs a command, which is cut some times, and then until it is done. */
async function untilDone(round, { words, once }) {
  const { scenario, database, random, cuts, log, times } = round
  const [step] = words
  const start = () => startEbb([...words, '--wait', '60', '--execute'], { ...ENV, DATABASE_URL: urlOf(database) })
  const isDone = async () => once !== undefined && (await isRunDone(database, once))
  for (let left = Math.floor(random() * (cuts + 1)); left > 0 && !(await isDone()); left--) {
    const [name, cut] = Object.entries(CUTS)[Math.floor(random() * 3)]
    const after = Math.round((0.1 + random()) * timesOf(times, scenario).get(step))
    unreliable(random)
    const run = start()
    const early = await Promise.race([run.ended, sleep(after)])
    const goOn = await cut(run.child)
    const code = await run.ended
    await goOn()
    bucket.calm()
    log(`${step}: ${name} after ${early === undefined ? after : 'its end'} ms: ${code ?? 'killed'}`)
    assert(
      ![2, 3, 70].includes(code) || isNothingLeft(words, run.said()),
      `${words.join(' ')}: exit ${code}:\n${run.said()}`,
    )
    if (code === 0) return
  }
  for (let tries = 0; !(await isDone()); tries++) {
    const began = performance.now()
    const run = start()
    const code = await run.ended
    if (cuts === 0) timesOf(times, scenario).set(step, performance.now() - began)
    if (code === 0 || isNothingLeft(words, run.said())) return
    assert(code === 75 && tries < 10, `${words.join(' ')}: exit ${code}:\n${run.said()}`)
    await sleep(1_000)
  }
}

/** How long each step of a scenario takes when nothing happens. */
function timesOf(times, scenario) {
  if (!times.has(scenario)) times.set(scenario, new Map())
  return times.get(scenario)
}

function urlOf(database) {
  return new URL(`/${database}`, server.url).href
}

/** Killed after the drop and the document, it has nothing more to do. */
function isNothingLeft([command], said) {
  return command === 'retire' && said.includes('has no retired table to drop')
}

async function isRunDone(database, command) {
  const query = `select status from ebb.run where command = '${command}' order by id desc limit 1`
  const runs = await on(server, database, async (query_) => ((await journalIsThere(query_)) ? query_(query) : []))
  return runs[0]?.status === 'done'
}

async function journalIsThere(query) {
  return (await query(`select from pg_tables where schemaname = 'ebb' and tablename = 'run'`)).length > 0
}

/** Rows that are in one of two sets and not in the other. */
async function differences(query, table, now) {
  const of = (a, b, sign) =>
    `select '${sign}' as side, x::text as row from (select * from (${a}) a except all select * from (${b}) b) x`
  const mirror = `table mirror_${table}`
  const rows = await query(`${of(mirror, now, 'missing')} union all ${of(now, mirror, 'unexpected')}`)
  return rows.map(({ side, row }) => `${side}: ${row.slice(0, 80)}`)
}

/** Archives with what their documents say. */
function archivesOf(store) {
  const objects = store.objects()
  return objects
    .filter((name) => name.endsWith('/receipt.json'))
    .sort()
    .map((name) => {
      const folder = name.slice(0, -'receipt.json'.length)
      const removal = objects.includes(`${folder}removal.json`) ? JSON.parse(store.read(`${folder}removal.json`)) : null
      return { name, folder, removal, receipt: JSON.parse(store.read(name)) }
    })
}

/** Everything in the store belongs to an archive, and is what its receipt says. */
async function checkStore(store, archives) {
  const expected = new Set(
    archives.flatMap(({ folder, removal, receipt }) => [
      `${folder}receipt.json`,
      ...(removal === null ? [] : [`${folder}removal.json`]),
      ...receipt.tables.flatMap(({ objects }) => objects.map(({ name }) => folder + name)),
    ]),
  )
  // A process that is killed while it tries the store leaves an object, which is removed a day later.
  const left = store.objects().filter((name) => !expected.has(name) && !name.startsWith('ebb-probe-'))
  assert(left.length === 0, `in the store: ${left.join(', ')}`)
  assert(store.unfinished().length === 0, `unfinished: ${store.unfinished().join(', ')}`)
  for (const { name } of archives) {
    const verifying = startEbb(['archive', 'verify', store.uriOf(name)], ENV)
    assert((await verifying.ended) === 0, verifying.said())
  }
}

/** What was to be removed is gone, once in the archives, and nothing is under way. */
async function checkRemoved({ scenario, store, database }, archives) {
  await checkStore(store, archives)
  await on(server, database, async (query) => {
    for (const table of scenario.tables) {
      const [{ live, gone }] = await query(
        `select (select count(*)::int from ${table}) as live,
          (select count(*)::int from mirror_${table} m where not exists (select from ${table} t where t.id = m.id)) as gone`,
      )
      const told = archives
        .flatMap(({ removal }) => removal?.tables ?? [])
        .filter(({ name }) => name === table || name.startsWith(`${table}_`))
        .reduce((sum, { deleted }) => sum + deleted, 0)
      assert(
        gone > 0 && gone === told,
        `${table}: ${gone} rows are gone, ${live} there, ${told} removed by their archives`,
      )
    }
  })
  await checkDatabase({ scenario, database })
}

async function checkDatabase({ scenario, database }) {
  await on(server, database, async (query) => {
    const [found] = await query(
      `select (select count(*)::int from ebb.run where status = 'running') as runs, (select count(*)::int from ebb.retirement) as retirements,
        (select count(*)::int from ebb.archive where receipt_uri is null or removal is not null and removal_at is null) as archives,
        (select count(*)::int from pg_trigger where tgname ~ '^ebb_') as triggers,
        (select count(*)::int from pg_class where relnamespace = 'ebb'::regnamespace and relname ~ '^purge_keys') as sets,
        array(select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
          and relname !~ '^mirror_' order by 1) as tables`,
    )
    const { tables, ...left } = found
    assert(
      Object.values(left).every((count) => count === 0),
      `left: ${JSON.stringify(left)}`,
    )
    const others = tables.filter((name) => !scenario.tables.includes(name) && name !== scenario.into)
    assert(others.length === 0, `tables: ${others.join(', ')}`)
  })
}

/** Rows come back by all receipts because of which some were removed. */
async function restoreAll(round, archives) {
  const { scenario, store, database, random } = round
  const { restore = [], into, tables } = scenario
  const onConflict = random() < 0.5 ? 'keep' : 'overwrite'
  if (into === undefined && restore.length === 0)
    await on(server, database, (query) => query(conflicting(scenario, onConflict)))
  const to = into === undefined ? restore : ['--into', into]
  for (const { name } of archives.filter(({ removal }) => removal !== null))
    await untilDone(round, {
      words: ['restore', store.uriOf(name), ...to, '--on-conflict', onConflict],
    })
  await on(server, database, async (query) => {
    for (const table of tables) {
      const now = into === undefined ? `table ${table}` : `table ${table} union all table ${into}`
      const found = await differences(query, table, now)
      assert(
        found.length === 0,
        `${table}, ${onConflict}: ${found.length} rows differ:\n${found.slice(0, 6).join('\n')}`,
      )
    }
  })
}

/** How rows are archived. */
function howOf(random) {
  const format = random() < 0.2 ? ['--archive-format', 'parquet'] : ['--compression', random() < 0.5 ? 'gzip' : 'none']
  const size = ['1 MB', '8 MB', '256 MB'][Math.floor(random() * 3)]
  return [...format, '--part-size', size, ...(random() < 0.3 ? ['--encrypt-to', recipient] : [])]
}

async function runRound(seed, name, cuts, times) {
  const scenario = SCENARIOS[name]
  const random = randomOf(seed)
  const database = `${cuts === 0 ? 'calm' : 'round'}_${seed}`
  const told = []
  await on(server, 'postgres', (query) => query(`create database ${database}`))
  await on(server, database, (query) => query(create(scenario)))
  const store = random() < 0.7 ? bucketFor(database) : directory()
  const round = { scenario, store, database, random, cuts, times, log: (what) => told.push(what) }
  try {
    if (scenario.before !== undefined) await untilDone({ ...round, cuts: 0 }, { words: scenario.before })
    const to = ['--archive', store.uri, ...howOf(random)]
    const stop = startWriting(database, randomOf(seed + 1), scenario.write)
    // Who writes to a partition by its name all the time keeps it from being dropped.
    for (const step of scenario.remove) {
      const words = step.words[0] === 'retire' ? step.words : [...step.words, ...to]
      await untilDone(round, { ...step, words })
    }
    const writes = await stop()
    const archives = archivesOf(store)
    await checkRemoved(round, archives)
    await restoreAll(round, archives)
    await checkStore(store, archives)
    await checkDatabase(round)
    await on(server, 'postgres', (query) => query(`drop database ${database} with (force)`))
    console.log(
      `seed ${seed}: ${name}, ${to.slice(1, 6).join(' ')}, ${writes} writes, ${told.length} cuts: ${told.join('; ')}`,
    )
    return true
  } catch (error) {
    console.error(`${told.join('\n')}\nseed ${seed}, ${name}: ${error.stack}`)
    return false
  } finally {
    bucket.calm()
    store.close()
  }
}

let failed = 0
const times = new Map()
try {
  for (const [i, name] of names.entries()) assert(await runRound(i, name, 0, times), `${name} fails undisturbed`)
  for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
    const name = names[Math.floor(randomOf(seed)() * names.length)]
    if (!(await runRound(seed, name, MOST_CUTS, times))) failed++
  }
} finally {
  await bucket.stop()
  await server.remove()
}
console.log(`${rounds - failed} of ${rounds} rounds were right`)
process.exit(failed === 0 ? 0 : 1)

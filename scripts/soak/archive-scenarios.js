// What removes rows with an archive, how an application writes meanwhile, and how the rows come back. Each table has a mirror,
// in which the application's own changes are made by the same statements: rows of the table and of the archives together
// are those of the mirror.

/** Of rows that hardly compress: objects of a bucket consist of parts. */
const ROWS = 20_000
const ORDERS = 4_000
/** Ids of rows that the application inserts begin here. */
const LATER = 1_000_000

const MONTH = (offset) => `date_trunc('month', now() at time zone 'UTC') + interval '${offset} months'`
const NOISE = (row) => `(select string_agg(md5(${row} || '.' || j), '') from generate_series(1, 12) j)`

const EVENTS = `(id bigint, at timestamp not null, kind int not null, n int not null, payload text, primary key (id, at))`
/** Of kinds up to 6 nothing has happened for months; the first is a third of all rows. */
const FILL_EVENTS = `
  insert into events select i, case when i % 12 < 6 then ${MONTH(-5)} + (i % 60) * interval '1 day' else ${MONTH(-3)} + (i % 100) * interval '1 day' end,
    case when i % 12 < 4 then 1 else 1 + i % 12 end, i % 30, ${NOISE('i')} from generate_series(1, ${ROWS}) i`
const PLAIN = `create table events ${EVENTS}; ${FILL_EVENTS}; create index on events (kind, at)`
const PARTITIONED = `
  create table events ${EVENTS} partition by range (at);
  do $$ begin
    for i in -5..1 loop
      execute format('create table %I partition of events for values from (%L) to (%L)', 'events_' || i + 5,
        ${MONTH(0)} + i * interval '1 month', ${MONTH(0)} + (i + 1) * interval '1 month');
    end loop;
  end $$; ${FILL_EVENTS}`
const SHOP = `
  create table orders (id bigint primary key, n int not null, payload text);
  create table lines (id bigint primary key, order_id bigint not null references orders, n int not null, payload text);
  create index on lines (order_id);
  insert into orders select i, i % 30, ${NOISE('i')} from generate_series(1, ${ORDERS}) i;
  insert into lines select i, 1 + i % ${ORDERS}, i % 7, ${NOISE('i')} from generate_series(1, ${ROWS - ORDERS}) i`

/** A random whole number below a limit. */
function below(random, limit) {
  return Math.floor(random() * limit)
}

function change(table, id) {
  return `with u as (update ${table} set n = n + 30, payload = 'changed' where id = ${id} returning id, n, payload)
    update mirror_${table} m set n = u.n, payload = u.payload from u where m.id = u.id`
}

function remove(table, id) {
  return `with d as (delete from ${table} where id = ${id} returning id) delete from mirror_${table} m using d where m.id = d.id`
}

function add(table, values, into = table) {
  return `with i as (insert into ${into} values (${values}) returning *) insert into mirror_${table} select * from i`
}

/** What an application does next with events; by the name of a partition now and then, where there are some. */
function onEvents(random, number, { at, partitions = false }) {
  const id = 1 + below(random, ROWS)
  const what = random()
  const row = (time) => `${LATER + number}, ${time}, ${7 + below(random, 6)}, ${below(random, 30)}, 'added'`
  if (partitions && what < 0.02) {
    const month = below(random, 3) - 5
    return add('events', row(`${MONTH(month)} + interval '3 days'`), `events_${month + 5}`)
  }
  if (what < 0.6) return change('events', id)
  if (what < 0.8) return remove('events', id)
  return add('events', row(at))
}

function onShop(random, number) {
  const what = random()
  const [order, line] = [1 + below(random, ORDERS), 1 + below(random, ROWS - ORDERS)]
  if (what < 0.2) return change('orders', order)
  if (what < 0.5) return change('lines', line)
  if (what < 0.7) return remove('lines', line)
  if (what < 0.85) return add('orders', `${LATER + number}, ${below(random, 30)}, 'added'`)
  return add('lines', `${LATER + number}, ${order}, 1, 'added'`)
}

const anyTime = `now() - random() * interval '80 days'`
const TWO_MONTHS = ['--keep', '2 months']

/**
 * `remove`: commands, cut short and run again until they are done, each with what it says of itself in the journal if a run
 * that is done would be another one. `into`: where rows come back, if not where they were.
 */
export const SCENARIOS = {
  purge: {
    schema: PLAIN,
    tables: ['events'],
    write: (random, number) => onEvents(random, number, { at: anyTime }),
    remove: [{ words: ['purge', 'events', '--where', 'n % 3 = 0'] }],
  },
  'purge --cascade': {
    schema: SHOP,
    tables: ['orders', 'lines'],
    write: onShop,
    remove: [{ words: ['purge', 'orders', '--where', 'n % 3 = 0', '--cascade'] }],
  },
  'purge --stale-group': {
    schema: PLAIN,
    tables: ['events'],
    write: (random, number) => onEvents(random, number, { at: anyTime }),
    remove: [{ words: ['purge', 'events', '--stale-group', 'kind', '--activity', 'at', '--idle', '60 days'] }],
  },
  rotate: {
    schema: PARTITIONED,
    tables: ['events'],
    write: (random, number) => onEvents(random, number, { at: 'now()', partitions: true }),
    remove: [{ words: ['rotate', 'events', ...TWO_MONTHS] }],
    restore: ['--attach'],
  },
  'rotate --retire truncate': {
    schema: PARTITIONED,
    tables: ['events'],
    write: (random, number) => onEvents(random, number, { at: 'now()', partitions: true }),
    remove: [{ words: ['rotate', 'events', ...TWO_MONTHS, '--retire', 'truncate'] }],
  },
  rebuild: {
    schema: PLAIN,
    tables: ['events'],
    write: (random, number) => onEvents(random, number, { at: anyTime }),
    remove: [
      { words: ['rebuild', 'events', '--keep', 'n % 3 <> 0'], once: 'rebuild' },
      { words: ['retire', 'events'] },
    ],
  },
  'partition --method copy': {
    schema: PLAIN,
    tables: ['events'],
    write: (random, number) => onEvents(random, number, { at: anyTime }),
    remove: [
      {
        words: ['partition', 'events', '--by', 'at', '--every', 'month', '--method', 'copy', ...TWO_MONTHS],
        once: 'partition',
      },
      { words: ['retire', 'events'] },
    ],
    into: 'restored',
  },
  split: {
    schema: PLAIN,
    tables: ['events'],
    write: (random, number) => onEvents(random, number, { at: anyTime }),
    before: ['partition', 'events', '--by', 'at', '--every', 'month'],
    remove: [{ words: ['split', 'events', ...TWO_MONTHS], once: 'split' }, { words: ['retire', 'events'] }],
    into: 'restored',
  },
}

/** Makes tables and their mirrors. */
export function create({ schema, tables }) {
  const mirrors = tables.map(
    (name) => `create table mirror_${name} as table ${name}; alter table mirror_${name} add primary key (id);`,
  )
  return `${schema}; ${mirrors.join('\n')} analyze`
}

/**
 * Puts some of the rows that are gone back before a restore does, of which half have other values. Which of them then count
 * is what `onConflict` says.
 */
export function conflicting({ tables: [table] }, onConflict) {
  const gone = `select m.id from mirror_${table} m where not exists (select from ${table} t where t.id = m.id) order by m.id limit 40`
  const put = `insert into ${table} select m.* from mirror_${table} m where m.id in (${gone}); update ${table} set n = n + 1000 where id in (select id from there where id % 2 = 0)`
  const follow = `update mirror_${table} m set n = t.n from ${table} t where t.id = m.id and m.id in (select id from there)`
  return `create temporary table there as ${gone}; ${put}; ${onConflict === 'keep' ? follow : ''}`
}

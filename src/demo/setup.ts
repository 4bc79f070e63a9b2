import pg from 'pg'

// A shop that has been open for fourteen months, made in a few seconds. The rows
// are made inside the server, and what would slow that down comes after them.

/** How much there is to be. */
export interface Scale {
  readonly events: number
  readonly pageViews: number
}

/** Where the shop is. */
export interface Shop {
  /** The application's role, which owns the tables and is no superuser. */
  readonly url: string
  /** A role that may read some of it. */
  readonly reportingUrl: string
}

const DATABASE = 'shop'
const APPLICATION = 'app'
const REPORTING = 'reporting'
const USERS = 1_000

/** Makes the database, its roles, and the tables with their rows. */
export async function setUpShop(superuserUrl: string, scale: Scale, signal: AbortSignal): Promise<Shop> {
  await withClient(superuserUrl, signal, async (client) => {
    await client.query(`create role ${APPLICATION} login; create role ${REPORTING} login`)
    await client.query(`create database ${DATABASE} owner ${APPLICATION}`)
  })
  const shop = { url: at(superuserUrl, APPLICATION), reportingUrl: at(superuserUrl, REPORTING) }
  await withClient(shop.url, signal, async (client) => {
    await client.query('set timezone = utc')
    await client.query(USERS_AND_EVENTS)
    await client.query(EVENT_ROWS, [scale.events, USERS])
    await client.query(WHAT_HANGS_ON_EVENTS)
    await client.query(PAGE_VIEWS)
    await client.query(PAGE_VIEW_ROWS, [scale.pageViews])
    await client.query('analyze')
  })
  return shop
}

/** A connection for one errand, given up when the user wants to stop. */
export async function withClient<T>(
  url: string,
  signal: AbortSignal,
  errand: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'demo' })
  client.on('error', () => {}) // the query under way tells
  await client.connect()
  // Ending a client drops the connection when a query is under way.
  const leave = () => void client.end()
  signal.addEventListener('abort', leave)
  try {
    signal.throwIfAborted()
    return await errand(client)
  } finally {
    signal.removeEventListener('abort', leave)
    await client.end()
  }
}

function at(url: string, role: string): string {
  const changed = new URL(url)
  changed.username = role
  changed.pathname = `/${DATABASE}`
  return changed.href
}

const USERS_AND_EVENTS = `
  create table users (
    id bigint generated always as identity primary key,
    name text not null
  );
  insert into users (name) select 'user ' || n from generate_series(1, ${USERS}) n;

  create table events (
    id bigint generated always as identity,
    user_id bigint not null,
    kind text not null,
    amount numeric,
    created_at timestamptz not null default clock_timestamp()
  )`

const EVENT_ROWS = `
  with span as (select now() - interval '14 months' as opened)
  insert into events (user_id, kind, amount, created_at)
  select 1 + n % $2, (array['click', 'view', 'order', 'login'])[1 + n % 4], n % 500,
    least(opened + make_interval(secs => n * (extract(epoch from now() - opened) / $1::float8)), now())
  from span, generate_series(1, $1::int) n`

const WHAT_HANGS_ON_EVENTS = `
  alter table events add primary key (id);
  create index events_created_at on events (created_at);
  alter table events add foreign key (user_id) references users (id);

  create view recent_events as
    select id, user_id, kind, created_at from events where created_at > now() - interval '1 hour';

  create function tidy_kind() returns trigger language plpgsql as
    $$ begin new.kind := lower(new.kind); return new; end $$;
  create trigger tidy_kind before insert on events for each row execute function tidy_kind();

  grant select on events, recent_events to ${REPORTING}`

const PAGE_VIEWS = `
  create table page_views (
    id bigint generated always as identity,
    path text not null,
    viewed_at timestamptz not null default clock_timestamp(),
    primary key (id, viewed_at)
  ) partition by range (viewed_at);

  do $$
  declare month timestamptz;
  begin
    for month in
      select generate_series(date_trunc('month', now()) - interval '13 months', date_trunc('month', now()), interval '1 month')
    loop
      execute format('create table %I partition of page_views for values from (%L) to (%L)',
        'page_views_' || to_char(month, 'YYYY_MM'), month, month + interval '1 month');
    end loop;
  end $$`

const PAGE_VIEW_ROWS = `
  with span as (select date_trunc('month', now()) - interval '13 months' as opened)
  insert into page_views (path, viewed_at)
  select '/page/' || n % 300,
    least(opened + make_interval(secs => n * (extract(epoch from now() - opened) / $1::float8)), now())
  from span, generate_series(1, $1::int) n`

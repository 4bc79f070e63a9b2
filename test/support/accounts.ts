import type pg from 'pg'
import type { Database } from './database.ts'

// Users with everything that refers to them: six tables, and payments that must not be touched.

/** Users of whom every tenth is still active, each with children and grandchildren; every fortieth has paid. */
export async function createAccounts(database: Database, users: number): Promise<void> {
  const owner = await database.session('setup')
  await owner.query(`
    create table users (id int primary key, email text not null, deleted_at timestamptz);
    create table subscriptions (id int primary key, user_id int not null references users);
    create table user_profiles (user_id int primary key references users on delete cascade, bio text);
    create table payment_methods (id int primary key, user_id int not null references users, subscription_id int references subscriptions);
    create table user_sessions (id int primary key, user_id int not null references users, seen_at timestamptz default now());
    create table audit_logs (id bigint generated always as identity primary key, session_id int references user_sessions, user_id int references users, what text);
    create table payments (id bigint generated always as identity primary key, payment_method_id int not null references payment_methods, amount numeric);
    create table invitations (id int primary key, invited_by int references users on delete set null);
    create index on subscriptions (user_id); create index on payment_methods (user_id); create index on payment_methods (subscription_id);
    create index on user_sessions (user_id); create index on audit_logs (session_id); create index on audit_logs (user_id) where user_id is not null;
    create index on payments (payment_method_id); create index on invitations (invited_by);
    insert into users select n, n || '@example.org', case when n % 10 > 0 then now() - interval '1 year' end from generate_series(1, ${users}) n;
    insert into subscriptions select n, n from generate_series(1, ${users}) n where n % 3 = 0;
    insert into user_profiles select n, 'bio ' || n from generate_series(1, ${users}) n;
    insert into payment_methods select n, n, case when n % 3 = 0 then n end from generate_series(1, ${users}) n where n % 2 = 0;
    insert into user_sessions select n, (n + 1) / 2 from generate_series(1, ${users * 2}) n;
    insert into audit_logs (session_id, user_id, what) select n, case when n % 5 = 0 then (n + 1) / 2 end, 'login' from generate_series(1, ${users * 2}) n, generate_series(1, 2);
    insert into payments (payment_method_id, amount) select n, 9.99 from generate_series(1, ${users}) n where n % 40 = 2;
    insert into invitations select n, n from generate_series(1, ${users}) n where n % 7 = 0;
    analyze`)
}

/** How many rows each table has. */
export async function sizes(client: pg.ClientBase): Promise<Record<string, number>> {
  const { rows } = await client.query<{ name: string; n: number }>(`
    select name, (xpath('/row/n/text()', query_to_xml('select count(*) as n from ' || name, false, true, '')))[1]::text::int as n
    from unnest(array['users', 'subscriptions', 'user_profiles', 'payment_methods', 'user_sessions', 'audit_logs', 'payments', 'invitations']) name`)
  return Object.fromEntries(rows.map(({ name, n }) => [name, n]))
}

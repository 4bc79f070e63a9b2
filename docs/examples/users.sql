create table users (id bigint generated always as identity primary key, email text not null, deleted_at timestamptz);
create table sessions (id bigint generated always as identity primary key, user_id bigint not null references users);
create table audit_logs (id bigint generated always as identity primary key, session_id bigint references sessions, what text);
create table profiles (user_id bigint primary key references users on delete cascade, bio text);
create table payments (id bigint generated always as identity primary key, user_id bigint not null references users);
create table invitations (id bigint generated always as identity primary key, invited_by bigint references users on delete set null);

create index on sessions (user_id);
create index on audit_logs (session_id);
create index on payments (user_id);
create index on invitations (invited_by);

insert into users (email, deleted_at)
select n || '@example.org', case when n % 4 = 0 then now() - interval '2 years' end from generate_series(1, 8000) n;
insert into sessions (user_id) select n % 8000 + 1 from generate_series(1, 20000) n;
insert into audit_logs (session_id, what) select n % 20000 + 1, 'seen' from generate_series(1, 60000) n;
insert into profiles select n, 'bio' from generate_series(1, 8000) n;
insert into payments (user_id) select n from generate_series(1, 8000, 50) n;
insert into payments (user_id) select n from generate_series(4, 48, 4) n;
insert into invitations (invited_by) select n from generate_series(1, 8000, 10) n;
insert into invitations (invited_by) select n from generate_series(100, 900, 100) n;
analyze;

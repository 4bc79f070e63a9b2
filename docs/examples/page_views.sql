-- A table that somebody has partitioned by hand: fourteen months, the present one included.
create table page_views (
  id bigint generated always as identity,
  path text not null,
  viewed_at timestamptz not null,
  primary key (id, viewed_at)
) partition by range (viewed_at);

set timezone = utc;
do $$
declare month timestamptz;
begin
  for month in
    select generate_series(date_trunc('month', now()) - interval '13 months', now(), interval '1 month')
  loop
    execute format('create table %I partition of page_views for values from (%L) to (%L)',
      'page_views_' || to_char(month, 'YYYY_MM'), month, month + interval '1 month');
  end loop;
end $$;

insert into page_views (path, viewed_at)
  select '/page/' || n % 30, now() - interval '13 months' * (1 - n / 14000.0) from generate_series(1, 14000) n;
analyze page_views;

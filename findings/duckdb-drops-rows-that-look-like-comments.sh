#!/usr/bin/env bash
# DuckDB leaves out rows of a CSV whose first value begins with '#', although it has been told of header, delimiter and quotes.
#
# Versions:  DuckDB 1.5.6 (@duckdb/node-api 1.5.6-r.1)
# Expected:  CSV knows no comments. With header, delimiter, quote and escape given, nothing about the lines is left to guess.
# Behaviour: a comment character is guessed all the same. Where the other rows look like another type (numbers, dates) and many
#            begin with '#', it takes '#' for one, and these rows are gone without an error or a warning. Only `comment = ''` ends it.
# Output:    100 rows, of which 33 begin with '#': by default 67, with header, delim, quote and escape 67, with comment = '' too 100
# Matters:   part numbers, tickets or tags as first column of what COPY has written: a count of what was read is not that of the file.
source "$(dirname "$0")/lib/postgres.sh"

npm_install @duckdb/node-api@1.5.6-r.1
{
  echo ticket,at
  for n in $(seq 100); do [ $((n % 3)) -eq 0 ] && echo "#$n,2026-01-01" || echo "$n,2026-01-01"; done
} >"$work/tickets.csv"
cat >"$packages/comments.mjs" <<'JS'
import { DuckDBInstance } from '@duckdb/node-api'

const connection = await (await DuckDBInstance.create(':memory:')).connect()
const dialect = `, header = true, delim = ',', quote = '"', escape = '"'`
const counts = []
for (const options of ['', dialect, `${dialect}, comment = ''`]) {
  const result = await connection.runAndReadAll(`select count(*) from read_csv('${process.argv[2]}'${options})`)
  counts.push(result.getRowsJson()[0][0])
}
console.log(`by default ${counts[0]}, with header, delim, quote and escape ${counts[1]}, with comment = '' too ${counts[2]}`)
JS
seen=$(node "$packages/comments.mjs" "$work/tickets.csv")
echo "100 rows, of which 33 begin with '#': $seen"
expect "by default 67, with header, delim, quote and escape 67, with comment = '' too 100" "$seen"

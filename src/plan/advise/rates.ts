// Rough rates, for advice only: no run depends on them. Measured on a machine with two cores and PostgreSQL 15,
// rounded up. Rows of "1 GB" are 5 million with 133 characters of jsonb.

/** A full table scan: 921 MB in 0.35 s from memory; slower from a disk. */
export const READ_BYTES_PER_SECOND = 500e6

/** Copied rows: 1 GB in 4.3 s by `insert … select`, in 8.4 s by COPY from session to session. */
export const COPIED_BYTES_PER_SECOND = 120e6

/** Counting and hashing: 1 GB in 2.3 s. */
export const HASHED_BYTES_PER_SECOND = 450e6

/** Building indexes after the load: 150 MB over 5 million rows in 2.4 s. */
export const INDEXED_BYTES_PER_SECOND = 60e6

/** WAL for a byte of copied rows: 1,152 MB for 1,028 MB by `insert … select`, 913 MB by COPY; narrow rows 1.5 and 0.6. */
export const WAL_PER_COPIED_BYTE = 1.1

/** An index build writes the index once. */
export const WAL_PER_INDEXED_BYTE = 1

/** Deleted in batches of 5,000 by key, 13 ms each, with pauses three times as long. */
export const DELETED_ROWS_PER_SECOND = 100_000

/** WAL for a deleted row: 26.7 MB for 162,000. */
export const WAL_PER_DELETED_ROW = 165

/** And for vacuuming it from the table and its indexes: as much again. */
export const WAL_PER_VACUUMED_ROW = WAL_PER_DELETED_ROW

/** The lookup of a deleted row by a foreign key without an index, in a table of a million rows. */
export const UNINDEXED_REFERENCE_SECONDS_PER_MILLION_ROWS = 0.057

/** What a captured row costs the application. */
export const CAPTURE_MICROSECONDS = 3

/** A key of two columns is wider than that of one: 16 bytes and a header against 8. */
export const WIDER_KEY = 1.4

/** A block read in a purge, whether rows match or not: 16 MB in 10 to 30 ms. */
export const BLOCK_READ_SECONDS = 10e-6

/** A row deleted in a walk over blocks: 11,000 in 7 ms, or in 19 ms around locked ones; further indexes cost nothing yet. */
export const DELETED_BY_BLOCK_SECONDS = 1e-6

/** A row deleted in a walk along an index: 5,000 in 12 ms. */
export const DELETED_BY_KEY_SECONDS = 2.4e-6

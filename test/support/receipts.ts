import { RECEIPT_FORMAT, type ArchivedTable, type Receipt } from '../../src/plan/archive/receipt.ts'

export const ARCHIVE = 'public.events/20261129T131507250Z-5f0c9a1e'

/** A table of a receipt, without rows unless they are given. */
export function archivedTable(given: Partial<ArchivedTable> = {}): ArchivedTable {
  return {
    schema: 'public',
    name: 'events',
    oid: '16403',
    partitionOf: null,
    where: "at < '2026-10-01'",
    horizon: '2026-10-01T00:00:00Z',
    columns: [
      { name: 'id', number: 1, type: 'bigint', notNull: true, generated: false },
      { name: 'payload', number: 2, type: 'text', notNull: false, generated: false },
    ],
    ddl: ['create table public.events (id bigint not null, payload text)'],
    fingerprint: 'f'.repeat(64),
    key: null,
    rows: 0,
    sha256: '0'.repeat(64),
    objects: [],
    ...given,
  }
}

/** A receipt of these tables. */
export function receiptOf(tables: readonly ArchivedTable[], given: Partial<Receipt> = {}): Receipt {
  return {
    format: RECEIPT_FORMAT,
    id: ARCHIVE,
    createdAt: '2026-11-29T13:15:07.250Z',
    tool: 'pg-ebb 0.1.0',
    run: { command: 'purge', id: '7', startedBy: 'ada', approvedBy: null, ticket: null },
    database: { name: 'app', systemIdentifier: '7391203948120394812', serverVersion: '17.10' },
    tables,
    encoding: { format: 'csv', settings: { DateStyle: 'ISO, MDY' }, compression: 'gzip', encryption: null },
    ...given,
  }
}

import { display } from '../../sql/names.ts'
import { showBytes } from '../../text/units.ts'
import type { ArchiveStep } from '../language/step.ts'
import type { ArchiveRequest } from './request.ts'
import { copyStatement } from './rows.ts'
import type { ArchiveWork } from './work.ts'

/** Archives rows of one relation. */
export function archiveStep(work: ArchiveWork): ArchiveStep {
  const { table, chosen } = work.rows
  return {
    kind: 'archive',
    key: `archive:${display(table)}`,
    title: `archive rows of ${display(table)} in ${work.to.uri}`,
    because: 'their receipt is written when all objects have been read back from there and are what PostgreSQL sent',
    locks: [{ table, mode: 'ACCESS SHARE', blocks: 'nothing', held: 'all along' }],
    cost: 'reads the rows once, in one snapshot; then reads the objects back',
    statements: [copyStatement({ table, kind: work.kind }, null, chosen)],
    work,
  }
}

/** How, for a plan. */
export function describeArchive({ uri, format, compression, encryptTo, partBytes }: ArchiveRequest): string[] {
  const compressed = compression === 'none' ? 'not compressed' : `compressed with ${compression}`
  const encrypted = encryptTo.length === 0 ? 'not encrypted' : `encrypted for ${encryptTo.length} age recipients`
  return [
    `archived in ${uri}: ${format} in objects of ${showBytes(partBytes)} and one row, ${compressed}, ${encrypted}`,
    'verified by reading the objects back',
  ]
}

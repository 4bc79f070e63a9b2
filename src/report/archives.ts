import type { ArchiveList, ArchiveSummary, Leftover, ListedArchive, ListedRemoval } from '../archive/list-archives.ts'
import type { ArchiveVerification } from '../archive/verify-archive.ts'
import { differenceText } from '../archive/content/difference.ts'
import { display } from '../sql/names.ts'
import { columns } from '../text/columns.ts'
import { plural, showBytes, showCount, showRows } from '../text/units.ts'
import { indented } from './partitioned.ts'

/** Whether an archive is what its receipt says, and if not, everything in which it differs. */
export function describeVerification(verification: ArchiveVerification): string[] {
  const { receipt, receiptSha256, compared, tables, removal, differences, rows, objects, bytes } = verification
  const size = `${plural(objects, 'object')}, ${showBytes(bytes)}`
  return [
    differences.length === 0
      ? `${receipt}: ${verdict(compared)}.`
      : `${receipt}: the archive is NOT what its receipt says.`,
    ...indented([
      ...columns([
        ['compared', compared === 'content' ? `${showRows(rows)} in ${size}` : `${size}, as stored`],
        ...tables.map((table) => ['table', `${display(table)}, ${showRows(table.rows)}`]),
        ...(removal === null ? [] : [['removal', removalText(removal)]]),
        ['receipt', `SHA-256 ${receiptSha256}`],
      ]),
      ...differences.map(
        (one) => `${one.object ?? `all objects of ${display(one.table)}`} differs in ${differenceText(one)}`,
      ),
    ]),
    ...(compared === 'content' ? [] : ['', 'Nothing was decrypted. To compare the rows too, add --identity-file.']),
  ]
}

function removalText({ how, rows, kept }: NonNullable<ArchiveVerification['removal']>): string {
  return `${showRows(rows)} ${how}${kept === 0 ? '' : `, ${showCount(kept)} kept`}`
}

function verdict(compared: ArchiveVerification['compared']): string {
  return compared === 'content' ? 'the archive is what its receipt says' : 'what is stored is what its receipt says'
}

/** The archives of a store, and what is left of others. */
export function describeArchives({ uri, archives, leftovers, unfinished }: ArchiveList): string[] {
  return [
    ...(archives.length === 0 ? [`There are no archives in ${uri}.`] : archives.flatMap(describeArchive)),
    ...heading('Without a receipt, so no archives: interrupted, or still being written', leftovers.map(leftoverLine)),
    ...heading('Begun and not finished', unfinished),
  ]
}

function describeArchive({ receipt, summary, objects, bytes, removal, problems }: ListedArchive): string[] {
  const size = `${plural(objects, 'object')}, ${showBytes(bytes)}`
  return [
    receipt,
    ...indented([
      ...(summary === null ? [] : columns(summary.tables.map(tableLine))),
      `${size}${summary === null ? '' : `, ${encodingText(summary)}`}; ${removal === null ? 'no removal recorded' : removedText(removal)}`,
      ...(removal === null ? [] : removal.tables.filter(({ kept }) => kept > 0).map(keptText)),
      ...problems.map((problem) => `PROBLEM: ${problem}`),
    ]),
  ]
}

function removedText({ tables }: ListedRemoval): string {
  const sum = (which: 'deleted' | 'archived') => tables.reduce((total, table) => total + table[which], 0)
  if (tables.every(({ kept }) => kept === 0)) return 'removed from the database'
  return `${showCount(sum('deleted'))} of ${showRows(sum('archived'))} removed from the database`
}

/** Keys are values, which are not shown unasked. */
function keptText({ kept, ...table }: ListedRemoval['tables'][number]): string {
  return `not removed: ${showRows(kept)} of ${display(table)}, by key in removal.json (keptKeys)`
}

function tableLine(table: ArchiveSummary['tables'][number]): string[] {
  return [display(table), showRows(table.rows), rangeText(table)]
}

function rangeText({ partitionOf, where, key }: ArchiveSummary['tables'][number]): string {
  const parts = [
    ...(partitionOf === null ? [] : [`${display(partitionOf)} ${partitionOf.bounds}`]),
    ...(where === null ? [] : [`where ${where}`]),
    ...(key === null ? [] : [`${key.columns.join(', ')} from ${key.first.join(', ')} to ${key.last.join(', ')}`]),
  ]
  return parts.join('; ')
}

function encodingText({ encoding: { format, compression, encryption } }: ArchiveSummary): string {
  const words = [
    format,
    ...(compression === 'none' ? [] : [compression]),
    ...(encryption === null ? [] : ['encrypted']),
  ]
  return words.join(', ')
}

function leftoverLine({ folder, objects, bytes }: Leftover): string {
  return `${folder}  ${plural(objects, 'object')}, ${showBytes(bytes)}`
}

function heading(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...indented(lines)]
}

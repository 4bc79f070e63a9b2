import { UsageError } from '../errors.ts'

/**
 * Looked for among the words as typed: of `--archive … --no-archive` commander
 * keeps the last, and rows that were to be stored must not go unstored because
 * of the order of two words.
 *
 * @throws {UsageError} where an archive is asked for; `otherwise` is what else can be said
 */
export function refuseArchive(args: readonly string[], otherwise = ''): void {
  if (args.some((word) => /^--archive(=|$)/.test(word)))
    throw new UsageError(
      'archives cannot be written yet by this version',
      `Say --no-archive if the rows may go without being stored elsewhere${otherwise}.`,
    )
}

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
      'this version cannot write archives yet',
      `Pass --no-archive to remove the rows without archiving them${otherwise}.`,
    )
}

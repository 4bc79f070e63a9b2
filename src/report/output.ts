/** Where text goes: a stream of the process, or a test's list. */
export interface Output {
  write(text: string): unknown
  /** A terminal: the last line may be overwritten. */
  readonly isTTY: boolean
  /** Of the terminal. */
  readonly columns: number
}

/** Where text goes: a stream of the process, or a test's list. */
export interface Output {
  write(text: string): unknown
  /** A person is watching: the last line may be written over. */
  readonly isTTY: boolean
  /** Of the terminal. */
  readonly columns: number
}

/** A quarter more or less, so that runs which began together do not go on together; the mean stays. */
export function jittered(milliseconds: number): number {
  return milliseconds * (0.75 + Math.random() / 2)
}

/** A quarter more or less, so that runs started together do not stay in step; the mean is unchanged. */
export function jittered(milliseconds: number): number {
  return milliseconds * (0.75 + Math.random() / 2)
}

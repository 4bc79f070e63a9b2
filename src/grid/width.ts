const SMALLEST = 1000n

/**
 * The round number of ids nearest to those of one interval: 1, 2 or 5 and zeros, at least 1000, so that bounds are
 * easy to read and stable when the rate changes slightly. Ties round up.
 */
export function roundWidth(idsPerInterval: bigint | number): bigint {
  const ids = typeof idsPerInterval === 'bigint' ? idsPerInterval : BigInt(Math.round(idsPerInterval))
  let width = SMALLEST
  while (2n * ids >= width + rounderAbove(width)) width = rounderAbove(width)
  return width
}

function rounderAbove(width: bigint): bigint {
  return width.toString().startsWith('2') ? (width / 2n) * 5n : width * 2n
}

/** Division that rounds towards minus infinity, so that a grid is uniform below zero; `/` rounds towards zero. */
export function floorDivide(value: bigint, by: bigint): bigint {
  const quotient = value / by
  return quotient * by > value ? quotient - 1n : quotient
}

/** Division that rounds towards plus infinity. */
export function ceilDivide(value: bigint, by: bigint): bigint {
  return -floorDivide(-value, by)
}

/** Before a swap of copied rows; in the plan, for it cannot be helped. */
export function standbyNotes(silent: readonly string[]): string[] {
  if (silent.length === 0) return []
  return [
    `these standbys do not report whether they have readers (hot_standby_feedback): ${silent.join(', ')}. A transaction there with a snapshot from before the swap that then reads the table for the first time misses rows`,
  ]
}

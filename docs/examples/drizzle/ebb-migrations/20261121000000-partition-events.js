export async function up({ context: { partition } }) {
  await partition({ table: 'events', by: 'created_at', every: 'month', keep: '90 days' })
}

/** Possible while all rows are still in the history partition. */
export async function down({ context: { rollback } }) {
  await rollback()
}

/** By id: the primary key stays, so the model needs no change. */
export async function up({ context: { partition } }) {
  await partition({ table: 'events', by: 'id', every: 'month', expireBy: 'created_at', keep: '90 days' })
}

/** Possible while all rows are still in the history partition. */
export async function down({ context: { rollback } }) {
  await rollback()
}

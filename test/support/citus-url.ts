/** The database of a Citus coordinator with its workers, where there is one: see scripts/citus-cluster.sh. */
export const CITUS_URL = process.env.EBB_TEST_CITUS_URL

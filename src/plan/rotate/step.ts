import type { TableName } from '../../sql/names.ts'
import type { ShortLockStep } from '../language/step.ts'

/**
 * `detach partition … concurrently`: outside a transaction. It waits for
 * everybody who has touched the parent and blocks nobody meanwhile;
 * interrupted there, it leaves the partition half detached (docs/postgres-facts.md, Detaching).
 */
export interface DetachStep extends Pick<ShortLockStep, 'key' | 'title' | 'because' | 'locks' | 'cost' | 'statements'> {
  readonly kind: 'detach'
  readonly table: TableName
  readonly partition: TableName
  /** What finishes it when it was interrupted. */
  readonly finalize: ShortLockStep
}

/** What a rotation consists of. */
export type RotationStep = ShortLockStep | DetachStep

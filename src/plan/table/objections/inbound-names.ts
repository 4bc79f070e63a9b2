import type { ServerModel } from '../../../catalog/server-model.ts'
import type { InboundForeignKey, TableModel } from '../../../catalog/table/table-model.ts'
import { companion, display, quoted } from '../../../sql/names.ts'
import { ident } from '../../../sql/sql.ts'
import { beforeTheirClones, hasChosenName, isCloneName } from '../inbound-keys.ts'
import { objection } from '../../language/objection.ts'
import type { Objection } from '../../language/step.ts'

/** A clone of the first, which PostgreSQL makes for a partition, would have the name of the second. */
export function inboundNameObjections(
  { inboundForeignKeys }: TableModel,
  { version }: Pick<ServerModel, 'version'>,
): Objection[] {
  const takes = version >= 180_000 ? isCloneName : wouldBeChosen
  const added = beforeTheirClones(inboundForeignKeys)
  return added
    .filter((key, i) => added.slice(0, i).some((earlier) => takes(earlier, key)))
    .map(({ table, name }) =>
      objection(
        `inbound-names:${display(table)}.${name}`,
        `${display(table)} has two foreign keys here, and PostgreSQL may give the name of one, ${name}, to a part of the other for a partition`,
        `Rename one: alter table ${quoted(table).text} rename constraint ${ident(name).text} to ${ident(companion(name, '_2nd')).text}; or drop it.`,
      ),
    )
}

/** Until PostgreSQL 17, a clone is named after the table and the columns. */
function wouldBeChosen(earlier: InboundForeignKey, key: InboundForeignKey): boolean {
  const columns = ({ table, pairs }: InboundForeignKey) =>
    [display(table), ...pairs.map(({ referring }) => referring)].join('\n')
  return hasChosenName(earlier) && hasChosenName(key) && columns(earlier) === columns(key)
}

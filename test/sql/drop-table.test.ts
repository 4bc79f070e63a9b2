import { expect, test } from 'vitest'
import { dropTable, isDropTable } from '../../src/sql/drop-table.ts'
import { assertPlain } from '../../src/sql/plain.ts'
import { AWFUL, named } from '../support/models.ts'

// Statements that are made again from the journal may hold nothing else.

test.each([named('gone'), AWFUL, { schema: `s"'$ebb$`, name: `a";\n    drop table "b"."c` }])(
  'what is generated for %j is known again, and nothing that was added to it',
  async (name) => {
    const statement = dropTable({ name, oid: '16384' })
    expect(isDropTable(statement)).toBe(true)
    await assertPlain([statement])
    for (const strange of [
      statement.replace('begin\n', 'begin\n  perform evil();\n'),
      statement.replace(`'16384'`, `'16384' or evil()`),
      `${statement}; select evil()`,
      statement.replace('drop table ', 'drop table evil; drop table '),
    ]) {
      expect(isDropTable(strange)).toBe(false)
      await expect(assertPlain([strange])).rejects.toThrow()
    }
  },
)

import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'
import { parseReceipt, receiptDigest, receiptText } from '../../src/archive/receipt-text.ts'
import { readingOf } from '../../src/plan/archive/reading.ts'
import { archivedTable, receiptOf } from '../support/receipts.ts'

const OBJECT = {
  name: 'public.events-00001.csv.gz',
  rows: 2,
  bytes: 70,
  sha256: 'a'.repeat(64),
  contentBytes: 30,
  contentSha256: 'b'.repeat(64),
}
const RECEIPT = receiptOf([archivedTable({ rows: 2, objects: [OBJECT] })])
const ENCRYPTED = receiptOf([archivedTable({ rows: 2, objects: [{ ...OBJECT, name: `${OBJECT.name}.age` }] })], {
  encoding: { ...RECEIPT.encoding, encryption: { kind: 'age', recipients: ['age1recipient'] } },
})
const WHERE = 'file:///archive/receipt.json'

describe('a receipt', () => {
  test('is parsed back unchanged', async () => {
    expect(await parseReceipt(await receiptText(RECEIPT), WHERE)).toMatchObject(RECEIPT)
  })

  test('has the same bytes, and so the same digest, independent of the order of construction', async () => {
    const { encoding, format, ...others } = RECEIPT
    const text = await receiptText({ ...others, encoding, format })
    expect(text).toBe(await receiptText(RECEIPT))
    expect(text).toMatch(/^\{\n {2}"format": 1,\n {2}"id": .*\}\n$/s)
    expect(receiptDigest(text)).toMatch(/^[0-9a-f]{64}$/)
    expect(receiptDigest(text)).not.toBe(receiptDigest(text.replace('"rows": 2', '"rows": 3')))
  })

  test.each([
    ['cut', (text: string) => text.slice(0, 100), 'it is not JSON'],
    ['empty', () => '', 'it is not JSON'],
    ['no object', () => '[]', /the whole: .*expected object/],
    ['of a removal', () => '{"format": 2, "receipt": {"uri": "file:///x"}}', 'it records a removal'],
    ['of another program', () => '{"manifest": 1}', /format: .*; id: /],
    ['without a member', (text: string) => text.replace(/"rows": 2,/, ''), /tables\[0\]\.rows: /],
    [
      'with a wrong one',
      (text: string) => text.replace('"bytes": 70', '"bytes": "70"'),
      /tables\[0\]\.objects\[0\]\.bytes: /,
    ],
    ['with half a digest', (text: string) => text.replace('a'.repeat(64), 'a'.repeat(63)), /objects\[0\]\.sha256: /],
    [
      'that names objects elsewhere',
      (text: string) => text.replace('public.events-', '../public.events-'),
      /objects\[0\]\.name: /,
    ],
    [
      'of a later format',
      (text: string) => text.replace('"format": 1', '"format": 2'),
      /has the format 2, and this version of Ebb reads up to 1/,
    ],
  ])('is refused: %s', async (_, damage, reason) => {
    await expect(parseReceipt(damage(await receiptText(RECEIPT)), WHERE)).rejects.toThrow(reason)
  })

  test('may have fields added by a later version', async () => {
    const text = (await receiptText(RECEIPT)).replace('"format": 1', '"format": 1, "colour": "blue"')
    expect(await parseReceipt(text, WHERE)).toMatchObject(RECEIPT)
  })

  test('is described by docs/receipt.schema.json, which another validator reads', async () => {
    const schema = JSON.parse(readFileSync('docs/receipt.schema.json', 'utf8')) as object
    const conforms = new Ajv2020({ strict: false, formats: { 'date-time': true } }).compile(schema)
    const read = async (text: Promise<string>) => JSON.parse(await text) as { tables: { rows?: number }[] }
    const [plain, encrypted] = [await read(receiptText(RECEIPT)), await read(receiptText(ENCRYPTED))]
    expect([conforms(plain), conforms(encrypted), conforms.errors]).toEqual([true, true, null])
    delete plain.tables[0]!.rows
    expect([conforms(plain), conforms({ ...encrypted, format: '1' })]).toEqual([false, false])
  })

  test('says how to load the rows, and how to read them, without Ebb', async () => {
    const { tables } = JSON.parse(await receiptText(ENCRYPTED)) as { tables: { reading: object }[] }
    expect(tables[0]!.reading).toMatchInlineSnapshot(`
      {
        "copy": [
          "copy "public"."events" ("id", "payload") from stdin with (format csv, header, encoding 'UTF8')",
        ],
        "duckdb": "select * from read_csv(['public.events-00001.csv.gz'], columns = {'id': 'BIGINT', 'payload': 'VARCHAR'}, auto_detect = false, header = true, delim = ',', quote = '"', escape = '"', new_line = '\\n', comment = '', nullstr = '', allow_quoted_nulls = false, compression = 'gzip')",
      }
    `)
    const generated = { name: 'twice', number: 3, type: 'bigint', notNull: false, generated: true }
    const table = archivedTable({ objects: [OBJECT] })
    expect(readingOf({ ...table, columns: [...table.columns, generated] }, RECEIPT.encoding).copy)
      .toMatchInlineSnapshot(`
      [
        "create temporary table archived ("id" bigint, "payload" text, "twice" bigint)",
        "copy archived ("id", "payload", "twice") from stdin with (format csv, header, encoding 'UTF8')",
        "insert into "public"."events" ("id", "payload") overriding system value select "id", "payload" from archived",
      ]
    `)
    expect(readingOf({ ...table, columns: [] }, RECEIPT.encoding).duckdb).toBeNull()
  })
})

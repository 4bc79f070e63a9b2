import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { literal } from '../../src/sql/sql.ts'
import type { OwnServer } from './database.ts'
import { until } from './until.ts'

/**
 * Makes a server speak TLS, by a certificate that it has made itself, and insist on it but for its administrator.
 * Returns the path of the certificate, for those who are to trust it.
 */
export async function speakTls({ server, database }: OwnServer, openssl: string): Promise<string> {
  const names = '-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1'
  const make = `'${openssl}' req -new -x509 -days 2 -nodes -newkey rsa:2048 ${names} -out server.crt -keyout server.key`
  await database.admin(`copy (select 1) to program ${literal(make).text}`)
  const hba = join(server.dataFolder, 'pg_hba.conf')
  const administrator = new URL(server.url).username
  await writeFile(
    hba,
    (await readFile(hba, 'utf8')).replace(/^host .*$/gm, '') +
      `hostnossl all ${administrator} all trust\nhostssl all all all trust\n`,
  )
  await database.admin('alter system set ssl = on')
  await database.admin('select pg_reload_conf()')
  const isOn = async () => (await database.admin<{ ssl: string }>('show ssl')).rows[0]?.ssl === 'on'
  await until(isOn, { what: 'the server to speak TLS' })
  return join(server.dataFolder, 'server.crt')
}

/** The exports of a file of TypeScript, as it is now. Node.js reads TypeScript by itself only from 22.18 on. */
export async function importTypeScript(path: string): Promise<unknown> {
  const { createJiti } = await import('jiti')
  return createJiti(import.meta.url, { moduleCache: false, fsCache: false }).import(path)
}

/** A search path as SET takes it: the setting of one without schemas is empty, and nothing is no value for SET. */
export function pathForSet(searchPath: string): string {
  return searchPath === '' ? "''" : searchPath
}

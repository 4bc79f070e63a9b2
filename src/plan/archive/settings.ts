import type { Encoding } from './receipt.ts'
import { OUR_SETTINGS, type ConditionSettings } from '../../sql/condition-settings.ts'

// Settings shape text: dates, intervals, floating-point numbers, bytea, money, xml, names of tables. A receipt has those
// under which its rows were written, and they are read again under the same.

/** As all sessions of Ebb have them. */
const FIXED = { extra_float_digits: '1', client_encoding: 'UTF8' }

/** What a receipt says of an archive whose rows were selected under these settings of a condition. */
export function writtenUnder(settings: ConditionSettings): Readonly<Record<string, string>> {
  const names = Object.keys(OUR_SETTINGS)
  const ofCondition = Object.entries(settings).filter(([name]) => names.includes(name))
  return { ...OUR_SETTINGS, ...Object.fromEntries(ofCondition), ...FIXED }
}

/**
 * Under which the values are read: those that shape them, of the receipt. Its search path is not among them: it would say
 * which functions are called by the checks of a domain, and a receipt comes from outside.
 */
export function readingSettings({ settings }: Pick<Encoding, 'settings'>): ConditionSettings {
  return { ...settings, search_path: OUR_SETTINGS.search_path }
}

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

/** Those that say what a text means, and not only how it is written or which text is accepted. */
const MEANING = ['DateStyle', 'IntervalStyle', 'TimeZone', 'lc_monetary']

/**
 * Under which the values are read again: of the settings of the receipt those by which their text means something. Under
 * others it would be read wrongly: without array_nulls, a null in an array becomes the word. And the search path would
 * say which functions are called by the checks of a domain: a receipt comes from outside.
 */
export function readingSettings({ settings }: Pick<Encoding, 'settings'>): ConditionSettings {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => MEANING.includes(name)))
}

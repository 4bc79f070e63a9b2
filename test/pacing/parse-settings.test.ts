import { describe, expect, test } from 'vitest'
import { parsePaceFile } from '../../src/pacing/pace-file.ts'
import { PACE_WORDS, parsePaceWord } from '../../src/pacing/parse-settings.ts'
import { parseWindow } from '../../src/pacing/window.ts'

describe('pace options', () => {
  test.for<[word: string, text: string, settings: object]>([
    ['max-blocked', '3', { maxBlocked: 3 }],
    ['max-blocked', 'off', { maxBlocked: null }],
    ['max-replica-lag', '16MB', { maxReplicaLagBytes: 16e6 }],
    ['max-replica-lag', '1.5 GB', { maxReplicaLagBytes: 1.5e9 }],
    ['max-replica-lag', '65536', { maxReplicaLagBytes: 65536 }],
    ['max-replica-lag', '0', { maxReplicaLagBytes: 0 }],
    ['max-slot-wal', '20kB', { maxSlotWalBytes: 20e3 }],
    ['max-wal-rate', '20MB/s', { maxWalBytesPerSecond: 20e6 }],
    ['max-archive-backlog', '1TB', { maxArchiveBacklogBytes: 1e12 }],
    ['max-active', '40', { maxActive: 40 }],
    ['yield-to-vacuum', 'any', { yieldToVacuum: 'any' }],
    ['yield-to-vacuum', 'off', { yieldToVacuum: 'none' }],
    [
      'window',
      '01:00-02:00,22:00-23:00 Europe/Berlin',
      { windows: ['01:00-02:00', '22:00-23:00 Europe/Berlin'].map(parseWindow) },
    ],
    ['window', 'off', { windows: [] }],
    ['health-sql', 'select true', { healthSql: 'select true' }],
    ['health-url', 'https://u:p@host/x', { healthUrl: 'https://u:p@host/x' }],
    ['pause-file', '/tmp/p', { pauseFile: '/tmp/p' }],
    ['stop-file', 'off', { stopFile: null }],
    ['pause-ms', '200', { pauseMs: 200 }],
    ['target-ms', '30', { targetMs: 30 }],
  ])('%s %s', ([word, text, settings]) => {
    expect(parsePaceWord(word, text)).toEqual(settings)
  })

  test.for([
    ['max-blocked', '-1'],
    ['max-blocked', 'many'],
    ['max-replica-lag', '16 MiB'],
    ['max-replica-lag', '-1'],
    ['max-replica-lag', ''],
    ['max-wal-rate', '0'],
    ['max-active', '1.5'],
    ['yield-to-vacuum', 'some'],
    ['window', '01:00'],
    ['window', '01:00-02:00,'],
    ['health-sql', ' '],
    ['health-url', 'ftp://host'],
    ['health-url', 'host/path'],
    ['pause-ms', '-5'],
    ['target-ms', '0'],
    ['target-ms', 'off'],
    ['target-ms', '60001'],
    ['toString', '1'],
  ] as const)('%s %j is rejected', ([word, text]) => {
    expect(() => parsePaceWord(word, text)).toThrow()
  })

  test('a rejected URL is not repeated', () => {
    expect(() => parsePaceWord('health-url', 'ftp://user:s3cret@host')).toThrow(/^(?!.*s3cret)/)
  })

  test('each limit can be disabled', () => {
    for (const word of PACE_WORDS.filter((word) => word !== 'target-ms'))
      expect(() => parsePaceWord(word, 'off')).not.toThrow()
  })
})

describe('a pace file', () => {
  test('has the names of the command line', () => {
    const text =
      '{"max-active": 20, "max-replica-lag": "16MB", "window": ["01:00-02:00", "03:00-04:00"], "stop-file": null}'
    expect(parsePaceFile(text)).toEqual({
      maxActive: 20,
      maxReplicaLagBytes: 16e6,
      windows: [parseWindow('01:00-02:00'), parseWindow('03:00-04:00')],
      stopFile: null,
    })
  })

  test('reports all errors, and no text that cannot be parsed', () => {
    expect(() => parsePaceFile('{"max-active": "x", "target-ms": true, "speed": 9}')).toThrow(
      /^max-active: .*; target-ms: .*; speed: .*$/,
    )
    for (const text of ['', '[]', '7', 'null', '{"health-url": "https://u:s3cret@h"'])
      expect(() => parsePaceFile(text)).toThrow('it is not a JSON object')
  })
})

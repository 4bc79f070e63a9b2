import type { Transform } from 'node:stream'
import * as zlib from 'node:zlib'
import { EbbError, NOTHING_CHANGED } from '../../errors.ts'
import type { Compression } from '../../plan/archive/request.ts'
import { Gathered } from './gathered.ts'

/** What Node has from 22.15 on, and the types of Node 20 do not know. */
interface Zstd {
  readonly createZstdCompress?: (options: object) => Transform
  readonly createZstdDecompress?: (options: object) => Transform
  readonly constants: { readonly ZSTD_c_checksumFlag?: number; readonly ZSTD_c_compressionLevel?: number }
}

const { createZstdCompress, createZstdDecompress, constants } = zlib as unknown as Zstd

/** Levels that keep up with COPY: `zstd -3`, `gzip -1`. */
const ZSTD_LEVEL = 3
const GZIP_LEVEL = 1
/** With 16 KB of what came before it is an eighth faster than with 32, and at this level as small. */
const GZIP_WINDOW_BITS = 14

/**
 * Compression and its reverse run in a thread of their own, which waits for the event loop after each piece: so pieces are
 * large, and one lies ready while rows are read, counted and digested.
 */
const PIECE = 2 ** 19
/** Of what is compressed, which becomes several times as much. */
const COMPRESSED_PIECE = PIECE / 4
const COMPRESSING = { chunkSize: COMPRESSED_PIECE, highWaterMark: PIECE }
const DECOMPRESSING = { chunkSize: PIECE, highWaterMark: PIECE }

/** What compresses best here without being slower. */
export function defaultCompression(): Compression {
  return createZstdCompress === undefined ? 'gzip' : 'zstd'
}

/**
 * What compresses, if anything does. Zstandard writes one frame, with a checksum: without it a changed bit passes, and
 * of several frames some readers read the first only.
 */
export function compressor(compression: Compression): Transform[] {
  if (compression === 'none') return []
  if (compression === 'gzip')
    return [
      new Gathered(PIECE),
      zlib.createGzip({ ...COMPRESSING, level: GZIP_LEVEL, memLevel: 9, windowBits: GZIP_WINDOW_BITS }),
    ]
  if (createZstdCompress === undefined) throw withoutZstd('compress')
  const { ZSTD_c_checksumFlag = 201, ZSTD_c_compressionLevel = 100 } = constants
  return [
    new Gathered(PIECE),
    createZstdCompress({ ...COMPRESSING, params: { [ZSTD_c_checksumFlag]: 1, [ZSTD_c_compressionLevel]: ZSTD_LEVEL } }),
  ]
}

/** The way back. What decompresses may accept what is cut, or followed by junk: compare what was stored. */
export function decompressor(compression: Compression): Transform[] {
  if (compression === 'none') return []
  if (compression === 'gzip') return [new Gathered(COMPRESSED_PIECE), zlib.createGunzip(DECOMPRESSING)]
  if (createZstdDecompress === undefined) throw withoutZstd('decompress')
  return [new Gathered(COMPRESSED_PIECE), createZstdDecompress(DECOMPRESSING)]
}

function withoutZstd(verb: string): EbbError {
  return new EbbError(
    `this Node.js, ${process.version}, cannot ${verb} zstd`,
    {
      state: NOTHING_CHANGED,
      next: `Use Node.js 22.15 or later${verb === 'compress' ? ', or --compression gzip.' : '.'}`,
    },
    'usage',
  )
}

import pg from 'pg'

// SQL as a value. Text and parameters stay separate until PostgreSQL combines them, and everything written into a
// statement passes through this file.

/** A piece of SQL with its parameters. `client.query` accepts it; another `sql` can contain it. */
export class Sql {
  readonly values: unknown[]
  private readonly chunks: readonly string[]

  constructor(chunks: readonly string[], values: readonly unknown[]) {
    this.chunks = chunks
    this.values = [...values]
  }

  /** The statement, with `$1`, `$2`, … for the parameters. */
  get text(): string {
    return this.chunks.reduce((written, chunk, position) => `${written}$${position}${chunk}`)
  }

  /** Both pieces as one; the parameters of `next` are renumbered. */
  concat(next: Sql): Sql {
    const [first = '', ...rest] = next.chunks
    const seam = (this.chunks.at(-1) ?? '') + first
    return new Sql([...this.chunks.slice(0, -1), seam, ...rest], [...this.values, ...next.values])
  }
}

/** Writes SQL: a nested `Sql` becomes part of the text, every other value a parameter. */
export function sql(strings: TemplateStringsArray, ...parts: readonly unknown[]): Sql {
  let written = raw(strings[0] ?? '')
  parts.forEach((part, position) => {
    const piece = part instanceof Sql ? part : new Sql(['', ''], [part])
    written = written.concat(piece).concat(raw(strings[position + 1] ?? ''))
  })
  return written
}

/** Raw text: keywords and text printed by the catalogue. Never input. */
export function raw(text: string): Sql {
  return new Sql([text], [])
}

/** A quoted identifier; several make a path: `ident('public', 'a.b')` is `"public"."a.b"`. */
export function ident(...path: readonly string[]): Sql {
  return raw(path.map((part) => pg.escapeIdentifier(part)).join('.'))
}

/** A quoted literal, for DDL, where PostgreSQL takes no parameters. */
export function literal(text: string): Sql {
  return raw(pg.escapeLiteral(text))
}

/** The same for code, dollar-quoted to stay readable. */
export function dollarQuoted(code: string): Sql {
  let tag = '$ebb$'
  for (let n = 1; code.includes(tag); n++) tag = `$ebb${n}$`
  return raw(`${tag}${code}${tag}`)
}

/** The pieces joined with a separator. */
export function join(pieces: readonly Sql[], separator = ', '): Sql {
  return pieces.reduce(
    (list, piece, position) => (position === 0 ? piece : list.concat(raw(separator)).concat(piece)),
    raw(''),
  )
}

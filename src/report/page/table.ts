import { html, type Content, type Html } from './html.ts'

export interface Column {
  readonly title: string
  /** Figures, which stand below each other. */
  readonly figure?: boolean
}

/** A table that is read line by line where it is narrow: each cell then has the title of its column. */
export function table(caption: Content, columns: readonly Column[], rows: readonly (readonly Content[])[]): Html {
  return html`<table class="lines">
    <caption>
      ${caption}
    </caption>
    ${head(columns)}
    <tbody>
      ${rows.map((row) => line(columns, row))}
    </tbody>
  </table>`
}

function line(columns: readonly Column[], row: readonly Content[]): Html {
  return html`<tr>
    ${row.map((cell, i) => html`<td data-label="${columns[i]?.title ?? ''}" ${ofFigure(columns[i])}>${cell}</td>`)}
  </tr>`
}

/** A long table, folded, which scrolls by itself where it is narrow. */
export function folded(summary: Content, columns: readonly Column[], rows: readonly (readonly Content[])[]): Html {
  return html`<details>
    <summary>${summary}</summary>
    <div class="scroll" tabindex="0" role="region" aria-label="${textIn(summary)}">
      <table>
        ${head(columns)}
        <tbody>
          ${rows.map(
            (row) =>
              html`<tr>
                ${row.map((cell, i) => html`<td${ofFigure(columns[i])}>${cell}</td${ofFigure(columns[i])}>`)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </details>`
}

function head(columns: readonly Column[]): Html {
  return html`<thead>
    <tr>
      ${columns.map((column) => html`<th scope="col" ${ofFigure(column)}>${column.title}</th>`)}
    </tr>
  </thead>`
}

const FIGURE = html` class="figure"`

function ofFigure(column: Column | undefined): Html | null {
  return column?.figure === true ? FIGURE : null
}

function textIn(content: Content): string {
  return typeof content === 'string' ? content : 'table'
}

// Tables of contents of pages that are longer than about three screens: links to their sections, after the introduction.

/** As a page shows them: a longer line of the source is wrapped. */
const [MOST_LINES, LINE_WIDTH] = [120, 120]
const [BEGIN, END] = ['<!-- contents -->', '<!-- end of contents -->']

/** The page with its table of contents up to date; as it is where it needs none, or has one written by hand. */
export function withContents(page) {
  const bare = page.replace(new RegExp(`${BEGIN}[^]*?${END}\n\n`), '')
  const sections = sectionsOf(bare)
  const introduction = bare.slice(0, bare.indexOf('\n## ') + 1)
  const byHand = sections.every(({ anchor }) => introduction.includes(`](#${anchor})`))
  if (linesOf(bare) <= MOST_LINES || sections.length < 2 || byHand) return bare
  const links = sections.map(({ title, anchor }) => `* [${title}](#${anchor})`)
  return `${introduction}${BEGIN}\n\n${links.join('\n')}\n\n${END}\n\n${bare.slice(introduction.length)}`
}

function linesOf(page) {
  return page.split('\n').reduce((sum, { length }) => sum + Math.max(1, Math.ceil(length / LINE_WIDTH)), 0)
}

/** Headings of the second level, outside of blocks. */
function sectionsOf(page) {
  const prose = page.replace(/^```[^]*?^```$/gm, '')
  return [...prose.matchAll(/^## (.*)$/gm)].map(([, title]) => ({ title, anchor: anchorOf(title) }))
}

/** As GitHub makes it. */
function anchorOf(title) {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-')
}

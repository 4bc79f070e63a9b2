const WIDTH = 720
const LABELS = 230
const BAR = 18
const GAP = 10
const TOP = 40

/** Horizontal bars as SVG, one for each line's `seconds`. */
export function barChart(title, lines) {
  const most = Math.max(...lines.map(({ seconds }) => seconds))
  const height = TOP + lines.length * (BAR + GAP) + GAP
  const bars = lines.map(({ name, seconds }, i) => {
    const y = TOP + i * (BAR + GAP)
    const width = Math.max(1, ((WIDTH - LABELS - 70) * seconds) / most)
    const fill = name.startsWith('ebb') ? '#2563eb' : '#94a3b8'
    return [
      `<text x="${LABELS - 8}" y="${y + 13}" text-anchor="end">${escape(name)}</text>`,
      `<rect x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" fill="${fill}"/>`,
      `<text x="${(LABELS + width + 6).toFixed(1)}" y="${y + 13}">${seconds.toFixed(2)} s</text>`,
    ].join('')
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13" fill="#334155">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="16" y="24" font-weight="bold">${escape(title)}</text>
${bars.join('\n')}
</svg>
`
}

function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

// A bar chart for a README: one group of horizontal bars a workload, each group measured against its own best bar. An SVG of its
// own white ground, so that it reads the same on light and dark pages; no scripts, no style sheet, no font of its own.

const WIDTH = 860
const PADDING = 24
const NUMBER_WIDTH = 92
const BAR_HEIGHT = 13
const BAR_GAP = 3
const GROUP_GAP = 14
const LINE_STEP = 20
// A wide guess at the width of a letter in ems: the font is the reader's.
const LETTER_WIDTH = 0.6

const FONT = 'system-ui, -apple-system, \'Segoe UI\', Roboto, \'Helvetica Neue\', Arial, sans-serif'
const INK = '#1f2328'
const FAINT = '#59636e'
const LINE = '#d1d9e0'

// One strong colour, the others calm and of different lightness, so that they stay apart in grey and for the colour-blind.
const COLOURS = { spillway: '#d9480f', 'classic-level': '#4c78a8', lmdb: '#72b7b2', 'better-sqlite3': '#9d8ec7', 'rocksdb-cpp': '#9aa4ae' }
const MORE_COLOURS = ['#b79a4a', '#3b5b43', '#c48fa5', '#6b5344']

/**
 * `groups` are `{ workload, bars: [{ store, perSecond }] }`; stores are drawn in the order in which they first appear, and each
 * keeps its colour. A bar whose `perSecond` is not a number above 0 is left out; so is a group of none.
 */
export function chartSvg({ title, subtitle, groups }) {
  const drawn = groups
    .map(({ workload, bars }) => ({ workload, bars: bars.filter(({ perSecond }) => Number.isFinite(perSecond) && perSecond > 0) }))
    .filter(({ bars }) => bars.length > 0)
  const colours = coloursOf(drawn)
  const longest = Math.max(0, ...drawn.map(({ workload }) => workload.length))
  const barsLeft = Math.ceil(PADDING + longest * 13 * LETTER_WIDTH + 12)
  const barsWidth = WIDTH - PADDING - NUMBER_WIDTH - barsLeft

  const parts = []
  let y = PADDING + 16
  parts.push(text(PADDING, y, title, { size: 18, weight: 600 }))
  y += 2
  for (const line of linesOf(subtitle ?? '', (WIDTH - 2 * PADDING) / (12.5 * LETTER_WIDTH))) {
    y += LINE_STEP
    parts.push(text(PADDING, y, line, { size: 12.5, fill: FAINT }))
  }
  y = legend(parts, colours, y + 28)

  y += GROUP_GAP
  const top = y - GROUP_GAP / 2
  for (const { workload, bars } of drawn) {
    const height = bars.length * (BAR_HEIGHT + BAR_GAP) - BAR_GAP
    const best = Math.max(...bars.map(({ perSecond }) => perSecond))
    parts.push(text(barsLeft - 12, y + height / 2 + 4.5, workload, { size: 13, weight: 600, anchor: 'end' }))
    for (const { store, perSecond } of bars) {
      // Never so short that the bar cannot be seen.
      const width = Math.max(perSecond / best * barsWidth, 1.5)
      parts.push(rectangle(barsLeft, y, width, BAR_HEIGHT, colours.get(store)))
      const weight = perSecond === best ? 600 : 400
      parts.push(text(barsLeft + width + 6, y + BAR_HEIGHT - 2.5, formatRate(perSecond), { size: 11.5, weight }))
      y += BAR_HEIGHT + BAR_GAP
    }
    y += GROUP_GAP - BAR_GAP
  }
  const bottom = y - GROUP_GAP / 2
  parts.push(`<path d="M${barsLeft - 0.5} ${number(top)}V${number(bottom)}" stroke="${LINE}"/>`)

  const height = Math.ceil(bottom + PADDING - GROUP_GAP / 2)
  const name = escaped(subtitle ? `${title}. ${subtitle}` : title)
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" ` +
    `role="img" aria-label="${name}" font-family="${FONT}">\n` +
    `<rect x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="10" fill="#ffffff" stroke="${LINE}"/>\n` +
    `${parts.join('\n')}\n</svg>\n`
}

/** Operations a second in three digits: 98 /s, 12.4 k/s, 1.25 M/s. */
export function formatRate(perSecond) {
  // 999.6 k is 1.00 M.
  const rounded = Number(perSecond.toPrecision(3))
  if (rounded >= 1e6) return `${(rounded / 1e6).toPrecision(3)} M/s`
  if (rounded >= 1e3) return `${(rounded / 1e3).toPrecision(3)} k/s`
  return `${rounded} /s`
}

function coloursOf(groups) {
  const stores = [...new Set(groups.flatMap(({ bars }) => bars.map(({ store }) => store)))]
  let next = 0
  return new Map(stores.map(store => [store, COLOURS[store] ?? MORE_COLOURS[next++ % MORE_COLOURS.length]]))
}

/** Broken between words into lines of at most `most` letters. */
function linesOf(content, most) {
  const lines = []
  for (const word of content.split(' ')) {
    const line = `${lines.at(-1)} ${word}`
    if (lines.length > 0 && line.length <= most) lines[lines.length - 1] = line
    else if (word !== '') lines.push(word)
  }
  return lines
}

/** Breaks into lines where it would leave the chart; returns the y below it. */
function legend(parts, colours, y) {
  let x = PADDING
  for (const [store, colour] of colours) {
    const width = 18 + store.length * 12.5 * LETTER_WIDTH + 18
    if (x > PADDING && x + width > WIDTH - PADDING) {
      x = PADDING
      y += LINE_STEP
    }
    parts.push(rectangle(x, y - 10, 12, 12, colour), text(x + 18, y, store, { size: 12.5 }))
    x += width
  }
  return y + 10
}

function rectangle(x, y, width, height, fill) {
  return `<rect x="${number(x)}" y="${number(y)}" width="${number(width)}" height="${number(height)}" rx="2" fill="${fill}"/>`
}

function text(x, y, content, { size, weight = 400, anchor = 'start', fill = INK }) {
  return `<text x="${number(x)}" y="${number(y)}" font-size="${size}" font-weight="${weight}" text-anchor="${anchor}" fill="${fill}">` +
    `${escaped(content)}</text>`
}

function number(value) {
  return String(Math.round(value * 100) / 100)
}

function escaped(content) {
  return String(content).replace(/[&<>"]/g, letter => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[letter])
}

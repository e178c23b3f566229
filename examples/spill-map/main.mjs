/**
 * Counts the words of files, or of made-up text, in a map that may be larger than memory.
 *
 *   node examples/spill-map/main.mjs                       two million made-up words, of which most are different
 *   node examples/spill-map/main.mjs --words 20000000 --budget "64 MiB"
 *   node examples/spill-map/main.mjs book.txt notes.txt
 *
 * With a Map instead of a SpillMap the same program ends with "heap out of memory" once there are enough different words.
 */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { SpillMap } from 'spillway/collections'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { words: { type: 'string', default: '2000000' }, budget: { type: 'string', default: '32 MiB' } },
})

const counts = new SpillMap({ budget: values.budget, keyEncoding: 'utf8' })
let total = 0
try {
  for await (const word of positionals.length > 0 ? wordsOf(positionals) : madeUp(Number(values.words))) {
    counts.set(word, (counts.get(word) ?? 0) + 1)
    total++
  }

  const most = []
  for (const [word, count] of counts) {
    if (most.length === 10 && count <= most[9].count) continue
    most.push({ word, count })
    // A stable sort: of equal ones the first to come stays first.
    most.sort((a, b) => b.count - a.count)
    most.length = Math.min(10, most.length)
  }
  for (const { word, count } of most) console.log(`${String(count).padStart(10)}  ${word}`)
  const { highWaterBytes, budgetBytes } = counts.memory()
  const mebibytes = bytes => (bytes / 2 ** 20).toFixed(1)
  console.log(`${counts.size.toLocaleString('en-US')} different ones of ${total.toLocaleString('en-US')} words; at most ${mebibytes(highWaterBytes)} of ${mebibytes(budgetBytes)} MiB in use`)
} finally {
  counts.dispose()
}

async function* wordsOf(paths) {
  for (const path of paths) {
    for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
      yield* line.toLowerCase().match(/\p{L}+/gu) ?? []
    }
  }
}

/** Few words come often, most once or twice. */
function* madeUp(count) {
  let state = 1
  for (let i = 0; i < count; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    const random = state >>> 0
    yield `word${random % 4 === 0 ? random % 1000 : random % (2 * count)}`
  }
}

// Sorts, groups and queues more than its memory holds: the lines of a made-up access log.
//
//   node examples/external-sort/main.mjs [--lines 1000000] [--budget "16 MiB"]     (after npm run build)
//   node examples/external-sort/main.mjs FILE > SORTED                             sorts the lines of a file
import { createReadStream } from 'node:fs'
import { parseArgs } from 'node:util'
import { SpillQueue, externalSort, groupBy, sortLines } from '../../dist/collections/index.js'

const { values: options, positionals: [file] } = parseArgs({
  allowPositionals: true,
  options: { lines: { type: 'string', default: '1000000' }, budget: { type: 'string', default: '16 MiB' } },
})
const { budget } = options
const count = Number(options.lines)

if (file === undefined) {
  await sortRequests()
  await sumPerCustomer()
  queueRequests()
} else {
  for await (const chunk of sortLines(createReadStream(file), { budget })) {
    if (!process.stdout.write(chunk)) await new Promise(resolve => process.stdout.once('drain', resolve))
  }
}

/** Requests as they come in: customers in no order. */
function* requests() {
  let state = 42
  for (let id = 0; id < count; id++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    yield { id, customer: `customer-${(state >>> 8) % 5000}`, milliseconds: state % 900 }
  }
}

/** The slowest first; among equals, by the time they came. */
async function sortRequests() {
  let shown = 0
  for await (const { id, customer, milliseconds } of externalSort(requests(), { by: request => request.milliseconds, reverse: true, budget })) {
    console.log(`${milliseconds} ms  request ${id} of ${customer}`)
    // Leaving the loop removes the scratch files.
    if (++shown === 3) break
  }
}

async function sumPerCustomer() {
  let customers = 0
  let requestsSeen = 0
  for await (const [, sum] of groupBy(requests(), {
    by: request => request.customer, budget, init: () => ({ requests: 0, milliseconds: 0 }),
    reduce: (sum, request) => ({ requests: sum.requests + 1, milliseconds: sum.milliseconds + request.milliseconds }),
  })) {
    customers++
    requestsSeen += sum.requests
  }
  console.log(`${requestsSeen} requests of ${customers} customers`)
}

function queueRequests() {
  const queue = new SpillQueue({ budget })
  for (const request of requests()) queue.push(request)
  const { usedBytes, pages } = queue.stats()
  let inOrder = 0
  for (const { id } of queue.drain()) if (id === inOrder) inOrder++
  console.log(`${inOrder} requests queued and taken in order; ${(usedBytes / 2 ** 20).toFixed(1)} MiB in use when it was full, ${pages?.extentsWritten ?? 0} pages written`)
  queue.dispose()
}

// One life of a store, driven by messages. Row n has a value that follows from n, so that any process can check it.
import { Spillway } from '../../dist/index.js'

let db
let isBusy = Promise.resolve()

process.on('message', message => {
  isBusy = isBusy.then(() => act(message)).then(result => ({ id: message.id, result }), error => ({ id: message.id, error: { code: error.code, message: error.message } }))
    .then(answer => { if (process.connected) process.send(answer) })
})

process.on('disconnect', () => { process.exit() })

async function act({ op, from, to, durability, width = 1, directory }) {
  if (op === 'open') {
    db = await Spillway.open(directory, { budget: '16 MiB', durability: 'os' })
    return undefined
  }
  if (op === 'write') {
    for (let n = from; n < to; n += width) {
      const rows = Array.from({ length: Math.min(width, to - n) }, (_, i) => n + i)
      await Promise.all(rows.map(row => db.put(keyOf(row), valueOf(row), { durability }).then(() => { process.send({ acknowledged: row, durability }) })))
    }
    return undefined
  }
  if (op === 'flush') return db.flush()
  if (op === 'close') return db.close()
  // The rows that are there: a beginning of all of them, each with its value.
  let rows = 0
  for await (const [key, value] of db.iterator()) {
    if (key !== keyOf(rows)) throw new Error(`${keyOf(rows)} is missing, ${key} is there`)
    if (value !== valueOf(rows)) throw new Error(`${key} has ${value.length} characters that are not its own`)
    rows++
  }
  const { errors } = await db.verify()
  if (errors.length > 0) throw new Error(`verify: ${errors.map(error => error.message).join('; ')}`)
  return rows
}

function keyOf(row) {
  return `row:${String(row).padStart(8, '0')}`
}

function valueOf(row) {
  return `${row} `.repeat(row % 23 === 7 ? 20_000 : 20 + row * 7919 % 900)
}

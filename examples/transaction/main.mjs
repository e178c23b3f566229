// Moves money between accounts from many tasks at once, then loads more rows than memory holds, all or nothing.
//
//   node examples/transaction/main.mjs [DIRECTORY]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Spillway } from 'spillway'

const ACCOUNTS = 20
const TRANSFERS = 400
const TASKS = 8
const ROWS = 60_000

const directory = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'spillway-transaction-'))
const account = number => `account:${String(number % ACCOUNTS).padStart(2, '0')}`

const db = await Spillway.open(directory, { budget: '16 MiB', valueEncoding: 'json' })
try {
  await db.batch(Array.from({ length: ACCOUNTS }, (_, i) => ({ type: 'put', key: account(i), value: 100 })))

  // Each task picks two accounts; those that collide are run again.
  const transfer = i => db.transaction(async tx => {
    const [from, to] = [account(i * 7), account(i * 7 + 1 + i % 11)]
    const available = await tx.get(from)
    const amount = Math.min(available, i % 30)
    await tx.put(from, available - amount)
    await tx.put(to, await tx.get(to) + amount)
  }, { retries: 1000 })
  await Promise.all(Array.from({ length: TASKS }, async (_, task) => {
    for (let i = task; i < TRANSFERS; i += TASKS) await transfer(i)
  }))
  let total = 0
  for (const [, value] of db.entriesSync({ gte: 'account:', lt: 'account;' })) total += value
  const { committed, conflicts } = db.stats().transactions
  console.log(`${committed} transfers, ${conflicts} were run again; ${total} in all accounts together, as before`)
  if (total !== ACCOUNTS * 100) process.exitCode = 1

  // 60 MiB in a budget of 16: writes that do not fit wait on disk, and none is visible before the commit.
  await db.transaction(async tx => {
    for (let i = 0; i < ROWS; i++) await tx.put(`row:${i}`, { i, text: 'x'.repeat(1000) })
    console.log(`inside: ${(await tx.get('row:7')).i}, outside: ${await db.get('row:7')}, memory: ${(db.memory().usedBytes / 2 ** 20).toFixed(1)} MiB`)
  })
  const count = await db.count({ gte: 'row:', lt: 'row;' })
  console.log(`${count} rows after the commit`)
  if (count !== ROWS) process.exitCode = 1
} finally {
  await db.close()
}
if (process.argv[2] === undefined) rmSync(directory, { recursive: true })

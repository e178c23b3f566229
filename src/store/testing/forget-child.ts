/** Writes entries, and ends without closing the store. Arguments: directory, how many entries. */
import { writeSync } from 'node:fs'
import { Spillway } from '../spillway.ts'

const count = Number(process.argv[3])
const db = await Spillway.open(process.argv[2]!, { budget: '16 MiB' })
for (let i = 0; i < count; i++) await db.put(`key ${i}`, `value ${i}`.repeat(20))
writeSync(1, `acknowledged ${count}\n`)

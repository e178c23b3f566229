/** Opens a store, writes one entry, says so on stdout and holds the store until it is killed. Argument: directory. */
import { writeSync } from 'node:fs'
import { Spillway } from '../spillway.ts'

const db = await Spillway.open(process.argv[2]!, { budget: '8 MiB' })
await db.put('held by', String(process.pid))
writeSync(1, 'open\n')
setInterval(() => {}, 1000)

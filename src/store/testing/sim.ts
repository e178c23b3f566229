/** Stores on a simulated disk: opening them, waiting without hanging, and what must hold of their ledger and their files. */
import assert from 'node:assert/strict'
import { SpillwayError } from '../../base/errors.ts'
import type { Host } from '../../host/host.ts'
import { SimHost } from '../../host/sim/sim-host.ts'
import type { SimOptions } from '../../host/sim/sim-host.ts'
import { manifestName, parseName, tableName } from '../../base/file-names.ts'
import { Spillway } from '../spillway.ts'
import type { AnyEncodings } from '../../encoding/encoding-types.ts'
import type { StoreOptions } from '../api/options.ts'

export const DIRECTORY = '/store'
/** Just above the floor: memtables of 512 KiB, values up to 16 KiB in them, hardly any cache. */
export const TINY_BUDGET = '6.8 MiB'

/** From this many seeds on a run is a long one. */
const LONG_SEEDS = 100

/** How many seeds a test runs: `SPILLWAY_SEEDS` if it is set, for a longer search. */
export function seedCount(normal: number): number {
  const asked = process.env['SPILLWAY_SEEDS'] ?? normal
  const count = Number(asked)
  if (!Number.isSafeInteger(count) || count < 1) throw new Error(`SPILLWAY_SEEDS must be a whole number from 1, not ${asked}`)
  return count
}

/** Distance between the cases that are tried: 1 in a long run (`npm run test:long`), else `normal`. */
export function stride(normal: number): number {
  return seedCount(1) >= LONG_SEEDS ? 1 : normal
}

/** The first seed: `SPILLWAY_SEED` if it is set, to repeat a failure. */
export function firstSeed(normal: number): number {
  return Number(process.env['SPILLWAY_SEED'] ?? normal)
}

export function simHost(options: SimOptions = {}): SimHost {
  const host = new SimHost(options)
  host.disk.isLogging = false
  return host
}

/** Keys and values are what the test says they are. */
export function openSim<K = string, V = string>(host: SimHost, options: StoreOptions & AnyEncodings = {}): Promise<Spillway<K, V>> {
  return within(host, Spillway.open(DIRECTORY, { budget: TINY_BUDGET, blockBytes: 1024, ...options, host }) as Promise<Spillway<any, any>>)
}

/**
 * The outcome of a promise, or an error if the simulated machine comes to rest without one: it would never settle. Timers
 * that do not hold a process open (retries) get their time.
 */
export async function within<T>(host: SimHost, promise: Promise<T>): Promise<T> {
  let settled = false
  const end = (): void => { settled = true }
  const ended = promise.then(end, end)
  for (let round = 0; round < 50; round++) {
    await Promise.race([ended, host.idle()])
    // The end of the last task may be several microtasks ahead of the promise's.
    for (let i = 0; i < 5 && !settled; i++) await turns(1)
    if (settled) return promise
    host.advance(20_000)
  }
  throw new Error('nothing is left to do, yet the promise is pending: it hangs')
}

/** Let the event loop go round: each round is one slice of the simulator's work. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(resolve => setImmediate(resolve))
}

/** Never more than the budget, and every byte in an account. */
export function checkLedger(db: Spillway<any, any>): void {
  const { budgetBytes, usedBytes, highWaterBytes, accounts } = db.memory()
  let sum = 0
  for (const [name, { bytes, heldBytes = 0 }] of Object.entries(accounts)) {
    sum += bytes
    // What waits is one write more than fits, at most, inside its own call.
    if (name !== 'write queue') assert.ok(heldBytes <= bytes, `${name} holds ${heldBytes} bytes and has leased ${bytes}`)
  }
  assert.equal(sum, usedBytes, 'the accounts add up to what is used')
  assert.ok(highWaterBytes <= budgetBytes, `${highWaterBytes} bytes were in use, the budget is ${budgetBytes}`)
}

/** Nothing on the disk that the store does not need: one manifest, the tables it names, the value files that are referred to. */
export function checkFiles(host: Host, db: Spillway<any, any>): void {
  const { manifest, valueFiles, tables } = db.stats()
  const names = host.files.list(db.directory)
  const ofKind = (kind: string): string[] => names.filter(name => parseName(name).kind === kind)
  assert.deepEqual(ofKind('manifest'), [manifestName(manifest)])
  assert.deepEqual(ofKind('temporary'), [])
  assert.deepEqual(ofKind('foreign'), [])
  assert.deepEqual(ofKind('table'), tablesOf(host, db.directory, manifest))
  assert.equal(ofKind('table').length, tables)
  assert.equal(ofKind('value').length, valueFiles, `value files on the disk: ${ofKind('value').join(', ')}`)
}

/** The ledger is empty once a store is closed. */
export async function closeEmpty(host: SimHost, db: Spillway<any, any>): Promise<void> {
  await within(host, db.close())
  checkEmpty(db)
}

/** After a failed sync, which closing reports. */
export async function closeInDoubt(host: SimHost, db: Spillway<any, any>): Promise<void> {
  await assert.rejects(within(host, db.close()), /may not be on the disk/)
  checkEmpty(db)
}

export function checkEmpty(db: Spillway<any, any>): void {
  const { usedBytes, accounts } = db.memory()
  assert.equal(usedBytes, 0, `bytes left after close: ${JSON.stringify(accounts)}`)
}

/** An error a user may meet: one of ours, with a message that says more than a code. */
export function assertTyped(error: unknown, codes?: readonly string[]): SpillwayError {
  if (!(error instanceof SpillwayError)) throw error instanceof Error ? error : new Error(`not an error: ${String(error)}`)
  assert.ok(error.message.length > 20, error.message)
  if (codes !== undefined) assert.ok(codes.includes(error.code), `${error.code}, expected ${codes.join(' or ')}: ${error.message}`)
  return error
}

function tablesOf(host: Host, directory: string, manifest: number): string[] {
  const text = new TextDecoder().decode(host.files.readAll(host.join(directory, manifestName(manifest))))
  const { runs } = JSON.parse(text.split('\n')[1]!) as { runs: { tables: number[][] }[] }
  return runs.flatMap(run => run.tables.map(table => tableName(table[0]!))).sort()
}

/**
 * The governance simulation: one to four stores share one small budget on a simulated machine; writers, readers, flushes, merges,
 * faults of the disk, a budget that moves and denied leases meet in the order the seed has it.
 *
 * What must hold: after each step the accounts add up to what is used, never more than the budget; in the end every
 * acknowledged write is there and no refused one is, iterators saw what was there when they were opened, no promise is left
 * pending, and no byte is left in the ledger.
 */
import assert from 'node:assert/strict'
import { SpillwayError } from '../../base/errors.ts'
import { Random } from '../../host/sim/random.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { Budget } from '../../memory/budget.ts'
import { floorParts, makePlan } from '../engine/budget-plan.ts'
import type { Spillway } from '../spillway.ts'
import type { CompactionOption, Durability } from '../api/options.ts'
import { GovernedStore } from './governed-store.ts'
import type { World } from './governed-store.ts'
import { simHost, turns } from './sim.ts'

const MIB = 1024 * 1024
/** What a store needs above the floor of an empty one, for the metadata of its tables. */
const STORE_BYTES = 0.25 * MIB
const MAX_BYTES = 12 * MIB

const COMPACTIONS: CompactionOption[] = [
  { strategy: 'tiered', minMergeWidth: 2, targetTableBytes: 32 * 1024 },
  { strategy: 'tiered', minMergeWidth: 4, targetTableBytes: 256 * 1024 },
  { strategy: 'tiered', minMergeWidth: 10, targetTableBytes: 256 * 1024 },
  { strategy: 'leveled', level0Runs: 2, baseLevelBytes: 64 * 1024, multiplier: 3, targetTableBytes: 32 * 1024 },
]

export interface GovernanceOptions {
  /** Calls and pauses; default by the seed. */
  steps?: number
  makeBudget?: (bytes: number) => Budget
  wrap?: (db: Spillway) => Spillway
}

export class Governance implements World {
  readonly host: SimHost
  readonly budget: Budget
  readonly random: Random
  readonly durabilities: readonly Durability[]
  /** What happened, in order: equal for equal seeds. */
  readonly events: string[] = []
  faults = 0
  readonly #steps: number
  readonly #stores: GovernedStore[] = []
  readonly #leastBytes: number
  readonly #faulty: boolean
  readonly #denies: ((account: string) => boolean) | undefined
  readonly #wrap: (db: Spillway) => Spillway
  #largestBytes: number
  #failure: unknown

  constructor(seed: number, options: GovernanceOptions = {}) {
    const random = this.random = new Random(seed)
    const denials = random.fork()
    this.host = simHost({ seed })
    this.#steps = options.steps ?? random.between(30, 150)
    this.#wrap = options.wrap ?? (db => db)
    const count = random.between(1, 4)
    this.#leastBytes = floorBytes(count) + STORE_BYTES * count
    const bytes = this.#someBytes()
    this.budget = options.makeBudget?.(bytes) ?? new Budget(bytes)
    this.#largestBytes = bytes
    this.#faulty = random.below(3) === 0
    // What is acknowledged in memory only may go when the disk fails: then nothing could be said of it.
    this.durabilities = this.#faulty ? ['os', 'os', 'disk'] : ['none', 'os', 'os', 'os', 'disk']
    const oneOf = [0, 200, 20][random.below(3)]!
    const isStarved = random.below(8) === 0
    this.#denies = isStarved ? account => this.#starveReaders(account) : oneOf === 0 ? undefined : () => denials.below(oneOf) === 0
    const compaction = COMPACTIONS[random.below(COMPACTIONS.length)]!
    for (let i = 0; i < count; i++) this.#stores.push(new GovernedStore(this, i, { compaction }))
  }

  readonly log = (event: string): void => {
    this.events.push(event)
  }

  readonly fail = (error: unknown): void => {
    this.#failure ??= error
  }

  readonly wrap = (db: Spillway): Spillway => this.#wrap(db)

  async run(): Promise<void> {
    for (const store of this.#stores) await this.#open(store)
    for (let step = 0; step < this.#steps; step++) {
      this.#deny(true)
      await this.#step()
      this.#check()
    }
    await this.#finish()
    for (const store of this.#stores) await this.#reopen(store)
    for (const store of this.#stores) await store.finish()
    this.#check()
    await this.#closeAll()
  }

  async #step(): Promise<void> {
    const { random, host } = this
    const store = this.#stores[random.below(this.#stores.length)]!
    if (this.#faulty && random.below(25) === 0) this.#changeFaults()
    if (!store.isOpen) {
      // It is closing; others go on for a while.
      if (random.below(4) === 0) await this.#reopen(store)
      return
    }
    const choice = random.below(100)
    if (choice < 20) {
      for (let i = random.between(1, 6); i > 0; i--) store.write(this.#size(), random.below(4) === 0)
    } else if (choice < 28) {
      // More than there is room for, without a turn for the event loop.
      for (let i = random.between(20, 90); i > 0; i--) {
        const other = this.#stores[random.below(this.#stores.length)]!
        if (other.isOpen) other.put(random.between(4000, 16_384), random.below(30) === 0)
      }
      if (random.below(2) === 0) for (const other of this.#stores) other.abort(random.between(1, 12))
    } else if (choice < 34) {
      store.batch(random.between(1, 12), this.#size(), random.below(4) === 0)
    } else if (choice < 37) {
      store.deleteRange(random.below(3) === 0)
    } else if (choice < 40) {
      store.put(random.between(17_000, 90_000), random.below(3) === 0)
    } else if (choice < 50) {
      store.read()
    } else if (choice < 53) {
      store.readSlowly()
    } else if (choice < 56) {
      store.openIterator()
    } else if (choice < 57) {
      // More windows than the reserve has.
      for (let i = random.between(4, 12); i > 0; i--) store.openIterator(true)
    } else if (choice < 67) {
      for (let i = random.between(1, 3); i > 0; i--) store.advance()
    } else if (choice < 70) {
      store.snapshot()
    } else if (choice < 74) {
      store.abort(random.between(1, 8))
    } else if (choice < 79) {
      store.flush()
    } else if (choice < 81) {
      store.compact()
    } else if (choice < 84) {
      this.#setBudget(store.db!)
    } else if (choice < 86) {
      this.log(`${store.name} closes`)
      store.close()
    } else if (choice < 88) {
      host.memory.value = random.below(101) / 100
    } else if (choice < 91) {
      host.advance(random.between(1, 3000))
    } else if (choice < 94) {
      await store.settled()
      this.log(`${store.name} has settled`)
    } else if (choice < 96) {
      // Many small tables.
      for (let i = random.between(2, 8); i > 0 && store.isOpen && !store.isReadOnly; i--) {
        for (let j = random.between(1, 4); j > 0; j--) store.put(this.#size())
        store.flush()
        await store.settled()
      }
    } else {
      await turns(random.between(1, 25))
    }
    if (store.isReadOnly && store.isOpen) store.close()
  }

  #size(): number {
    const { random } = this
    const kind = random.below(10)
    return kind < 4 ? random.below(60) : kind < 9 ? random.between(200, 3000) : random.between(8000, 16_384)
  }

  #someBytes(): number {
    const { random } = this
    const span = random.below(2) === 0 ? MIB / 2 : MAX_BYTES - this.#leastBytes
    return Math.floor(this.#leastBytes + random.below(span))
  }

  #setBudget(db: Spillway): void {
    const bytes = this.#someBytes()
    try {
      db.setBudget(bytes)
      this.#largestBytes = Math.max(this.#largestBytes, bytes)
      this.log(`budget ${bytes}`)
    } catch (error) {
      // The metadata of the tables may have grown beyond what was reckoned with.
      if (!isTooSmall(error)) throw error
      this.log('budget refused')
    }
  }

  #changeFaults(): void {
    const { random, host: { disk } } = this
    const { faults } = disk
    faults.clear()
    const kind = random.below(5)
    if (kind > 2) {
      this.log('the disk is well')
      return
    }
    this.faults++
    // Full, gone, or one operation that fails.
    if (kind === 0) faults.capacityBytes = disk.usedBytes + [0, 10_000, 300_000][random.below(3)]!
    else faults.failAt(faults.operations + random.between(1, 40), 'EIO', kind === 1)
    this.log(`the disk ${['is full', 'goes away', 'fails once'][kind]}`)
  }

  #deny(on: boolean): void {
    this.budget.denies = on ? this.#denies : undefined
  }

  /** They get only their reserve, though every reclaimer was asked. */
  #starveReaders(account: string): boolean {
    if (account !== 'iterators') return false
    this.budget.makeRoom(this.budget.totalBytes)
    return true
  }

  /** Close if it is open, and open again once the disk is well. */
  async #reopen(store: GovernedStore): Promise<void> {
    if (store.isOpen) store.close()
    await store.settled()
    this.host.disk.faults.clear()
    await this.#open(store)
  }

  async #open(store: GovernedStore): Promise<void> {
    this.#deny(true)
    for (let tries = 0; ; tries++) {
      try {
        await store.open()
        return
      } catch (error) {
        if (!isTooSmall(error) || tries === 8) throw error
        this.log(`${store.name} does not fit`)
        // Denied, or its tables have grown beyond what was reckoned with.
        this.#deny(false)
        if (tries === 0) continue
        const bytes = this.#largestBytes + tries * MIB / 4
        const open = this.#stores.find(other => other.isOpen)?.db
        if (open === undefined) this.budget.setTotal(bytes)
        else open.setBudget(bytes)
        this.#largestBytes = bytes
      }
    }
  }

  /** The trouble ends; all that was begun comes to its end. */
  async #finish(): Promise<void> {
    this.#deny(false)
    this.host.disk.faults.clear()
    this.host.memory.value = 0
    for (const store of this.#stores) await store.settled()
    this.#check()
    for (const store of this.#stores) {
      if (!store.isOpen || store.isReadOnly) await this.#reopen(store)
      await store.finish()
      this.#check()
    }
  }

  async #closeAll(): Promise<void> {
    for (const store of this.#stores) store.close()
    for (const store of this.#stores) await store.settled()
    this.#check()
    assert.equal(this.budget.usedBytes, 0, `bytes left after all stores were closed: ${JSON.stringify(this.budget.report().accounts)}`)
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure
    checkBudget(this.budget, this.#largestBytes)
  }
}

/** The minimum budget of this many empty stores. */
export function floorBytes(stores: number): number {
  return Object.values(floorParts(makePlan(MIB, 1024), 0, stores)).reduce((total, bytes) => total + bytes, 0)
}

/** The accounts add up, within the total, and never was more in use than the largest total allowed. */
export function checkBudget(budget: Budget, largestBytes: number): void {
  const { budgetBytes, usedBytes, highWaterBytes, accounts } = budget.report()
  let sum = 0
  for (const { bytes } of Object.values(accounts)) sum += bytes
  assert.equal(sum, usedBytes, 'the accounts add up to what is used')
  assert.ok(usedBytes <= budgetBytes, `${usedBytes} bytes are in use, the budget is ${budgetBytes}`)
  assert.ok(highWaterBytes <= largestBytes, `${highWaterBytes} bytes were in use, the budget was never above ${largestBytes}`)
}

function isTooSmall(error: unknown): boolean {
  return error instanceof SpillwayError && error.code === 'SPILLWAY_BUDGET_TOO_SMALL'
}

/**
 * Blocks that have to come from the device, read beside the thread, so that readers do not wait for one another and the event loop
 * for none of them.
 *
 * A read from the page cache takes a few microseconds, less than the way to another thread and back. So this is for stores whose reads
 * were measured to be slow (`TwoLevelCache.readsAreSlow`), and a lone reader, who has nobody to share the time with, reads at once
 * too: whether there are others is known at the end of the synchronous stretch in which the first of them asked. Who has been alone
 * for a while does not even stop to ask (`isLone`).
 *
 * Invariants
 * 1. Of any number of readers that want the same block at once one reads it.
 * 2. At most SLOTS reads are under way, into slots leased for as long as there are reads; what has no slot waits its turn, and what fits
 *    none, or where none can be leased, is read at once. Reads never fail for want of memory.
 * 3. What was read goes through the same checks as ever and into the cache; a block of a table that is gone by then does not.
 *
 * Account: `cold reads`.
 */
import type { TwoLevelCache } from '../../cache/two-level-cache.ts'
import type { HostScheduler } from '../../host/host.ts'
import type { Account, Budget, Lease } from '../../memory/budget.ts'
import type { CachedBlocks, MissedBlock } from '../../table/block/block-source.ts'

/** So many threads are seldom there to read; more would wait in the thread pool instead of here. */
const SLOTS = 16
/** Blocks of 4 KiB, however badly they compress, and the usual filters and index nodes. */
const SLOT_BYTES = 8 * 1024
/** Of so many reads one is made at once and timed: data may have come into the page cache. It keeps the thread from everybody else. */
const TIMED = 256
/** After so many reads that were made at once the event loop has its turn. */
const AT_ONCE = 32
/** And only for so long together, as far as reads were timed: a slow device is always read beside the thread. */
const MAX_MS = 4
/** Who was found alone so many times in a row is taken to be so until somebody else comes. */
const LONE = 16

interface Wanted extends MissedBlock {
  /** Those who wait. False: the cache has no room for it. */
  settle: ((error: Error | undefined, isCached: boolean) => void)[]
}

export class AsyncBlockReads {
  readonly #account: Account
  readonly #blocks: CachedBlocks
  readonly #levels: TwoLevelCache
  readonly #scheduler: HostScheduler
  readonly #stopReclaiming: () => void
  /** By table, and offset in it. */
  readonly #wanted = new Map<number, Map<number, Wanted>>()
  readonly #queue: Wanted[] = []
  readonly #free: Uint8Array<ArrayBuffer>[] = []
  #lease: Lease | undefined
  #underWay = 0
  #isScheduled = false
  readonly #startAll = (): void => {
    this.#isScheduled = false
    this.#start()
    if (this.#underWay === 0) this.#onIdle?.()
  }
  #onIdle: (() => void) | undefined
  #count = 0
  /** How often in a row a reader was found to be alone, and whether one has asked in this synchronous stretch. */
  #lone = 0
  #isAsked = false
  readonly #endStretch = (): void => { this.#isAsked = false }
  /** Reads there had been when the event loop had its last turn. */
  #readsAtTurn = 0
  /** Read beside the thread, since the start. */
  reads = 0

  constructor(budget: Budget, blocks: CachedBlocks, levels: TwoLevelCache, scheduler: HostScheduler) {
    this.#account = budget.account('cold reads')
    this.#account.measure = () => (this.#free.length + this.#underWay) * SLOT_BYTES
    this.#blocks = blocks
    this.#levels = levels
    this.#scheduler = scheduler
    this.#stopReclaiming = budget.addReclaimer('asyncReads', () => this.#letGo())
  }

  /**
   * Whether the reader who asks now may read in place: nobody else wants anything, as far as can be told, and the event loop has had its
   * turn. Ask once for each read: two in one synchronous stretch are two readers.
   */
  isLone(): boolean {
    if (this.#lone < LONE) return false
    if (this.#isAsked || this.#wanted.size > 0) {
      this.#lone = 0
      return false
    }
    this.#isAsked = true
    this.#scheduler.microtask(this.#endStretch)
    return this.#mayReadNow
  }

  /** Without keeping the event loop from its turn for too long. */
  get #mayReadNow(): boolean {
    const { reads, readMs } = this.#levels
    return readMs <= MAX_MS && reads - this.#readsAtTurn < Math.min(AT_ONCE, MAX_MS / readMs)
  }

  /** Read the block that was missed last into the cache. Resolves to false when it is not there to stay: read it yourself. */
  fetch(): Promise<boolean> {
    const { table, offset, storedBytes } = this.#blocks.missed!
    return new Promise((resolve, reject) => {
      const settle = (error: Error | undefined, isCached: boolean): void => {
        if (error === undefined) resolve(isCached)
        else reject(error)
      }
      let ofTable = this.#wanted.get(table.id)
      if (ofTable === undefined) this.#wanted.set(table.id, ofTable = new Map())
      const known = ofTable.get(offset)
      if (known !== undefined) {
        known.settle.push(settle)
        return
      }
      const wanted: Wanted = { table, offset, storedBytes, settle: [settle] }
      ofTable.set(offset, wanted)
      this.#queue.push(wanted)
      if (this.#underWay > 0) {
        this.#start()
      } else if (!this.#isScheduled) {
        this.#isScheduled = true
        if (this.#mayReadNow) {
          this.#scheduler.microtask(this.#startAll)
        } else {
          this.#readsAtTurn = this.#levels.reads
          this.#scheduler.soon(this.#startAll)
        }
      }
    })
  }

  /** Resolves when no read is under way, or about to be. */
  idle(): Promise<void> {
    return this.#underWay === 0 && !this.#isScheduled ? Promise.resolve() : new Promise(resolve => { this.#onIdle = resolve })
  }

  close(): void {
    this.#stopReclaiming()
    this.#letGo()
    this.#account.measure = undefined
  }

  #start(): void {
    const queue = this.#queue
    while (queue.length > 0) {
      const wanted = queue[0]!
      const isAlone = this.#underWay === 0 && queue.length === 1 && this.#levels.readMs <= MAX_MS
      this.#lone = isAlone ? this.#lone + 1 : 0
      if (isAlone || wanted.storedBytes > SLOT_BYTES || ++this.#count % TIMED === 0 || !this.#hasSlots()) {
        queue.shift()
        this.#readNow(wanted)
      } else {
        const slot = this.#free.pop()
        if (slot === undefined) return
        queue.shift()
        this.#underWay++
        this.reads++
        void this.#read(wanted, slot)
      }
    }
    if (this.#underWay === 0) this.#letGo()
  }

  #hasSlots(): boolean {
    if (this.#lease !== undefined) return true
    this.#lease = this.#account.tryLease(SLOTS * SLOT_BYTES)
    if (this.#lease === undefined) return false
    try {
      for (let i = 0; i < SLOTS; i++) this.#free.push(new Uint8Array(SLOT_BYTES))
      return true
    } catch {
      // The system has less memory than the budget promises.
      this.#letGo()
      return false
    }
  }

  #letGo(): number {
    if (this.#lease === undefined || this.#underWay > 0) return 0
    this.#free.length = 0
    this.#lease.release()
    this.#lease = undefined
    return SLOTS * SLOT_BYTES
  }

  async #read(wanted: Wanted, slot: Uint8Array<ArrayBuffer>): Promise<void> {
    const { table, offset, storedBytes } = wanted
    let error: Error | undefined
    let isCached = true
    try {
      const read = await table.file.read(slot, 0, storedBytes, offset)
      // Of a table that is gone nothing is needed: the tree has changed, and those who wait look again.
      if (table.isOpen) isCached = this.#blocks.keep(table, offset, slot, read, storedBytes)
    } catch (cause) {
      if (table.isOpen) error = cause as Error
    }
    this.#free.push(slot)
    this.#underWay--
    this.#readsAtTurn = this.#levels.reads
    this.#settle(wanted, error, isCached)
    this.#start()
    if (this.#underWay === 0) this.#onIdle?.()
  }

  #readNow(wanted: Wanted): void {
    let error: Error | undefined
    let isCached = true
    try {
      this.#levels.timeNext()
      if (wanted.table.isOpen) isCached = this.#blocks.loadIntoCache(wanted.table, wanted.offset, wanted.storedBytes)
    } catch (cause) {
      error = cause as Error
    }
    this.#settle(wanted, error, isCached)
  }

  #settle(wanted: Wanted, error: Error | undefined, isCached: boolean): void {
    const { id } = wanted.table
    const ofTable = this.#wanted.get(id)!
    ofTable.delete(wanted.offset)
    if (ofTable.size === 0) this.#wanted.delete(id)
    for (const settle of wanted.settle) settle(error, isCached)
  }
}

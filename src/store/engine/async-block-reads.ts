/**
 * Reads missing blocks from the device off the main thread, so that readers wait neither for one another nor block the event loop.
 *
 * A read from the page cache takes a few microseconds, less than a round trip to another thread. So this is for stores whose reads
 * were measured to be slow (`TwoLevelCache.readsAreSlow`). A lone reader reads at once too: whether there are others is known at
 * the end of the synchronous stretch of the first request. A reader that has been alone for a while does not wait for that
 * (`isLone`).
 *
 * Invariants
 * 1. A block wanted by several readers is read once.
 * 2. At most SLOTS reads are under way, into slots leased while there are reads; further ones queue. A block that fits no slot, or
 *    finds no memory for slots, is read at once. Reads never fail for memory.
 * 3. Blocks pass the usual checks into the cache, unless their table is gone.
 *
 * Account: `cold reads`.
 */
import type { TwoLevelCache } from '../../cache/two-level-cache.ts'
import type { HostScheduler } from '../../host/host.ts'
import type { Account, Budget, Lease } from '../../memory/budget.ts'
import type { CachedBlocks, MissedBlock } from '../../table/block/block-source.ts'

/** More threads are rarely free to read; further reads would only wait in the thread pool instead. */
const SLOTS = 16
/** Fits blocks of 4 KiB, however badly compressed, and the usual filters and index nodes. */
const SLOT_BYTES = 8 * 1024
/** One in this many reads is made at once and timed, since data may have entered the page cache. It blocks the thread. */
const TIMED = 256
/** Reads made at once before the event loop gets a turn. */
const AT_ONCE = 32
/** And for at most this long together, as far as reads were timed: a slow device is always read off the main thread. */
const MAX_MS = 4
/** A reader found alone this often in a row counts as alone until another one comes. */
const LONE = 16

interface Wanted extends MissedBlock {
  /** Waiting readers. False: the cache cannot keep the block. */
  settle: ((error: Error | undefined, isCached: boolean) => void)[]
}

export class AsyncBlockReads {
  readonly #account: Account
  readonly #blocks: CachedBlocks
  readonly #levels: TwoLevelCache
  readonly #scheduler: HostScheduler
  readonly #stopReclaiming: () => void
  /** By table id, then offset. */
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
  /** How often in a row a reader was alone, and whether one has asked in this synchronous stretch. */
  #lone = 0
  #isAsked = false
  readonly #endStretch = (): void => { this.#isAsked = false }
  /** Reads made before the event loop's last turn. */
  #readsAtTurn = 0
  /** Reads off the main thread since the start. */
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
   * Whether this reader may read at once: no other wants anything, and the event loop has had its turn. Ask once per read: two
   * calls in one synchronous stretch are two readers.
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

  /** Within the limits for reads at once. */
  get #mayReadNow(): boolean {
    const { reads, readMs } = this.#levels
    return readMs <= MAX_MS && reads - this.#readsAtTurn < Math.min(AT_ONCE, MAX_MS / readMs)
  }

  /** Read the block that was missed last into the cache. Resolves to false when the cache cannot keep it: read it directly. */
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

  /** Resolves when no read is under way or queued. */
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
      // The table is gone: the tree has changed, and readers look again.
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

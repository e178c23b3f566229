/**
 * Where extents are kept: in memory (the compressed tier) while the RSS target leaves room, the oldest of them then in the
 * scratch file.
 *
 * 1. `rss() + bytes of the tier <= target` before the tier grows; what is in its way is paged out, oldest first.
 * 2. A full disk blocks writing until something says it may go again: an extent freed, a probe. While blocked, one write is tried
 *    for each `allowProbe`. Any other error stops writing for good; it stands in `error`. Reading goes on in both cases.
 * 3. What is read passed its checksums, or it is a CorruptionError.
 *
 * Account: the tier's. Cost: `extent-codec.ts` and a copy, or a system call.
 */
import { CorruptionError, SpillwayError } from '../base/errors.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { Account } from '../memory/budget.ts'
import { CompressedTier, NO_BLOCK } from './compressed-tier.ts'
import { decodeExtent, encodeExtent, pieceBytesOf, serialsOf } from './extent-codec.ts'
import type { ExtentSink, ExtentSource } from './extent-codec.ts'
import { IN_FILE, IN_TIER, NOWHERE } from './page.ts'
import type { Page } from './page.ts'
import type { ScratchFile } from './scratch-file.ts'

export class ExtentStore implements ExtentSink, ExtentSource {
  readonly pieceBytes: number
  readonly #kernels: Kernels
  readonly #scratch: ScratchFile | undefined
  readonly #tier: CompressedTier
  readonly #targetRssBytes: number
  /** Bytes of memory beside the tier's. */
  readonly #rss: () => number
  /** Pages whose extents are in the tier. */
  #oldest: Page | undefined
  #youngest: Page | undefined
  #nextSerial = 1
  /** Of extents in the tier, their own bytes. */
  #tierPayloadBytes = 0
  #pageOuts = 0
  #writes = 0
  #writtenBytes = 0
  #isBlocked = false
  #mayProbe = false
  #probes = 0
  #error: Error | undefined
  /** The extent being written or read. */
  #in = NOWHERE
  #at = 0
  #reserved = 0
  /** What is being written would gain nothing from the tier. */
  #skipsTier = false

  constructor(kernels: Kernels, scratch: ScratchFile | undefined, account: Account, targetRssBytes: number, rss: () => number, poison: boolean) {
    this.#kernels = kernels
    this.#scratch = scratch
    this.#tier = new CompressedTier(account, poison)
    this.#targetRssBytes = targetRssBytes
    this.#rss = rss
    this.pieceBytes = pieceBytesOf(kernels)
  }

  /** Bytes of memory the tier takes. */
  get tierBytes(): number { return this.#tier.bytes }
  get tierPayloadBytes(): number { return this.#tierPayloadBytes }
  get pageOuts(): number { return this.#pageOuts }
  /** Extents written to the file, and their bytes. */
  get writes(): number { return this.#writes }
  get writtenBytes(): number { return this.#writtenBytes }
  /** Writes tried while the disk was said to be full. */
  get probes(): number { return this.#probes }
  /** The disk was full at the last write, or writing has stopped. */
  get isBlocked(): boolean { return this.#isBlocked || this.#error !== undefined }
  /** What stopped writing for good. */
  get error(): Error | undefined { return this.#error }
  /** Whether an extent might find a place now. */
  get mayStore(): boolean { return this.#mayWrite() || this.#spareBytes() > 0 }

  measure(): number { return this.#tier.measure() }

  /** Let one write be tried, though the disk was full at the last one. */
  allowProbe(): void {
    this.#mayProbe = true
  }

  /** Try whether the disk takes a write again. */
  probe(): void {
    if (!this.#reserveInFile(this.pieceBytes)) return
    const { memory, a } = this.#kernels
    try {
      this.#scratch!.write(memory, a, a + this.pieceBytes, this.#at)
      this.#isBlocked = false
      this.#release()
    } catch (error) {
      this.#release()
      this.#failed(error)
    }
  }

  takeSerial(length: number): number {
    const serial = this.#nextSerial
    this.#nextSerial += serialsOf(length, this.pieceBytes)
    return serial
  }

  /** Compress and keep source[start, start + page.length) as the page's extent; false when there is no place for it. */
  encode(page: Page, source: Uint8Array, start: number): boolean {
    const serial = this.takeSerial(page.length)
    this.#skipsTier = page.isAsIs && this.#scratch !== undefined
    return this.#keep(page, serial, () =>
      encodeExtent(this.#kernels, this.pieceBytes, source, start, page.length, serial, this, page.isAsIs))
  }

  /** Keep bytes[start, end), an extent that a job has made with this serial. */
  store(page: Page, serial: number, bytes: Uint8Array, start: number, end: number): boolean {
    this.#skipsTier = false
    return this.#keep(page, serial, () => {
      if (!this.reserve(end - start)) return 0
      this.put(bytes, start, end, 0)
      return end - start
    })
  }

  /** Read [from, to) of an evicted page. */
  decode(page: Page, target: Uint8Array, at: number, from: number, to: number): void {
    this.#in = page.extentIn
    this.#at = page.extentAt
    let isGood: boolean
    try {
      isGood = decodeExtent(this.#kernels, this.pieceBytes, this, page.extentBytes, page.length, page.serial, target, at, from, to)
    } catch (cause) {
      if (!hasCode(cause)) throw cause
      throw new SpillwayError('SPILLWAY_UNAVAILABLE',
        `reading ${page.extentBytes} scratch bytes at ${this.#at} failed: ${cause.message}. It can be tried again`, { cause })
    }
    if (isGood) return
    const file = this.#in === IN_FILE ? this.#scratch!.path : 'compressed pages in memory'
    const error = new CorruptionError(file, this.#at, `an extent of ${page.extentBytes} bytes is not what was written`)
    error.message = `${file} at offset ${this.#at}: an extent of ${page.extentBytes} bytes is not what was written. ` +
      'The store itself is not affected: repeat what was being computed, and have the disk or the memory checked'
    throw error
  }

  /** Forget the page's extent, if it has one. */
  free(page: Page): void {
    const { extentIn, extentAt, extentBytes } = page
    if (extentIn === NOWHERE) return
    if (extentIn === IN_TIER) {
      this.#unlink(page)
      this.#tier.free(extentAt)
    } else {
      this.#scratch!.free(extentAt, extentBytes)
      // What was freed can be written again, however full the disk is.
      this.#mayProbe = true
    }
    page.extentIn = NOWHERE
    page.extentBytes = 0
  }

  /** Move extents of the tier to the file until it takes at most `bytes`; false when they cannot go. */
  shrinkTier(bytes: number): boolean {
    const most = Math.max(0, bytes)
    while (this.#tier.bytes > most) {
      this.#tier.releaseSpares(this.#tier.bytes - most)
      if (this.#tier.bytes > most && !this.#pageOutOldest()) return false
    }
    return true
  }

  /** The tier may take so much beside what else is there. */
  makeTierFit(otherBytes: number): boolean {
    return this.shrinkTier(this.#targetRssBytes - otherBytes)
  }

  close(): void {
    this.#tier.close()
    this.#oldest = this.#youngest = undefined
  }

  // ExtentSink and ExtentSource: for the codec.

  reserve(bytes: number): boolean {
    if (this.#fitsTier(bytes)) {
      this.#at = this.#tier.alloc(bytes)
      if (this.#at !== NO_BLOCK) {
        this.#in = IN_TIER
        return true
      }
    }
    return this.#reserveInFile(bytes)
  }

  put(bytes: Uint8Array, start: number, end: number, at: number): void {
    if (this.#in === IN_TIER) this.#tier.put(this.#at, bytes, start, end, at)
    else this.#scratch!.write(bytes, start, end, this.#at + at)
  }

  get(target: Uint8Array, at: number, length: number, from: number): boolean {
    if (this.#in === IN_FILE) return this.#scratch!.read(target, at, length, this.#at + from)
    this.#tier.get(this.#at, target, at, length, from)
    return true
  }

  #keep(page: Page, serial: number, write: () => number): boolean {
    this.#in = NOWHERE
    let bytes: number
    try {
      bytes = write()
    } catch (error) {
      this.#release()
      this.#failed(error)
      return false
    }
    if (bytes === 0) return false
    page.extentIn = this.#in
    page.extentAt = this.#at
    page.extentBytes = bytes
    page.serial = serial
    if (this.#in === IN_TIER) {
      this.#tier.trim(this.#at, bytes)
      this.#link(page)
    } else {
      this.#scratch!.trim(this.#at, this.#reserved, bytes)
      this.#wrote(bytes)
    }
    return true
  }

  #release(): void {
    if (this.#in === IN_TIER) this.#tier.free(this.#at)
    else if (this.#in === IN_FILE) this.#scratch!.free(this.#at, this.#reserved)
    this.#in = NOWHERE
  }

  /** Page out what is in the way of an extent of this size. */
  #fitsTier(bytes: number): boolean {
    if (this.#targetRssBytes === 0 || this.#skipsTier) return false
    for (;;) {
      const growth = this.#tier.growthFor(bytes)
      if (growth === 0 || growth <= this.#spareBytes()) return true
      if (this.#tier.bytes === 0 || !this.#pageOutOldest()) return false
    }
  }

  #spareBytes(): number {
    return this.#targetRssBytes - this.#rss() - this.#tier.bytes
  }

  #mayWrite(): boolean {
    return this.#scratch !== undefined && this.#error === undefined && (!this.#isBlocked || this.#mayProbe)
  }

  #reserveInFile(bytes: number): boolean {
    if (!this.#mayWrite()) return false
    const at = this.#scratch!.alloc(bytes)
    if (at < 0) return false
    if (this.#isBlocked) this.#probes++
    this.#mayProbe = false
    this.#in = IN_FILE
    this.#at = at
    this.#reserved = bytes
    return true
  }

  #wrote(bytes: number): void {
    this.#isBlocked = false
    this.#writes++
    this.#writtenBytes += bytes
  }

  /** A full disk blocks, anything else from the file system stops. An error of ours is passed on. */
  #failed(error: unknown): void {
    if (!hasCode(error)) throw error
    if (error.code === 'ENOSPC' || error.code === 'EDQUOT') this.#isBlocked = true
    else this.#error = error
    this.#mayProbe = false
  }

  /** Move the oldest extent of the tier to the file. Uses region a. */
  #pageOutOldest(): boolean {
    const page = this.#oldest
    if (page === undefined) return false
    // A caller may be about to write an extent of its own.
    const [heldIn, heldAt, heldReserved] = [this.#in, this.#at, this.#reserved]
    try {
      if (!this.#reserveInFile(page.extentBytes)) return false
      const { memory, a } = this.#kernels
      const position = this.#at
      try {
        for (let from = 0; from < page.extentBytes; from += this.pieceBytes) {
          const length = Math.min(this.pieceBytes, page.extentBytes - from)
          this.#tier.get(page.extentAt, memory, a, length, from)
          this.#scratch!.write(memory, a, a + length, position + from)
        }
      } catch (error) {
        this.#scratch!.free(position, page.extentBytes)
        this.#failed(error)
        return false
      }
      this.#unlink(page)
      this.#tier.free(page.extentAt)
      page.extentIn = IN_FILE
      page.extentAt = position
      this.#pageOuts++
      this.#wrote(page.extentBytes)
      return true
    } finally {
      this.#in = heldIn
      this.#at = heldAt
      this.#reserved = heldReserved
    }
  }

  #link(page: Page): void {
    this.#tierPayloadBytes += page.extentBytes
    page.older = this.#youngest
    if (this.#youngest === undefined) this.#oldest = page
    else this.#youngest.younger = page
    this.#youngest = page
  }

  #unlink(page: Page): void {
    this.#tierPayloadBytes -= page.extentBytes
    if (page.older === undefined) this.#oldest = page.younger
    else page.older.younger = page.younger
    if (page.younger === undefined) this.#youngest = page.older
    else page.younger.older = page.older
    page.older = page.younger = undefined
  }
}

/** An error of the file system: neither ours nor Node's about a wrong argument. */
function hasCode(error: unknown): error is Error & { code: string } {
  if (error instanceof SpillwayError || !(error instanceof Error)) return false
  const { code } = error as { code?: unknown }
  return typeof code === 'string' && !code.startsWith('ERR_')
}

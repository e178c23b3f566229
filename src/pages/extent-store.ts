/**
 * Places extents: in the compressed tier while the RSS target allows, the oldest then in the scratch file.
 *
 * Invariants
 * 1. The tier grows only while `rss() + tier bytes <= target`; older extents are paged out.
 * 2. A full disk blocks writing until an extent is freed or `allowProbe` is called; each permits one try. Any other file system
 *    error stops writing for good (`error`). Reads continue.
 * 3. Bytes that fail their checksums throw CorruptionError.
 *
 * Account: the tier's.
 */
import { CorruptionError, SpillwayError } from '../base/errors.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { Account } from '../memory/budget.ts'
import { errorCode } from '../host/file-error.ts'
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
  /** Of the pool, outside the tier. */
  readonly #rss: () => number
  #oldest: Page | undefined
  #youngest: Page | undefined
  #nextSerial = 1
  #tierPayloadBytes = 0
  readonly #counts = { pageOuts: 0, writes: 0, writtenBytes: 0, probes: 0 }
  #isBlocked = false
  #mayProbe = false
  #error: Error | undefined
  #in = NOWHERE
  #at = 0
  #reserved = 0
  #skipsTier = false

  constructor(kernels: Kernels, scratch: ScratchFile | undefined, account: Account, targetRssBytes: number, rss: () => number, poison: boolean) {
    this.#kernels = kernels
    this.#scratch = scratch
    this.#tier = new CompressedTier(account, poison)
    this.#targetRssBytes = targetRssBytes
    this.#rss = rss
    this.pieceBytes = pieceBytesOf(kernels)
  }

  get tierBytes(): number { return this.#tier.bytes }
  get tierPayloadBytes(): number { return this.#tierPayloadBytes }
  get pageOuts(): number { return this.#counts.pageOuts }
  get writes(): number { return this.#counts.writes }
  get writtenBytes(): number { return this.#counts.writtenBytes }
  get probes(): number { return this.#counts.probes }
  get isBlocked(): boolean { return this.#isBlocked || this.#error !== undefined }
  get error(): Error | undefined { return this.#error }
  get mayStore(): boolean { return this.#mayWrite() || this.#spareBytes() > 0 }

  measure(): number { return this.#tier.measure() }

  allowProbe(): void {
    this.#mayProbe = true
  }

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

  /** False without space. */
  encode(page: Page, source: Uint8Array, start: number): boolean {
    const serial = this.takeSerial(page.length)
    this.#skipsTier = page.isAsIs && this.#scratch !== undefined
    return this.#storeExtent(page, serial, () =>
      encodeExtent(this.#kernels, this.pieceBytes, source, start, page.length, serial, this, page.isAsIs))
  }

  /** `serial`: that of the job. */
  store(page: Page, serial: number, bytes: Uint8Array, start: number, end: number): boolean {
    this.#skipsTier = false
    return this.#storeExtent(page, serial, () => {
      if (!this.reserve(end - start)) return 0
      this.put(bytes, start, end, 0)
      return end - start
    })
  }

  decode(page: Page, target: Uint8Array, at: number, from: number, to: number): void {
    this.#in = page.extentIn
    this.#at = page.extentAt
    let isGood: boolean
    try {
      isGood = decodeExtent(this.#kernels, this.pieceBytes, this, page.extentBytes, page.length, page.serial, target, at, from, to)
    } catch (cause) {
      if (!hasCode(cause)) throw cause
      throw new SpillwayError('SPILLWAY_UNAVAILABLE',
        `reading ${page.extentBytes} scratch bytes at ${this.#at} failed: ${cause.message}. Try again`, { cause })
    }
    if (isGood) return
    const file = this.#in === IN_FILE ? this.#scratch!.path : 'compressed pages in memory'
    const error = new CorruptionError(file, this.#at, `an extent of ${page.extentBytes} bytes is damaged`)
    error.message = `${file} at offset ${this.#at}: an extent of ${page.extentBytes} bytes is damaged. ` +
      'The store itself is not affected: repeat the operation, and check the disk and the memory'
    throw error
  }

  free(page: Page): void {
    const { extentIn, extentAt, extentBytes } = page
    if (extentIn === NOWHERE) return
    if (extentIn === IN_TIER) {
      this.#unlink(page)
      this.#tier.free(extentAt)
    } else {
      this.#scratch!.free(extentAt, extentBytes)
      // Freed units can be rewritten on a full disk.
      this.#mayProbe = true
    }
    page.extentIn = NOWHERE
    page.extentBytes = 0
  }

  /** False if paging out fails. */
  shrinkTier(bytes: number): boolean {
    const maxBytes = Math.max(0, bytes)
    while (this.#tier.bytes > maxBytes) {
      this.#tier.releaseSpares(this.#tier.bytes - maxBytes)
      if (this.#tier.bytes > maxBytes && !this.#pageOutOldest()) return false
    }
    return true
  }

  makeTierFit(otherBytes: number): boolean {
    return this.shrinkTier(this.#targetRssBytes - otherBytes)
  }

  close(): void {
    this.#tier.close()
    this.#oldest = this.#youngest = undefined
  }


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

  #storeExtent(page: Page, serial: number, write: () => number): boolean {
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
    if (this.#isBlocked) this.#counts.probes++
    this.#mayProbe = false
    this.#in = IN_FILE
    this.#at = at
    this.#reserved = bytes
    return true
  }

  #wrote(bytes: number): void {
    this.#isBlocked = false
    this.#counts.writes++
    this.#counts.writtenBytes += bytes
  }

  /** Rethrows errors that are not of the file system. */
  #failed(error: unknown): void {
    if (!hasCode(error)) throw error
    if (['ENOSPC', 'EDQUOT'].includes(errorCode(error))) this.#isBlocked = true
    else this.#error = error
    this.#mayProbe = false
  }

  #pageOutOldest(): boolean {
    const page = this.#oldest
    if (page === undefined) return false
    // The caller may be writing another extent.
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
      this.#counts.pageOuts++
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

/** File system errors are neither SpillwayErrors nor ERR_*. */
function hasCode(error: unknown): error is Error & { code: string } {
  if (error instanceof SpillwayError || !(error instanceof Error)) return false
  const { code } = error as { code?: unknown }
  return typeof code === 'string' && !code.startsWith('ERR_')
}

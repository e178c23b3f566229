/**
 * A flush or merge in the kernels: the fast path between entries that need JavaScript.
 *
 * Both paths make the same tables, byte for byte. The kernel orders, drops old versions and tombstones, and fills blocks;
 * `writeTables` handles, entry by entry:
 * 1. range tombstones, from their start to their end;
 * 2. blocks and entries that do not fit a slot;
 * 3. the first entry of each block, oversized entries, and references to value files.
 *
 * Account: the arena of the thread's kernels. Without space there every entry takes the slow path.
 */
import type { Cursor } from '../base/cursor.ts'
import type { Kernels } from '../kernels/kernels.ts'
import { EVENT_ENTRY, EVENT_INPUT, KernelEntry, MergeKernel } from '../kernels/merge-kernel.ts'
import { KernelBlockWriter } from '../table/block/kernel-block-writer.ts'
import type { MergeCursor } from './merge-cursor.ts'
import type { Retention } from './retention.ts'

/** A cursor that can fill a slot of the kernel. */
export interface KernelInput extends Cursor {
  useSlot(slot: Uint8Array<ArrayBuffer>): void
  /** With the current entry and some that follow. False: it does not fit. */
  fillSlot(): boolean
  /** After `fillSlot`, as input `i`, at the current entry. */
  enter(kernel: MergeKernel, i: number): void
  /** To the kernel's current entry. */
  leave(position: number): void
  /** Move behind it. */
  emptySlot(): void
}

export interface KernelOutput {
  /** `startsKey`: no version of its key was added. */
  add(entry: KernelEntry, startsKey: boolean): void
  /** Count entries the kernel added. */
  absorb(): void
  /** Until the table is cut at the next key. */
  readonly roomBytes: number
  /** Per key, beside its block. */
  readonly keyBytes: number
}

/** Slow entries before another try, and the length of a try that was too short. */
const MAX_PATIENCE = 64
const SHORT_TRY = 64

export class KernelMerge {
  /** Between `enter` and the `run` that leaves it. */
  isRunning = false
  entriesIn = 0
  readonly block: KernelBlockWriter
  readonly #kernel: MergeKernel
  readonly #inputs: readonly KernelInput[]
  readonly #order: Uint32Array
  readonly #entry = new KernelEntry()
  /** Slow entries until the next try. */
  #wait = 0
  #patience = 1
  #entered = 0

  /** Undefined: no memory. */
  static open(
    kernels: Kernels, inputs: readonly KernelInput[], slotBytes: number, blockBytes: number, snapshots: readonly number[],
  ): KernelMerge | undefined {
    const kernel = MergeKernel.open(kernels, { inputs: inputs.length, slotBytes, blockBytes, snapshots })
    return kernel === undefined ? undefined : new KernelMerge(kernel, inputs)
  }

  private constructor(kernel: MergeKernel, inputs: readonly KernelInput[]) {
    this.#kernel = kernel
    this.block = new KernelBlockWriter(kernel)
    this.#inputs = inputs
    this.#order = new Uint32Array(inputs.length)
    inputs.forEach((input, i) => {
      const at = kernel.slotAt(i)
      input.useSlot(new Uint8Array(kernel.memory.buffer as ArrayBuffer, at, kernel.slotBytes))
    })
  }

  close(): void {
    this.#kernel.close()
  }

  /** True: the kernel takes the next entry. */
  enter(next: Cursor, retention: Retention, output: KernelOutput): boolean {
    if (this.#wait > 0) {
      this.#wait--
      return false
    }
    if (!retention.isQuiet) return this.#later()
    let count = 0
    for (let i = 0; i < this.#inputs.length; i++) {
      const input = this.#inputs[i]!
      if (!input.valid) continue
      if (!input.fillSlot()) return this.#later()
      this.#order[count++] = i
    }
    const kernel = this.#kernel
    if (!retention.handOver(kernel, next)) return this.#later()
    this.#setCut(output)
    for (let at = 0; at < count; at++) this.#inputs[this.#order[at]!]!.enter(kernel, this.#order[at]!)
    kernel.begin(this.#order, count)
    this.#entered = this.entriesIn
    this.isRunning = true
    return true
  }

  /** Run for about `bytes`, or until JavaScript is needed; returns the entries done. Leaves `merge` at the next entry. */
  run(bytes: number, retention: Retention, output: KernelOutput, merge: MergeCursor): number {
    const kernel = this.#kernel
    let done = 0
    while (done < bytes) {
      const event = kernel.run()
      this.entriesIn += kernel.takeEntriesIn()
      done += kernel.takeStepBytes()
      if (event === EVENT_ENTRY) {
        output.absorb()
        kernel.show(kernel.top, this.#entry)
        output.add(this.#entry, kernel.startsKey)
        kernel.startsKey = false
        this.#setCut(output)
      } else if (event === EVENT_INPUT) {
        const top = kernel.top
        const input = this.#inputs[top]!
        input.emptySlot()
        if (input.valid) {
          // A table that begins here may bring range tombstones.
          if (!retention.isQuiet || !input.fillSlot()) {
            this.#leave(retention, output, merge, top)
            break
          }
          input.enter(kernel, top)
        }
        kernel.settleTop(!input.valid)
      } else {
        this.#leave(retention, output, merge, -1)
        break
      }
    }
    return done
  }

  #setCut({ roomBytes, keyBytes }: KernelOutput): void {
    this.#kernel.cutAt(this.block.pendingBytes + roomBytes + keyBytes * this.#kernel.distinct, keyBytes)
  }

  /** `moved`: an input that is ahead of the kernel. */
  #leave(retention: Retention, output: KernelOutput, merge: MergeCursor, moved: number): void {
    this.isRunning = false
    output.absorb()
    for (let i = 0; i < this.#inputs.length; i++) {
      const input = this.#inputs[i]!
      if (input.valid && i !== moved) input.leave(this.#kernel.positionOf(i))
    }
    retention.takeBack(this.#kernel)
    merge.rebuild()
    this.#patience = this.entriesIn - this.#entered < SHORT_TRY ? Math.min(2 * this.#patience, MAX_PATIENCE) : 1
    this.#wait = this.#patience
  }

  #later(): false {
    this.#patience = Math.min(2 * this.#patience, MAX_PATIENCE)
    this.#wait = this.#patience
    return false
  }
}

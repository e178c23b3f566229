/** A growing file in memory that counts reads and can be damaged. */
import type { HostFile } from '../../host/host.ts'

export class MemoryFile implements HostFile {
  readonly path: string
  bytes: Uint8Array
  reads = 0
  syncs = 0

  constructor(path = '/tables/test.table', bytes: Uint8Array = new Uint8Array(0)) {
    this.path = path
    this.bytes = bytes
  }

  size(): number { return this.bytes.length }

  readSync(target: Uint8Array, offset: number, length: number, position: number): number {
    this.reads++
    const end = Math.min(position + length, this.bytes.length)
    if (end <= position) return 0
    target.set(this.bytes.subarray(position, end), offset)
    return end - position
  }

  async read(target: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.readSync(target, offset, length, position)
  }

  writeSync(source: Uint8Array, offset: number, length: number, position: number): void {
    if (position + length > this.bytes.length) {
      const larger = new Uint8Array(position + length)
      larger.set(this.bytes)
      this.bytes = larger
    }
    this.bytes.set(source.subarray(offset, offset + length), position)
  }

  syncSync(): void { this.syncs++ }
  async sync(): Promise<void> { this.syncs++ }

  truncate(length: number): void { this.bytes = this.bytes.slice(0, length) }
  close(): void {}

  copy(): MemoryFile { return new MemoryFile(this.path, this.bytes.slice()) }
}

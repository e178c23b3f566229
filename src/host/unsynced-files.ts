/** Files that need not outlive the process: like the wrapped ones, but nothing is made durable. */
import type { BeginSync, DirectoryReference, HostFile, HostFiles, JobWait } from './host.ts'

export class UnsyncedFiles implements HostFiles {
  readonly #files: HostFiles

  constructor(files: HostFiles) {
    this.#files = files
  }

  openRead(path: string): HostFile { return this.#files.openRead(path) }
  openWrite(path: string): HostFile { return new UnsyncedFile(this.#files.openWrite(path)) }
  create(path: string): HostFile { return new UnsyncedFile(this.#files.create(path)) }
  publish(path: string, bytes: Uint8Array): void { this.#files.publish(path, bytes) }
  publishInSteps(path: string, bytes: Uint8Array, beginSync?: BeginSync): Generator<JobWait | void, void, void> {
    return this.#files.publishInSteps(path, bytes, beginSync)
  }
  readAll(path: string): Uint8Array { return this.#files.readAll(path) }
  exists(path: string): boolean { return this.#files.exists(path) }
  list(directory: string): string[] { return this.#files.list(directory) }
  makeDirectory(path: string): void { this.#files.makeDirectory(path) }
  remove(path: string): void { this.#files.remove(path) }
  rename(from: string, to: string): void { this.#files.rename(from, to) }
  removeSoon(path: string, failed: (error: Error) => void): void { this.#files.removeSoon(path, failed) }
  removed(): Promise<void> { return this.#files.removed() }
  within(directory: DirectoryReference | undefined): HostFiles { return new UnsyncedFiles(this.#files.within(directory)) }
  syncDirectory(): void {}
  *syncDirectoryInSteps(): Generator<JobWait | void, void, void> {}
}

class UnsyncedFile implements HostFile {
  readonly path: string
  readonly #file: HostFile

  constructor(file: HostFile) {
    this.path = file.path
    this.#file = file
  }

  size(): number { return this.#file.size() }
  readSync(target: Uint8Array, offset: number, length: number, position: number): number {
    return this.#file.readSync(target, offset, length, position)
  }
  read(target: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.#file.read(target, offset, length, position)
  }
  writeSync(source: Uint8Array, offset: number, length: number, position: number): void {
    this.#file.writeSync(source, offset, length, position)
  }
  syncSync(): void {}
  async sync(): Promise<void> {}
  truncate(length: number): void { this.#file.truncate(length) }
  close(): void { this.#file.close() }
}

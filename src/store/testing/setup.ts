/** Where a random script runs: on a simulated machine, or on the real disk with a worker. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Host } from '../../host/host.ts'
import { nodeHost } from '../../host/node/node-host.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { Spillway } from '../spillway.ts'
import type { OpenOptions } from '../api/options.ts'
import { openSim, within } from './sim.ts'

export interface Setup {
  readonly host: Host
  open(): Promise<Spillway>
  /** The outcome of a promise, or an error when it will not come. */
  within<T>(promise: Promise<T>): Promise<T>
  /** Do this when all work in the background has ended. It throws what is wrong then. */
  atRest(check: () => void): Promise<void>
}

export class SimSetup implements Setup {
  readonly host: SimHost
  readonly #options: OpenOptions

  constructor(host: SimHost, options: OpenOptions) {
    this.host = host
    this.#options = options
  }

  open(): Promise<Spillway> {
    return openSim(this.host, this.#options)
  }

  within<T>(promise: Promise<T>): Promise<T> {
    return within(this.host, promise)
  }

  async atRest(check: () => void): Promise<void> {
    await this.host.idle()
    check()
  }
}

const LONGEST_MS = 20_000

export class DiskSetup implements Setup, Disposable {
  readonly host: Host = nodeHost()
  readonly #options: OpenOptions
  readonly #directory = mkdtempSync(join(tmpdir(), 'spillway-model-'))

  constructor(options: OpenOptions) {
    this.#options = options
  }

  open(): Promise<Spillway> {
    return Spillway.open(this.#directory, this.#options)
  }

  async within<T>(promise: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`pending after ${LONGEST_MS} ms: it hangs`)), LONGEST_MS)
    })
    try {
      return await Promise.race([promise, late])
    } finally {
      clearTimeout(timer)
    }
  }

  /** The worker's end is not reported, so the check is repeated until it passes. */
  async atRest(check: () => void): Promise<void> {
    const lastMs = performance.now() + LONGEST_MS
    for (;;) {
      try {
        check()
        return
      } catch (error) {
        if (performance.now() > lastMs) throw error
      }
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

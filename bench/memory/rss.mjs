// The memory of another process, seen from outside: threads included, and nothing that the process itself must do for it.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'

const POLL_MS = 5
const PS_POLL_MS = 50
const isLinux = process.platform === 'linux'

export class RssSampler {
  #pid
  #timer
  #stopped = false
  /** Bytes; of the largest sample, split as the kernel does (Linux only). */
  peak = { bytes: 0 }

  constructor(pid) {
    this.#pid = pid
    if (isLinux) this.#timer = setInterval(() => this.#readLinux(), POLL_MS)
    else void this.#pollPs()
  }

  /** The last look, while the process is still alive: the kernel's own high-water mark misses nothing between two samples. */
  async finish() {
    if (isLinux) this.#readLinux()
    else await this.#readPs()
    this.stop()
  }

  stop() {
    this.#stopped = true
    clearInterval(this.#timer)
  }

  #readLinux() {
    let status
    try {
      status = readFileSync(`/proc/${this.#pid}/status`, 'latin1')
    } catch {
      return // It has ended; how, its exit says.
    }
    const rss = kibibytes(status, 'VmRSS')
    if (rss > (this.peak.sampledBytes ?? 0)) {
      this.peak = {
        ...this.peak, sampledBytes: rss,
        anonymousBytes: kibibytes(status, 'RssAnon'), fileBytes: kibibytes(status, 'RssFile'),
        sharedBytes: kibibytes(status, 'RssShmem'),
      }
    }
    this.peak.bytes = Math.max(this.peak.bytes, rss, kibibytes(status, 'VmHWM'))
  }

  async #pollPs() {
    while (!this.#stopped) {
      await this.#readPs()
      await new Promise(resolve => setTimeout(resolve, PS_POLL_MS))
    }
  }

  async #readPs() {
    const output = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(this.#pid)]).catch(error => {
      // Without a number there is nothing to judge; that the process is gone is told by its exit.
      if (error.code === 'ENOENT') throw new Error('memory is read with ps, which this system does not have', { cause: error })
      return { stdout: '' }
    })
    const bytes = Number(output.stdout.trim()) * 1024
    if (bytes > this.peak.bytes) this.peak = { bytes }
  }
}

function kibibytes(status, name) {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)
  return match === null ? 0 : Number(match[1]) * 1024
}

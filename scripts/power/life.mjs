// A process with the store open: see child.mjs.
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export class Life {
  /** The first rows that were acknowledged as durable: so many. */
  durable = 0
  durableCount = 0
  #child = fork(fileURLToPath(new URL('child.mjs', import.meta.url)), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  #calls = new Map()
  #nextId = 1
  #ended

  static async open(directory) {
    const life = new Life()
    await life.call('open', { directory })
    return life
  }

  constructor() {
    this.#child.on('message', ({ id, result, error, acknowledged, durability }) => {
      if (acknowledged !== undefined) {
        if (durability !== 'disk') return
        this.durable = Math.max(this.durable, acknowledged + 1)
        this.durableCount++
        return
      }
      const call = this.#calls.get(id)
      this.#calls.delete(id)
      if (error === undefined) call.resolve(result)
      else call.reject(new Error(`${error.code}: ${error.message}`))
    })
    // What it has sent is heard before the channel ends.
    this.#ended = Promise.all(['exit', 'disconnect'].map(event => new Promise(resolve => this.#child.once(event, resolve)))).then(() => {
      for (const { reject } of this.#calls.values()) reject(new Error('the process has ended'))
    })
  }

  call(op, args = {}) {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject })
      this.#child.send({ id, op, ...args }, error => { if (error) reject(error) })
    })
  }

  /** Kill it. What it told before is heard first. */
  async end() {
    this.#child.kill('SIGKILL')
    await this.#ended
  }
}

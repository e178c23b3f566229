// A memory cgroup below our own, for one child: v2 where memory is delegated to us, else v1. Being below our own, it stays
// within whatever limits us.
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = '/sys/fs/cgroup'
const V2 = {
  limit: 'memory.max', peak: 'memory.peak', now: 'memory.current', swap: 'memory.swap.max', events: 'memory.events',
}
const V1 = {
  limit: 'memory.limit_in_bytes', peak: 'memory.max_usage_in_bytes', now: 'memory.usage_in_bytes',
  swap: 'memory.swappiness', events: 'memory.oom_control',
}

export class Cgroup {
  #path
  #files

  /** Throws, saying why, where no group can be made. */
  constructor(limitBytes) {
    if (process.platform !== 'linux') throw new Error('cgroups are a thing of Linux')
    const { parent, files } = ownGroup()
    this.#files = files
    this.#path = join(parent, `spillway-bench-${process.pid}`)
    mkdirSync(this.#path)
    try {
      writeFileSync(join(this.#path, files.limit), String(limitBytes))
      if (existsSync(join(this.#path, files.swap))) writeFileSync(join(this.#path, files.swap), '0')
    } catch (error) {
      this.remove()
      throw error
    }
  }

  /** To be written to by the child before it becomes node. */
  get procsFile() { return join(this.#path, 'cgroup.procs') }

  /** Peak of charged bytes, page cache included, and processes killed because memory ran out. */
  read() {
    const { peak, now, events } = this.#files
    const text = readFileSync(join(this.#path, events), 'latin1')
    const kills = /^oom_kill (\d+)/m.exec(text)
    const peakFile = join(this.#path, peak)
    return {
      peakBytes: Number(readFileSync(existsSync(peakFile) ? peakFile : join(this.#path, now), 'latin1')),
      oomKills: kills === null ? undefined : Number(kills[1]),
    }
  }

  remove() {
    rmdirSync(this.#path)
  }
}

function ownGroup() {
  const lines = readFileSync('/proc/self/cgroup', 'latin1').split('\n').map(line => line.split(':'))
  const v1 = lines.find(([, controllers]) => controllers?.split(',').includes('memory'))
  if (v1 !== undefined) return { parent: mounted(join(ROOT, 'memory'), v1[2]), files: V1 }
  const v2 = lines.find(([id, controllers]) => id === '0' && controllers === '')
  if (v2 === undefined) throw new Error('this process is in no memory cgroup')
  const parent = mounted(ROOT, v2[2])
  const delegated = readFileSync(join(parent, 'cgroup.subtree_control'), 'latin1')
  if (!delegated.split(/\s+/).includes('memory')) {
    throw new Error(`${parent} does not pass the memory controller on to groups below it`)
  }
  return { parent, files: V2 }
}

/** In a container the path of our group is often mounted as the root. */
function mounted(root, path) {
  const full = join(root, path)
  return existsSync(full) ? full : root
}

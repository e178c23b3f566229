// A volume whose device can run out of room and whose power can fail: a file system on a loop device over a file in a tmpfs.
//
// What the file system uses when it is made is allocated in that file, its free blocks are holes. So while the tmpfs is full
// (`exhaust`), journal and metadata are written, and new blocks of data are not: write-back fails, and a sync is told so.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const BLOCK_BYTES = 4096
const IMAGE_BYTES = { ext4: 64 * 2 ** 20, xfs: 300 * 2 ** 20 }
const TMPFS_BYTES = 400 * 2 ** 20

/** Undefined, or why there can be no such volumes here. */
export function whyNot(types) {
  if (process.platform !== 'linux') return 'it needs Linux'
  if (process.getuid() !== 0) return 'it needs root, to mount file systems'
  if (!existsSync('/dev/loop-control')) return 'there are no loop devices'
  const tools = ['losetup', 'mount', 'umount', 'fallocate', 'xfs_io', ...types.map(type => `mkfs.${type}`), ...types.includes('ext4') ? ['dumpe2fs'] : [], ...types.includes('xfs') ? ['xfs_db'] : []]
  const missing = tools.filter(tool => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0)
  if (missing.length > 0) return `these commands are missing: ${missing.join(', ')}`
  const known = readFileSync('/proc/filesystems', 'utf8')
  const unknown = types.filter(type => !known.includes(`\t${type}\n`) && spawnSync('modprobe', [type]).status !== 0)
  if (unknown.length > 0) return `the kernel knows no ${unknown.join(', ')}`
  return undefined
}

export class Volume {
  /** Where it is mounted. */
  path
  #root
  #image
  #loop
  #isMounted = false
  #hasTmpfs = false

  /** `root`: a directory of its own. */
  constructor(type, root) {
    this.#root = root
    this.path = join(root, 'mount')
    this.#image = join(root, 'device', 'image')
    mkdirSync(this.path, { recursive: true })
    mkdirSync(join(root, 'device'), { recursive: true })
    run('mount', '-t', 'tmpfs', '-o', `size=${TMPFS_BYTES},huge=never`, 'tmpfs', join(root, 'device'))
    this.#hasTmpfs = true
    try {
      run('truncate', '-s', String(IMAGE_BYTES[type]), this.#image)
      if (type === 'ext4') run('mkfs.ext4', '-q', '-b', String(BLOCK_BYTES), '-E', 'nodiscard,lazy_itable_init=0,lazy_journal_init=0', this.#image)
      else run('mkfs.xfs', '-q', '-K', '-f', '-b', `size=${BLOCK_BYTES}`, this.#image)
      let at = 0
      for (const [start, end] of [...freeRanges(type, this.#image), [IMAGE_BYTES[type] / BLOCK_BYTES, 0]]) {
        if (start > at) run('fallocate', '-o', String(at * BLOCK_BYTES), '-l', String((start - at) * BLOCK_BYTES), this.#image)
        at = end
      }
      this.#loop = run('losetup', '-f', '--show', this.#image).trim()
      this.mount()
    } catch (error) {
      this.remove()
      throw error
    }
  }

  mount() {
    run('mount', this.#loop, this.path)
    this.#isMounted = true
  }

  /** No new block can be written until `relieve`. */
  exhaust() {
    // What metadata it has allocated since it was made has its place now.
    this.writeBack()
    const { blocks, bfree, bsize } = statfsSync(join(this.#root, 'device'))
    this.#resize((blocks - bfree) * bsize)
  }

  relieve() {
    this.#resize(TMPFS_BYTES)
  }

  /** Have all dirty pages written back; errors are not reported. */
  writeBack() {
    spawnSync('sync', ['-f', this.path])
  }

  /** Have the system give up the pages of these files that count as clean. */
  evict(directory) {
    for (const name of readdirSync(directory)) spawnSync('dd', [`if=${join(directory, name)}`, 'iflag=nocache', 'count=0'])
  }

  /** The power fails: what the file system has not made durable is gone. With `flushesLog` its journal is written once more. */
  cut(flushesLog) {
    run('xfs_io', '-x', '-c', flushesLog ? 'shutdown -f' : 'shutdown', this.path)
  }

  /** After a cut, when no process uses it any more. While something else still holds the file system that was cut, the same one is mounted again. */
  remount() {
    for (let attempts = 1; ; attempts++) {
      this.unmount()
      this.mount()
      try {
        writeFileSync(join(this.path, 'probe'), '')
        return
      } catch (error) {
        if (attempts === 10) throw error
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
    }
  }

  unmount() {
    run('umount', this.path)
    this.#isMounted = false
  }

  /** Leave nothing of it, whatever has failed. */
  remove() {
    if (this.#isMounted) spawnSync('umount', ['-l', this.path])
    if (this.#loop !== undefined) spawnSync('losetup', ['-d', this.#loop])
    if (this.#hasTmpfs) spawnSync('umount', ['-l', join(this.#root, 'device')])
    rmSync(this.#root, { recursive: true, force: true })
  }

  #resize(bytes) {
    run('mount', '-o', `remount,size=${bytes}`, join(this.#root, 'device'))
  }
}

/** First block and the one behind the last, ascending. */
function freeRanges(type, image) {
  const ranges = []
  if (type === 'ext4') {
    for (const [, list] of run('dumpe2fs', image).matchAll(/^ +Free blocks: (.+)$/gm)) {
      for (const [, first, last] of list.matchAll(/(\d+)(?:-(\d+))?/g)) ranges.push([Number(first), Number(last ?? first) + 1])
    }
  } else {
    const groupBlocks = Number(/agblocks = (\d+)/.exec(run('xfs_db', '-r', '-c', 'sb 0', '-c', 'p agblocks', image))[1])
    for (const [, group, block, count] of run('xfs_db', '-r', '-c', 'freesp -d', image).matchAll(/^ +(\d+) +(\d+) +(\d+)$/gm)) {
      const start = Number(group) * groupBlocks + Number(block)
      ranges.push([start, start + Number(count)])
    }
  }
  return ranges.sort(([a], [b]) => a - b)
}

function run(command, ...args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 2 ** 20 })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`)
  return stdout
}

// RocksDB from C++, to compare with: compiled on the spot against the system's library, or left out. Installs nothing.
import { spawnSync } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const STORE = 'rocksdb-cpp'

const folder = dirname(fileURLToPath(import.meta.url))
const SOURCES = ['rocksdb-bench.cc', 'operations.h', 'meter.h', 'rows.h'].map(name => join(folder, name))
const PROGRAM = join(folder, 'build', 'rocksdb-bench')

/**
 * The program, run as `program <workload> <directory> <rows> <valueBytes> <timeLimitSeconds>`, and the version of its RocksDB.
 * Undefined where it cannot be built; `say` is then told why, in one line.
 */
export async function prepare(say) {
  const skip = why => void say(`${STORE} is skipped: ${why}`)
  // Its counters come from /proc.
  if (process.platform !== 'linux') return skip('it is for Linux only')
  if (!isFresh(PROGRAM) || versionOf(PROGRAM) === undefined) {
    const compiler = ['c++', 'g++', 'clang++'].find(name => run(name, ['--version']).status === 0)
    if (compiler === undefined) return skip('there is no C++ compiler (Debian, Ubuntu: apt-get install g++ librocksdb-dev)')
    const header = run(compiler, ['-std=c++17', '-E', '-o', '/dev/null', '-x', 'c++', '-'], '#include <rocksdb/db.h>\n')
    if (header.status !== 0) return skip('there is no <rocksdb/db.h> (Debian, Ubuntu: apt-get install librocksdb-dev)')
    const problem = compile(compiler)
    if (problem !== undefined) return skip(problem)
  }
  const version = versionOf(PROGRAM)
  if (version === undefined) return skip(`${PROGRAM} was built but does not run`)
  return { program: PROGRAM, version }
}

/** Returns the compiler's first error, if any. Built under another name, so that there never is half a program. */
function compile(compiler) {
  const temporary = `${PROGRAM}.${process.pid}`
  try {
    mkdirSync(dirname(PROGRAM), { recursive: true })
    const built = run(compiler, ['-std=c++17', '-O2', '-Wall', '-o', temporary, SOURCES[0], '-lrocksdb', '-pthread'])
    if (built.status !== 0) {
      const lines = (built.error?.message ?? built.stderr).trim().split('\n')
      return `${compiler} failed: ${lines.find(line => /\berror\b|undefined|cannot find/.test(line)) ?? lines.at(-1)}`
    }
    renameSync(temporary, PROGRAM)
    return undefined
  } catch (error) {
    return error.message
  } finally {
    rmSync(temporary, { force: true })
  }
}

function isFresh(program) {
  const builtMs = statSync(program, { throwIfNoEntry: false })?.mtimeMs
  return builtMs !== undefined && SOURCES.every(source => statSync(source).mtimeMs <= builtMs)
}

function versionOf(program) {
  const { status, stdout } = run(program, ['--version'])
  return status === 0 ? stdout.trim() : undefined
}

function run(command, args, input = '') {
  return spawnSync(command, args, { input, encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } })
}

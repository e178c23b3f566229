// Runs one group with one store in a child process, inside a memory cgroup where the group asks for it.
import { spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Cgroup } from '../memory/cgroup.mjs'
import { dropPageCache } from './page-cache.mjs'

const CHILD = fileURLToPath(new URL('./child.mjs', import.meta.url))
const STDERR_CHARACTERS = 2000
const TIMEOUT_MS = 10 * 60 * 1000
const running = new Set()
let runs = 0

/**
 * The result lines of one store for one group, without round. `setting`: { node, parent, budgetBytes }.
 * A group that cannot be run throws; what its process had sent until then is in `error.lines`.
 */
export async function runGroup(group, store, { node, parent, budgetBytes, kept }) {
  const name = `${group.name}-${store}`
  const isKept = group.isLoadedBefore === true
  const directory = join(parent, isKept ? name : `${name}-${++runs}`)
  const base = {
    store, program: group.program, workloads: group.workloads, directory, budgetBytes, isDurable: group.isDurable === true,
    isLargerThanMemory: group.capBytes !== undefined,
  }
  try {
    if (!isKept) {
      mkdirSync(directory)
    } else if (!kept.has(directory)) {
      mkdirSync(directory)
      await runChild(node, { ...base, phase: 'load' })
      kept.add(directory)
    }
    if (isKept) dropPageCache(directory)
    return await capped(group.capBytes, cgroup => runChild(node, { ...base, phase: 'measure' }, cgroup))
  } finally {
    if (!kept.has(directory)) rmSync(directory, { recursive: true, force: true })
  }
}

/** For the end of this process. */
export function killRunning() {
  for (const child of running) child.kill('SIGKILL')
}

/** The child gets a program of its own; its one line of output is the result. Code 3: it does not know the workload. */
export function runProgram(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    running.add(child)
    let stdout = ''
    let stderr = ''
    const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS)
    child.stdout.setEncoding('utf8').on('data', text => { stdout += text })
    child.stderr.setEncoding('utf8').on('data', text => { stderr = (stderr + text).slice(-STDERR_CHARACTERS) })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      running.delete(child)
      if (code === 3) resolve(undefined)
      else if (code === 0) resolve(JSON.parse(stdout))
      else reject(new Error(`${program} ${signal === null ? `ended with code ${code}` : `was killed by ${signal}`}: ${stderr.trim()}`))
    })
  })
}

async function capped(capBytes, work) {
  if (capBytes === undefined) return work(undefined)
  let cgroup
  try {
    cgroup = new Cgroup(capBytes)
  } catch (error) {
    throw new Error(`needs a memory cgroup, which cannot be made: ${error.message}`, { cause: error })
  }
  try {
    return await work(cgroup)
  } finally {
    cgroup.remove()
  }
}

function runChild(node, setting, cgroup) {
  const text = JSON.stringify(setting, (key, value) => value === Infinity ? 'Infinity' : value)
  const args = ['--expose-gc', CHILD, text]
  const stdio = ['ignore', 'ignore', 'pipe', 'ipc']
  // exec keeps the process, and with it the group it has entered.
  const child = cgroup === undefined ? spawn(node, args, { stdio })
    : spawn('sh', ['-c', 'echo $$ > "$0" && exec "$@"', cgroup.procsFile, node, ...args], { stdio })
  return new Promise((resolve, reject) => {
    running.add(child)
    const lines = []
    let stderr = ''
    let hasTimedOut = false
    const timer = setTimeout(() => {
      hasTimedOut = true
      child.kill('SIGKILL')
    }, TIMEOUT_MS)
    child.stderr.setEncoding('utf8').on('data', text => { stderr = (stderr + text).slice(-STDERR_CHARACTERS) })
    child.on('message', line => lines.push(line))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      running.delete(child)
      if (code === 0) return resolve(lines)
      const ending = signal === null ? `ended with code ${code}` : `was killed by ${signal}`
      const how = hasTimedOut ? `was stopped after ${TIMEOUT_MS / 1000} s` : ending
      reject(Object.assign(new Error(`the child ${how}${stderr === '' ? '' : `: ${stderr.trim()}`}`), { lines }))
    })
  })
}

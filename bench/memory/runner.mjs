// Runs one case in a child process and reads its memory from outside.
import { spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RssSampler } from './rss.mjs'

const CHILD = fileURLToPath(new URL('./child.mjs', import.meta.url))
const STDERR_CHARACTERS = 2000
const running = new Set()
let runs = 0

/**
 * One run. `setting`: { program, subject, budgetBytes, volume, directory, timeoutMs, nodeFlags?, cgroup? }.
 * Returns { peak, seconds, report, watch, error }: `error` says why it did not get to its end.
 */
export async function runChild({ cgroup, directory: parent, timeoutMs, nodeFlags = [], ...setting }) {
  const directory = join(parent, `run-${++runs}`)
  mkdirSync(directory)
  try {
    return await watchChild(start({ ...setting, directory }, nodeFlags, cgroup), timeoutMs)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** For the end of this process. */
export function killRunning() {
  for (const child of running) child.kill('SIGKILL')
}

function start(setting, nodeFlags, cgroup) {
  const args = [...nodeFlags, CHILD, JSON.stringify(setting)]
  const stdio = ['ignore', 'ignore', 'pipe', 'ipc']
  if (cgroup === undefined) return spawn(process.execPath, args, { stdio })
  // exec keeps the process, and with it the group it has entered.
  return spawn('sh', ['-c', 'echo $$ > "$0" && exec "$@"', cgroup.procsFile, process.execPath, ...args], { stdio })
}

function watchChild(child, timeoutMs) {
  return new Promise((resolve, reject) => {
    running.add(child)
    const sampler = new RssSampler(child.pid)
    const started = performance.now()
    let stderr = ''
    let message
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = true
      child.kill('SIGKILL')
    }, timeoutMs)
    child.stderr.setEncoding('utf8').on('data', text => { stderr = (stderr + text).slice(-STDERR_CHARACTERS) })
    child.on('message', async received => {
      message = received
      try {
        await sampler.finish()
      } catch (error) {
        reject(error)
      }
      if (child.connected) child.send('exit')
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      sampler.stop()
      running.delete(child)
      let error = message?.error
      if (message === undefined) {
        const ending = signal === null ? `ended with code ${code}` : `was killed by ${signal}`
        const how = timedOut ? `was stopped after ${Math.round(timeoutMs / 1000)} s` : ending
        error = `the child ${how}${stderr === '' ? '' : `: ${stderr.trim()}`}`
      }
      resolve({
        peak: sampler.peak, seconds: message?.seconds ?? (performance.now() - started) / 1000,
        report: message?.report, watch: message?.hasLedger === true ? message.watch : undefined,
        atPeak: message?.watch?.atPeak, error,
      })
    })
  })
}

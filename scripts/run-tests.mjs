// Runs test files, each in its own process, and shows the progress: a line for each file as it ends, then the slowest files, the time of all and
// the files that failed.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const REPORTER = fileURLToPath(new URL('short-reporter.mjs', import.meta.url))
const SLOWEST = 10
/** The closing lines of a file that are summed up. */
const COUNTS = ['tests', 'pass', 'fail', 'cancelled', 'skipped', 'todo']

const CLOSING = [...COUNTS, 'suites', 'duration_ms']

/** Resolves to what is wrong in a few words, or undefined. `print` takes whole lines. */
export async function runTests(files, { concurrency = 2, timeoutMs = 1_800_000, print = console.log } = {}) {
  const startMs = performance.now()
  const total = Object.fromEntries(COUNTS.map(name => [name, 0]))
  const results = []
  const waiting = [...files]
  const runNext = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await runFile(file, timeoutMs)
      results.push(result)
      for (const name of COUNTS) total[name] += result.counts[name] ?? 0
      const at = `${String(results.length).padStart(String(files.length).length)} of ${files.length}`
      print(`${at}, ${secondsSince(startMs).padStart(6)} s: ${file} ${result.problem === undefined ? `(${result.seconds.toFixed(1)} s)` : `FAILED, ${result.problem} (${result.seconds.toFixed(1)} s)`}`)
      if (result.problem !== undefined && result.output !== '') print(result.output)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, runNext))
  results.sort((a, b) => b.seconds - a.seconds)
  print(`\nThe slowest of ${files.length} files:`)
  for (const { file, seconds } of results.slice(0, SLOWEST)) print(`${seconds.toFixed(1).padStart(7)} s  ${file}`)
  print(`${COUNTS.map(name => `${name} ${total[name]}`).join(', ')}, ${secondsSince(startMs)} s in all`)
  const failed = results.filter(({ problem }) => problem !== undefined)
  if (failed.length === 0) return undefined
  for (const { file, problem } of failed) print(`FAILED: ${file} (${problem})`)
  return `${failed.length} of ${files.length} files`
}

/** `output`: failures, and everything else the file printed. */
async function runFile(file, timeoutMs) {
  const startMs = performance.now()
  // Set where this runs inside a test: the reporter would be ignored.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const child = spawn(process.execPath, [`--test-reporter=${REPORTER}`, file], { stdio: ['ignore', 'pipe', 'pipe'], env })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', text => { output += text })
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    child.kill('SIGKILL')
  }, timeoutMs)
  const { code, signal, error } = await new Promise(resolve => {
    child.on('error', error => resolve({ error }))
    child.on('close', (code, signal) => resolve({ code, signal }))
  })
  clearTimeout(timer)
  const counts = {}
  const lines = output.split('\n').filter(line => {
    const [, name, count] = /^# (\w+) ([\d.]+)$/.exec(line) ?? []
    if (COUNTS.includes(name)) counts[name] = Number(count)
    return !CLOSING.includes(name)
  })
  return { file, seconds: (performance.now() - startMs) / 1000, counts, problem: problemOf(), output: lines.join('\n').trim() }

  function problemOf() {
    if (isLate) return `not done after ${timeoutMs / 1000} s`
    if (error !== undefined) return error.message
    if (signal !== null) return `killed by ${signal}`
    if (code !== 0) return counts.fail > 0 ? `${counts.fail} of ${counts.tests} tests` : `exit code ${code}`
    return counts.tests > 0 ? undefined : 'there is no test in it'
  }
}

function secondsSince(startMs) {
  return ((performance.now() - startMs) / 1000).toFixed(1)
}

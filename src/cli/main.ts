#!/usr/bin/env node
import { fstatSync } from 'node:fs'
import { EXIT } from './exit.ts'
import type { Io } from './io.ts'
import { isBrokenPipe } from './output.ts'
import { run } from './run.ts'

const stop = new AbortController()

/** The first signal asks to stop; the second ends the process. */
function stopOn(signal: NodeJS.Signals, exitCode: number): void {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(exitCode)
    stop.abort(exitCode)
  })
}
stopOn('SIGINT', EXIT.interrupted)
stopOn('SIGTERM', EXIT.terminated)

// Without a listener, writing to a closed pipe would end the process with a stack trace.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: Error) => {
    if (!isBrokenPipe(error)) process.exitCode = EXIT.failed
  })
}

let usesStdin = false

const io: Io = {
  get stdin() {
    usesStdin = true
    return process.stdin
  },
  stdinBytes() {
    try {
      const stat = fstatSync(0)
      return stat.isFile() ? stat.size : undefined
    } catch {
      return undefined
    }
  },
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  async open(directory, options) {
    // Loaded on demand, so that help is immediate.
    const { Spillway } = await import('../store/spillway.ts')
    return Spillway.open<Uint8Array, Uint8Array>(directory, { ...options, keyEncoding: 'buffer', valueEncoding: 'buffer' })
  },
  async verify(directory, budgetBytes) {
    const { verifyClosed } = await import('../store/verify/verify-closed.ts')
    return verifyClosed(directory, { budget: budgetBytes })
  },
  signal: stop.signal,
  exit(code) { process.exit(code) },
}

process.exitCode = await run(process.argv.slice(2), io)
// Open handles must not keep the process after a signal.
if (stop.signal.aborted) process.exit()
// An unread stdin would keep the process.
if (usesStdin) process.stdin.destroy()

import { spawnSync } from 'node:child_process'

/** Runs node with these arguments. Returns what is wrong in a few words, or undefined. */
export function runNode(...args) {
  const { status, signal, error } = spawnSync(process.execPath, args, { stdio: 'inherit' })
  if (error) return error.message
  return status === 0 ? undefined : signal === null ? `exit code ${status}` : `killed by ${signal}`
}

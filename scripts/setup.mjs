// Makes a fresh clone ready: installs what package-lock.json names, then builds. Does nothing twice.
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const stamp = `${root}/node_modules/.package-lock.json`

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', shell: process.platform === 'win32' })
  if (error) console.error(`${command}: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}

if (!existsSync(stamp) || statSync(stamp).mtimeMs < statSync(`${root}/package-lock.json`).mtimeMs) {
  console.log('Installing development dependencies (npm ci) ...')
  run('npm', ['ci', '--no-audit', '--no-fund'])
}
run(process.execPath, ['scripts/build.mjs'])

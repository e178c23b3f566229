// Builds the wasm kernels when their source changed, compiles src/ to dist/, removes outputs whose sources are gone, and makes the worker's code
// and the declarations for users.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

function run(args) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

if (existsSync(`${root}/scripts/build-kernels.mjs`)) run(['scripts/build-kernels.mjs'])
run(['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'])
run(['scripts/stale-outputs.mjs'])
run(['scripts/build-worker.mjs'])
run(['scripts/build-types.mjs'])

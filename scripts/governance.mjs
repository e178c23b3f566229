// The long search: the governance simulation and the denied leases with many seeds (default 1000; SPILLWAY_SEEDS, SPILLWAY_SEED).
import { spawnSync } from 'node:child_process'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const env = { ...process.env, SPILLWAY_SEEDS: process.env.SPILLWAY_SEEDS ?? '1000' }
const files = ['dist/store/governance.test.js', 'dist/store/governance-denials.test.js']
const { status, error } = spawnSync(process.execPath, ['--test', '--test-reporter=spec', ...files], { cwd: root, env, stdio: 'inherit' })
if (error) console.error(error.message)
process.exit(status ?? 1)

// The tools that the environments need, by exact version. They are installed in a folder of their own: the project needs none of them.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The packages that hold Node itself are named after the platform. */
const PLATFORM = `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`

export const NODES = { node20: '20.20.2', node22: '22.23.3', node24: '24.22.3', node26: '26.12.1' }
export const COMPILERS = { ts54: '5.4.5', ts55: '5.5.4', ts56: '5.6.3', ts57: '5.7.3', ts58: '5.8.3', ts59: '5.9.3', ts60: '6.0.3', ts70: '7.0.2' }
export const TOOLS = {
  bun: '1.4.5', deno: '2.9.6', esbuild: '0.28.2', rollup: '4.68.8', '@rollup/plugin-node-resolve': '16.0.3', webpack: '5.113.0',
  'webpack-cli': '7.3.1', vite: '8.4.0', '@vercel/ncc': '0.45.0', postject: '1.0.0-alpha.6', '@types/node': '20.19.43',
}

function wanted() {
  const dependencies = { ...TOOLS }
  for (const [name, version] of Object.entries(NODES)) dependencies[name] = `npm:node-${PLATFORM}@${version}`
  for (const [name, version] of Object.entries(COMPILERS)) dependencies[name] = `npm:typescript@${version}`
  return `${JSON.stringify({ private: true, dependencies }, undefined, 2)}\n`
}

/** Install what is not there yet; a folder that has it already takes no time. */
export function install(folder) {
  const manifest = join(folder, 'package.json')
  const isDone = join(folder, 'node_modules/.package-lock.json')
  if (existsSync(isDone) && existsSync(manifest) && readFileSync(manifest, 'utf8') === wanted()) return
  mkdirSync(folder, { recursive: true })
  writeFileSync(manifest, wanted())
  const { status } = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock'], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'], shell: process.platform === 'win32' })
  if (status !== 0) throw new Error('npm install failed')
}

/** How a runtime is called. */
export function binary(folder, name) {
  const suffix = process.platform === 'win32' ? '.exe' : ''
  if (name in NODES) return join(folder, 'node_modules', name, process.platform === 'win32' ? 'node.exe' : 'bin/node')
  return join(folder, 'node_modules/.bin', name + suffix)
}

/** The environment of a process that finds these tools, and that Node, by name. */
export function withTools(folder, node = 'node24') {
  const path = [join(binary(folder, node), '..'), join(folder, 'node_modules/.bin'), process.env.PATH].join(delimiter)
  return { ...process.env, PATH: path, NODE_OPTIONS: '', NO_COLOR: '1' }
}

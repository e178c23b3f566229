// The environments. Each runs the packed package and returns its result in a few words, or throws.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { compileConsumer } from '../consumer.mjs'
import { make, recipes } from './recipes.mjs'
import { COMPILERS, NODES, TOOLS, binary, withTools } from './tools.mjs'

const LONGEST_MS = 120_000
/** Enough for a worker. */
const BUDGET = '24 MiB'

/** Run the smoke by that command; `store`: where, with what options. Returns what it printed. */
function smoke(command, args, { cwd, env, folder, options = {} }) {
  const directory = mkdtempSync(join(folder, 'store-'))
  try {
    const { stdout, stderr, error, signal } = spawnSync(command, args, {
      cwd, encoding: 'utf8', timeout: LONGEST_MS, env: { ...env, SMOKE: JSON.stringify({ directory, options: { budget: BUDGET, ...options } }) },
    })
    if (error !== undefined) throw error
    const line = stdout.trim().split('\n').at(-1)
    if (!line.startsWith('{')) throw new Error(`${signal ?? ''}${stdout}${stderr}`)
    return JSON.parse(line)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** It must have worked, with a worker or, where there is none, without. */
function works({ background, backgroundReason, stack }, expected = 'worker') {
  if (stack !== undefined) throw new Error(stack)
  if (background !== expected) throw new Error(`jobs run ${background}, not ${expected}: ${backgroundReason}`)
  return expected === 'worker' ? 'works' : `works; jobs run on the main thread: ${backgroundReason}`
}

/** It must have been refused, in words that say this. */
function refused({ code, message }, pattern) {
  if (code !== 'SPILLWAY_UNAVAILABLE' || !pattern.test(message)) throw new Error(`not refused as it should be: ${code} ${message}`)
  return `refused at open: ${message}`
}

const names = Object.keys(NODES)

export const runtimes = [
  ...names.flatMap(node => [['import', 'app.mjs'], ['require', 'app.cjs']].map(([how, file]) => ({
    name: `Node ${NODES[node]}, ${how}`, what: 'the smoke',
    run: ({ tools, consumer, folder }) => works(smoke(binary(tools, node), ['--no-warnings', file], { cwd: consumer, env: withTools(tools, node), folder })),
  }))),
  {
    name: `Bun ${TOOLS.bun}`, what: 'the smoke',
    run: ({ tools, consumer, folder }) => works(smoke(binary(tools, 'bun'), ['run', 'app.mjs'], { cwd: consumer, env: withTools(tools), folder })),
  },
  {
    name: `Deno ${TOOLS.deno}`, what: 'the smoke, with --allow-all',
    run: ({ tools, consumer, folder }) => works(smoke(binary(tools, 'deno'), ['run', '--node-modules-dir=manual', '--allow-all', 'app.mjs'], { cwd: consumer, env: withTools(tools), folder })),
  },
]

/** Test files of each room that replace nothing in Node's own modules, and that do not take long. */
const CORE = [
  'memtable/memtable', 'table/table', 'wal/log', 'manifest/manifest-store', 'compaction/jobs', 'store/calls', 'store/features', 'store/iterator',
  'store/snapshots', 'store/range-tombstones', 'collections/external-sort',
]

export const coreTests = [
  { name: `Bun ${TOOLS.bun}`, what: 'core tests', run: context => coreTest(context, 'bun', ['test', '--timeout', '120000'], CORE, './') },
  {
    name: `Deno ${TOOLS.deno}`, what: 'core tests',
    run: context => coreTest(context, 'deno', ['test', '--no-check', '--allow-all', '--node-modules-dir=manual'], [...CORE, 'collections/spill-map'], ''),
  },
]

/** They are not in the package: these are the ones of the build it was packed from. */
function coreTest({ root, tools }, runtime, args, tests, prefix) {
  const files = tests.map(name => `dist/${name}.test.js`)
  const missing = files.filter(file => !existsSync(join(root, file)))
  if (missing.length > 0) throw new Error(`not built: ${missing.join(', ')}`)
  const { status, stdout, stderr, error } = spawnSync(binary(tools, runtime), [...args, ...files.map(file => prefix + file)], { cwd: root, env: withTools(tools), encoding: 'utf8', timeout: 600_000 })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`${stdout}\n${stderr}`.trim().split('\n').slice(-40).join('\n'))
  return `${files.length} files pass`
}

export const restrictions = [
  ...names.flatMap(node => {
    const grants = (consumer, folder) => [
      '--no-warnings', node === 'node20' ? '--experimental-permission' : '--permission', `--allow-fs-read=${consumer}`, `--allow-fs-read=${folder}`, `--allow-fs-write=${folder}`,
    ]
    const version = `Node ${NODES[node]}`
    const run = (flags, options, judge) => ({ tools, consumer, folder }) => {
      // Scratch files go there too.
      const env = { ...withTools(tools, node), TMPDIR: folder }
      return judge(smoke(binary(tools, node), [...grants(consumer, folder), ...flags, 'app.mjs'], { cwd: consumer, env, folder, options }))
    }
    return [
      { name: `${version}, --permission`, what: 'the smoke', run: run(['--allow-worker'], {}, found => works(found)) },
      { name: `${version}, --permission without --allow-worker`, what: 'the smoke', run: run([], {}, found => works(found, 'inline')) },
      { name: `${version}, --permission`, what: "durability 'disk'", run: run(['--allow-worker'], { durability: 'disk' }, found => refused(found, /refuses fsync/)) },
      {
        name: `${version}, --jitless`, what: 'open',
        run: ({ tools, consumer, folder }) => refused(smoke(binary(tools, node), ['--jitless', 'app.mjs'], { cwd: consumer, env: withTools(tools, node), folder }), /WebAssembly/),
      },
      ...process.platform === 'linux' ? [{
        name: `${version}, ulimit -v 4 GiB`, what: 'open',
        run: ({ tools, consumer, folder }) => {
          const limited = flags => smoke('sh', ['-c', `ulimit -v ${4 * 2 ** 20} && exec "$0" ${flags} app.mjs`, binary(tools, node)], { cwd: consumer, env: withTools(tools, node), folder })
          const found = limited('')
          if (found.code === undefined) return works(found)
          const told = refused(found, /ulimit -v.*--disable-wasm-trap-handler/)
          works(limited('--disable-wasm-trap-handler'))
          return `${told}. With that flag it works`
        },
      }] : [],
    ]
  }),
]

export function bundles(root) {
  return recipes(join(root, 'docs/bundling.md')).map(recipe => ({
    name: `bundle: ${recipe.name}`, what: 'the smoke, of the bundle alone',
    run: ({ tools, consumer, folder }) => {
      const target = mkdtempSync(join(folder, 'bundle-'))
      const command = make(recipe, consumer, target, withTools(tools))
      const told = new Set()
      // What was made for Node runs on the oldest and the newest; an executable has its own.
      for (const node of command.startsWith('node ') ? [names[0], names.at(-1)] : ['node24']) {
        told.add(works(smoke('sh', ['-c', command], { cwd: target, env: withTools(tools, node), folder })))
      }
      rmSync(target, { recursive: true, force: true })
      return [...told].join('; ')
    },
  }))
}

export const types = Object.entries(COMPILERS).map(([name, version]) => ({
  name: `TypeScript ${version}`, what: 'node16, nodenext and bundler resolution, skipLibCheck: false',
  run: ({ tools, consumer }) => {
    const problems = compileConsumer(consumer, join(tools, 'node_modules', name, 'bin/tsc'))
    if (problems.length > 0) throw new Error(problems.join('\n'))
    return 'compiles'
  },
}))

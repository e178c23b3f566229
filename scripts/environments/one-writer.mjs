// One store, every two runtimes: the second open is refused, and the store is free once the first process was killed.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { NODES, TOOLS, binary, withTools } from './tools.mjs'

/** Opens the store and holds it until it is killed, or says why it could not. */
const PROGRAM = `import { Spillway } from 'spillway'
const [directory, key] = process.env.HOLD.split('|')
try {
  const db = await Spillway.open(directory, { budget: '8 MiB' })
  await db.put(key, 'value', { durability: 'disk' })
  console.log('holds ' + await db.count())
  setInterval(() => {}, 1000)
} catch (error) {
  console.log(error.code)
}
`

const RUNTIMES = {
  ...Object.fromEntries(Object.keys(NODES).map(node => [`Node ${NODES[node]}`, tools => [binary(tools, node), '--no-warnings', 'hold.mjs']])),
  [`Bun ${TOOLS.bun}`]: tools => [binary(tools, 'bun'), 'run', 'hold.mjs'],
  [`Deno ${TOOLS.deno}`]: tools => [binary(tools, 'deno'), 'run', '--node-modules-dir=manual', '--allow-all', 'hold.mjs'],
}

/** Start one; resolves to what it says first, and how to kill it. */
async function start(runtime, { tools, consumer }, directory, key) {
  const [command, ...args] = RUNTIMES[runtime](tools)
  const child = spawn(command, args, { cwd: consumer, env: { ...withTools(tools), HOLD: `${directory}|${key}` }, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise(resolve => child.once('close', resolve))
  const { value: said } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next()
  return {
    said,
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

export const oneWriter = Object.keys(RUNTIMES).map(runtime => ({
  name: runtime, what: 'one writer: it holds a store, the others come',
  async run(context) {
    writeFileSync(join(context.consumer, 'hold.mjs'), PROGRAM)
    const directory = mkdtempSync(join(context.folder, 'held-'))
    const holder = await start(runtime, context, directory, 'first')
    try {
      if (holder.said !== 'holds 1') throw new Error(`it could not be opened: ${holder.said}`)
      for (const other of Object.keys(RUNTIMES)) {
        const { said, kill } = await start(other, context, directory, 'second')
        await kill()
        if (said !== 'SPILLWAY_LOCKED') throw new Error(`${other} came second: ${said}`)
      }
    } finally {
      await holder.kill()
    }
    const next = await start(Object.keys(RUNTIMES)[0], context, directory, 'second')
    await next.kill()
    if (next.said !== 'holds 2') throw new Error(`after it was killed: ${next.said}`)
    rmSync(directory, { recursive: true, force: true })
    return `${Object.keys(RUNTIMES).length} are refused; free once it was killed`
  },
}))

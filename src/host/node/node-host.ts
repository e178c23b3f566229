/** The real host: this machine's files, clocks, threads and locks. */
import { join, resolve } from 'node:path'
import { markAsUntransferable } from 'node:worker_threads'
import { collectGarbage } from './garbage.ts'
import { nodePressure } from './pressure.ts'
import type { Host } from '../host.ts'
import { nodeClock } from './clock.ts'
import { NodeFiles, removeTree } from './files.ts'
import { memoryLimitBytes } from './limits.ts'
import { OpenedDirectory } from './opened-directory.ts'
import { nodeShortcomings } from './permission.ts'
import { nodeProcess } from './process.ts'
import { nodeRunner } from './runner.ts'
import { nodeScheduler } from './scheduler.ts'
import { warnOnce } from './warnings.ts'
import { youngGarbage } from './minor-gc-pacer.ts'

/** A host over Node's own modules, without state. */
export function nodeHost(): Host {
  const files = new NodeFiles()
  return {
    files,
    clock: nodeClock,
    scheduler: nodeScheduler,
    process: nodeProcess,
    join,
    resolve: path => resolve(path),
    removeTree,
    collectGarbage,
    handedOut: (bufferBytes, objectBytes) => youngGarbage.add(bufferBytes, objectBytes),
    forbidTransfer: markAsUntransferable,
    lossRegistry: lost => new FinalizationRegistry<object>(lost),
    warnOnce,
    isDebug: Boolean(process.env['SPILLWAY_DEBUG']),
    pressure: () => nodePressure.read(),
    random: Math.random,
    memoryLimitBytes,
    openDirectory: path => new OpenedDirectory(path, files),
    runner: nodeRunner,
    shortcomings: nodeShortcomings,
  }
}

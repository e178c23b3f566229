/** The smoke of a store in a process of its own. Arguments: directory, options as JSON. Prints what came of it as JSON. */
import { writeSync } from 'node:fs'
import type { SpillwayError } from '../../base/errors.ts'
import { Spillway } from '../spillway.ts'
import type { OpenOptions } from '../api/options.ts'
import { smoke } from './smoke.ts'

const [directory, options] = process.argv.slice(2)
try {
  writeSync(1, JSON.stringify(await smoke(Spillway, directory!, JSON.parse(options!) as OpenOptions)))
} catch (error) {
  const { code, message } = error as SpillwayError
  writeSync(1, JSON.stringify({ code, message }))
}

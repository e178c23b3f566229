/** Makes a scratch directory in argv[2] and ends: by itself, or killed. */
import { writeFileSync } from 'node:fs'
import { nodeHost } from '../node/node-host.ts'
import { ScratchDirectory } from '../scratch-directory.ts'

const directory = new ScratchDirectory(nodeHost(), process.argv[2]!)
writeFileSync(directory.newFile('pages'), 'scratch')
console.log('made')
if (process.argv[3] === 'kill') process.kill(process.pid, 'SIGKILL')

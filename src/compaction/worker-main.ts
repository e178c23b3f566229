/** What the store's worker runs: `scripts/build.mjs` makes one piece of code of this and all that it imports (`worker-code.ts`). */
import { serveJobs } from '../host/node/worker.ts'
import { jobs } from './jobs.ts'

serveJobs({ jobs })

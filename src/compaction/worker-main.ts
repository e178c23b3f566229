/** The worker's program: `scripts/build.mjs` bundles this and all it imports (`worker-code.ts`). */
import { serveJobs } from '../host/node/worker.ts'
import { jobs } from './jobs.ts'

serveJobs({ jobs })
